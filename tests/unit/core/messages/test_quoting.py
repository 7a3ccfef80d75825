"""Whatever an incident is called, no line of a message reads as our instruction but ours: neither to people nor to our parser."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Contact, Incident, Severity
from notifyflow.core.messages.bundle_words import bundle_of
from notifyflow.core.messages.content import Content, compose
from notifyflow.core.messages.prompts import title as spoken_title
from notifyflow.core.messages.quoting import quoted, quoted_lines
from notifyflow.core.messages.replies import CHANGING, Choice, Effect, HandledReply, read_text, write_response
from notifyflow.core.messages.segments import TITLE_KEPT
from notifyflow.core.text import one_line
from tests.renderers import MAIL, SLACK, SMS, TEAMS, a_message, elements_of, mail_of, title_of
from tests.strategies import titles
from tests.unit.core.messages.test_bundle_words import push_of

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
ADA = Contact(recipient_id="ada", name="Ada", addresses={})
LINK = "https://page.example.com/a/" + "x" * 40

SAID = (
    "Reply 77 to acknowledge.",
    "Reply ALL 77 to acknowledge.",
    "reply 77",
    "Reply STOP to acknowledge.",
    "Press 4 to acknowledge all",
    "Acknowledge: https://evil.example/a/x",
    "Acknowledge all 12: https://evil.example/a/x",
    "Respond with 77",
    "text back 77",
    "ACK 77",
    "To end texts, ask nobody",
    "To get no more messages like this, press 1",
)
DISGUISES = {
    "plain": lambda said: said,
    "shouted": str.upper,
    "full width": lambda said: "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in said),
    "bold": lambda said: "".join(chr(0x1D400 + ord(each) - 65) if "A" <= each <= "Z" else each for each in said.upper()),
    "Cyrillic": lambda said: said.translate(str.maketrans("aeopcyxkRP", "аеорсухкгР")),
    "with invisible signs": lambda said: "\u200b".join(said),
    "with marks": lambda said: "\u0323".join(said),
    "spaced": lambda said: " ".join(said),
    "with digits": lambda said: said.replace("e", "3").replace("l", "1"),
}
BREAKS = (
    "",
    "\n",
    "\r\n",
    "\v",
    "\f",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\x00",
    "\u202e",
    " " * 80,
    "\u3164" * 30,
    "\u2800" * 30,
)


def imitations() -> st.SearchStrategy[str]:
    """Titles that say our words in some disguise, after something that may begin a line, or anything at all."""
    said = st.builds(lambda disguise, words: disguise(words), st.sampled_from(list(DISGUISES.values())), st.sampled_from(SAID))
    before = st.sampled_from(("", "db-1 is down", "db-1 is down;", '"', "”", "- "))
    whole = st.builds("".join, st.tuples(before, st.sampled_from(BREAKS), said, st.sampled_from(("", ".", '"', "”"))))
    return st.one_of(whole, whole, titles(), st.text(max_size=200)).filter(one_line)


def content_of(title: str, *, body: str = "", labels: dict[str, str] | None = None, reply: str = "11") -> Content:
    incident = Incident(key="db-1", title=title, severity=Severity.CRITICAL, body=body, labels=labels)
    return compose(
        incident,
        ADA,
        severity=Severity.CRITICAL,
        now=NOW,
        round_started_at=NOW,
        due_at=NOW,
        delayed_after=timedelta(minutes=5),
        link=LINK,
        reply=reply,
    )


def unquoted(line: str) -> str:
    """Return what of a line stands outside quotes, as people see it."""
    seen = unicodedata.normalize("NFKC", line)
    seen = "".join(each for each in seen if unicodedata.category(each) not in ("Cf", "Mn"))
    return re.sub('["“].*?(?:["”]|$)', "", seen).casefold()


def instructions(text: str) -> list[str]:
    """Return the lines that tell somebody how to answer, outside quotes."""
    telling = re.compile(r"\b(?:reply|press|respond|text back|ack)\b|\backnowledge(?: all \d+)?:|to end texts|no more messages")
    return [line for line in text.splitlines() if telling.search(unquoted(line))]


def lines_of_texts(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if read_text(line)[0] in CHANGING)


@hypothesis_settings(max_examples=400)
@given(imitations())
def test_one_text_has_one_line_on_how_to_answer(title: str) -> None:
    text = SMS.text(content_of(title))
    ours = ("Reply 11 to acknowledge.", "Reply STOP to end texts.")
    assert all(any(each.startswith(line.removesuffix("...")) for each in ours) for line in instructions(text)), text
    assert text.startswith("CRITICAL: ")
    assert list(lines_of_texts(text)) == []


@hypothesis_settings(max_examples=400)
@given(st.lists(imitations(), min_size=2, max_size=5))
def test_a_text_about_several_has_one_line_on_how_to_answer(named: list[str]) -> None:
    contents = [content_of(title) for title in named]
    text = SMS.text(bundle_of(contents, named=3, oldest=contents[0], link=LINK, reply="ALL 11"))
    ours = {"Reply ALL 11 to acknowledge.", "Reply ALL 11.", "Reply STOP to end texts."}
    assert set(instructions(text)) <= ours, text
    head, *lines = text.splitlines()
    assert head.endswith(f"{len(named)} CRITICAL")
    assert [line[:2] for line in lines[:3]] == ["- "] * min(3, len(named)) + [lines[2][:2]] * (len(named) < 3)
    assert list(lines_of_texts(text)) == []


@hypothesis_settings(max_examples=200)
@given(st.lists(imitations(), min_size=2, max_size=4))
def test_mail_push_and_chat_have_only_our_own_instructions(named: list[str]) -> None:
    contents = [content_of(title) for title in named]
    several = bundle_of(contents, named=20, oldest=contents[0], link=LINK)
    ours = {f"Acknowledge: {LINK}", f"Acknowledge all {len(named)}: {LINK}"}
    ours.add("To get no more messages like this, ask your operations team")
    for content in (contents[0], several):
        mail = mail_of(content)[0]
        lines = [line for line in instructions(mail) if not line.endswith(f" · db-1 · acknowledge: {LINK}")]
        assert set(lines) <= ours, mail
        assert not any(line.startswith("Title: ") and instructions(line) for line in mail.splitlines())
        heading, body, _ = push_of(content)
        assert set(instructions(body)) <= ours, body
        for head in (heading, title_of(TEAMS.card(content)), next(elements_of(SLACK.payload(content)).__iter__())["text"]):
            assert (len(head.splitlines()), instructions(head)) == (1, []), head
        assert b"\nReply" not in MAIL.write(a_message(content))


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_words_like_ours_are_quoted_in_any_disguise(disguise: str, said: str) -> None:
    assert quoted(one_line(DISGUISES[disguise](said))).startswith("“")


@pytest.mark.parametrize(
    "title",
    [
        "orders db is down",
        "Replication lag on db-7: 40 s",
        "nobody has acknowledged backup-3",
        "high pressure in boiler 2",
        "Сервер не отвечает на запросы",
        "データベースが応答しません",
        "text index is stale",
        "acknowledge_timeout exceeded",
        "95 % of /data used: 40 GB left",
    ],
)
def test_other_words_stay_as_they_are(title: str) -> None:
    assert quoted(title) == title
    assert content_of(title).title == title


def test_quotes_in_a_title_cannot_end_the_quotes() -> None:
    assert quoted('x" Reply 77 “now” «') == "“x' Reply 77 'now' '”"


def test_lines_of_a_body_and_names_of_labels_are_quoted_one_by_one() -> None:
    body = "No answer for 30 s.\nReply 77 to acknowledge.\nhost: db-1"
    assert quoted_lines(body).splitlines() == ["No answer for 30 s.", "“Reply 77 to acknowledge.”", "host: db-1"]
    content = content_of("db", body=body, labels={"Acknowledge": "https://evil.example/x", "Reply 77": "now", "team": "orders"})
    text, mail = SMS.text(content), mail_of(content)[0]
    assert set(instructions(text)) <= {"Reply 11 to acknowledge.", "Reply STOP to end texts."}
    assert [line for line in instructions(mail) if "operations team" not in line] == [f"Acknowledge: {LINK}"]
    assert "“Acknowledge”: https://evil.example/x" in mail


def test_what_notifyflow_writes_itself_and_other_systems_get_is_not_quoted() -> None:
    incident = Incident(key="k", title="Press on", severity=Severity.ERROR, body="Acknowledge it", labels={"Acknowledge k": LINK})
    times = {"now": NOW, "round_started_at": NOW, "due_at": NOW, "delayed_after": timedelta(minutes=5)}
    ours = compose(incident, ADA, severity=Severity.ERROR, link=None, is_ours=True, **times)
    assert (ours.title, ours.body, ours.labels) == ("Press on", "Acknowledge it", {"Acknowledge k": LINK})


def test_a_response_quotes_a_title_that_reads_as_a_choice() -> None:
    choices = [
        Choice(code="10", title="db; 11 the shop is fine", incident_id="a"),
        Choice(code="12", title="disk", incident_id="b"),
    ]
    said = write_response(HandledReply(effect=Effect.AMBIGUOUS, choices=choices))
    assert said == "2 are open, nothing was acknowledged. Reply with a code: 10 “db; 11 the shop is fine”; 12 disk"


def test_a_voice_says_where_the_words_of_an_incident_begin_and_end() -> None:
    said = spoken_title(content_of("Press 4 to acknowledge all"))
    assert said == "Critical: quote, Press 4 to acknowledge all, end of quote."


def test_a_title_in_quotes_keeps_as_many_characters_as_any_other() -> None:
    text = SMS.text(content_of("Reply 77 to acknowledge " + "x" * 900))
    assert len(text.splitlines()[0]) > len("CRITICAL: ") + TITLE_KEPT
