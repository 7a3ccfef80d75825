"""What once flooded a person, or hid one incident behind another, lived through the real doors: webhook, phone, link."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import IncidentState, NotificationState
from notifyflow.core.insight.timeline import timeline
from notifyflow.core.insight.timeline_words import sentence
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.sandbox.inbox import Message
from tests.acceptance.nights import ADA, Night, a_night

INSISTENT = '[default]\nto = ["ada"]\npolicy = "insistent"'
QUIET = 'quiet = "22:00-07:00"\ntimezone = "UTC"'
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
MAIL = "ada@example.com"
RECIPIENT = {"id": "ada", "email": MAIL, "phone": ADA}
TOLD = (NotificationState.SENT, NotificationState.DELIVERED)


@pytest.fixture
def nights(tmp_path: Path) -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(a_night(tmp_path, INSISTENT, **settings))


def pages(night: Night, key: str, channel: str) -> list[NotificationFacts]:
    return [row for each in night.status(key).escalations for row in each.notifications if row.channel == channel]


def texted_with_others(night: Night, keys: list[str]) -> list[str]:
    """Return the incidents about which a text told Ada that was about others, too."""
    return [each for each in keys if pages(night, each, "sms")[0].attempts[0].sent_with]


def still_open(night: Night, keys: list[str]) -> list[str]:
    return [each for each in keys if night.status(each).facts.state is IncidentState.OPEN]


def storm(night: Night, *titles: str) -> list[str]:
    """Let incidents come within seconds; return their keys."""
    keys = [f"db-{number}-{len(titles)}" for number in range(len(titles))]
    for key, title in zip(keys, titles, strict=True):
        night.submits(key=key, title=title, severity="ERROR", recipients=[RECIPIENT], policy="insistent")
        night.passes(SECOND / 10)
    return keys


def largest(messages: tuple[Message, ...]) -> Message:
    """Return the message that says how many incidents it is about."""
    (found,) = (each for each in messages if re.search(r"\b\d+ more\b", each.text))
    return found


def test_after_a_quiet_night_of_47_warnings_one_mail_one_text_and_few_calls_say_so(nights: Any) -> None:
    night = nights(ada=QUIET)
    night.passes(13 * HOUR + 5 * MINUTE)
    alerts = [f"disk-{number}" for number in range(47)]
    for each in alerts:
        night.fires(each, severity="warning")
        night.passes(10 * MINUTE)
    assert night.messages("email", MAIL) == night.messages("sms", ADA) == ()
    night.passes(HOUR + 19 * MINUTE)
    (mail,), (text,) = night.messages("email", MAIL), night.messages("sms", ADA)
    assert "47 WARNING" in mail.text
    assert "47 WARNING" in text.text
    assert 1 <= len(night.messages("voice", ADA)) <= 4, "a call names as many as fit, and the next ones come a minute apart"
    told = [row for each in alerts for channel in ("email", "sms") for row in pages(night, f"alertmanager/{each}", channel)]
    assert len(told) == 2 * 47
    assert all(row.state in TOLD for row in told)


def test_twenty_incidents_with_cyrillic_titles_are_counted_in_one_text_that_can_be_answered(nights: Any) -> None:
    night = nights(script="email: 550")
    keys = storm(night, *(f"База данных заказов {number} не отвечает уже давно" for number in range(20)))
    night.passes(2 * MINUTE)
    text, carried = largest(night.messages("sms", ADA)), texted_with_others(night, keys)
    assert len(carried) >= 18
    assert f"{len(carried)} ERROR" in text.text
    assert "База данных" in text.text
    (code,) = re.findall(r"ALL (\d+)", text.text)
    (choices,) = night.driver.sandbox.reply(ADA, code)
    assert "nothing was acknowledged" in choices
    assert still_open(night, keys) == keys, "nobody has read all titles"
    night.driver.sandbox.reply(ADA, f"ALL {code}")
    assert still_open(night, keys) == [each for each in keys if each not in carried]


def test_a_code_means_what_its_text_carried_and_nothing_that_came_later(nights: Any) -> None:
    night = nights(script="email: 550")
    keys = storm(night, *(f"shard {number} is down" for number in range(8)))
    night.passes(2 * MINUTE)
    text, carried = largest(night.messages("sms", ADA)), texted_with_others(night, keys)
    (code,) = re.findall(r"ALL (\d+)", text.text)
    keys += storm(night, "it came later")
    night.driver.sandbox.reply(ADA, f"{code}aa")
    assert still_open(night, keys) == keys, "letters behind a code are no answer"
    night.driver.sandbox.reply(ADA, f"ALL {code}")
    assert still_open(night, keys) == [each for each in keys if each not in carried]
    assert keys[-1] in still_open(night, keys)


def test_of_thirty_incidents_none_is_lost_behind_those_that_a_text_names(nights: Any) -> None:
    night = nights(script="email: 550")
    titles = [f"shard {number} is down" for number in range(30)]
    keys = storm(night, *titles)
    night.passes(2 * MINUTE)
    text, carried = largest(night.messages("sms", ADA)), texted_with_others(night, keys)
    assert all(row.state in TOLD for each in keys for row in pages(night, each, "sms"))
    link = next(each for each in text.links if "/a/" in each)
    shown = night.driver.request("GET", link).text
    assert [title for key, title in zip(keys, titles, strict=True) if key in carried and title not in shown] == []
    assert still_open(night, keys) == keys, "scanners open links"
    shown_as_counted = night.status(keys[-1])
    assert sentence_of(shown_as_counted).endswith(f"counted in one text with {len(carried) - 1} others)")


def sentence_of(status: IncidentStatus) -> str:
    """Return what the timeline says of the acceptance of the text."""
    entries = timeline(status, explain=lambda *_: "")
    (accepted,) = (each for each in entries if each.event == "accepted" and each.channel == "sms")
    return sentence(accepted, name=str, brief=str)
