from notifyflow.channels.meanings import meanings
from notifyflow.channels.registry import load
from notifyflow.settings import Settings

CHANNELS = load(Settings())


def test_a_code_has_the_meaning_that_its_channel_gives_it() -> None:
    meaning = meanings(CHANNELS)
    assert "landline" in meaning("sms", "30006")
    assert meaning("email", "5.1.1") == "there is no such mailbox"
    assert meaning("slack", "404") == "the webhook does not exist"
    assert meaning("sms", "delivered") == "the carrier says that the phone has it"


def test_a_code_of_no_table_is_one_of_http_or_has_no_meaning() -> None:
    meaning = meanings(CHANNELS)
    assert meaning("voice", "429")
    assert meaning("pager", "429") == meaning("voice", "429")
    assert meaning("voice", "no such code") == ""


def test_every_code_of_every_channel_has_a_meaning() -> None:
    meaning = meanings(CHANNELS)
    assert all(meaning(name, code) for name, channel in CHANNELS.items() for _, codes in channel.codes for code in codes)
