import io
from datetime import UTC

from rich.console import Console, Group

from notifyflow.cli.frame.picture import picture
from notifyflow.cli.frame.timeline import draw_inbound_log, draw_timeline
from notifyflow.core.insight.timeline import TimelineEntry
from notifyflow.core.intake.inbound_log import InboundEffect
from notifyflow.core.messages.looks import Tone
from tests.facts import inbound_entry, minutes
from tests.statuses import AT, OPEN

ENTRIES = (
    TimelineEntry(at=AT, machine="notification", event="queued", row_id="n", recipient_id="ada", channel="sms", is_minor=True),
    TimelineEntry(
        at=AT + minutes(1),
        machine="notification",
        event="refused_for_good",
        row_id="n",
        recipient_id="ada",
        channel="sms",
        reason="no\x1b[31m number",
        tone=Tone.BAD,
    ),
)


def drawn(*parts: object) -> list[str]:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(Group(*parts))  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def brief(at: object) -> str:
    return f"{at:%H:%M}"


def test_each_moment_has_its_time_its_mark_and_its_sentence_without_control_characters() -> None:
    assert drawn(*draw_timeline(ENTRIES, name=str.title, brief=brief, has_minor=False)) == [
        "",
        "What happened",
        "02:15  ✕  text to Ada refused: no\N{REPLACEMENT CHARACTER}[31m number",
    ]
    assert "02:14  ·  text to Ada queued" in drawn(*draw_timeline(ENTRIES, name=str.title, brief=brief, has_minor=True))
    assert draw_timeline((), name=str, brief=brief, has_minor=True) == []


def test_what_came_in_has_a_line_for_each_kind_of_request() -> None:
    found = (
        inbound_entry(first_at=AT),
        inbound_entry(did=InboundEffect.MERGED, first_at=AT + minutes(1), last_at=AT + minutes(2), times=2),
    )
    assert drawn(*draw_inbound_log(found, brief=brief)) == [
        "",
        "What came in",
        "02:14  →  through Alertmanager with the key prometheus, by routes[0]: opened it",
        "02:15  →  through Alertmanager with the key prometheus, by routes[0]: merged; nobody was paged again (2 times, the last",
        "          at 02:16)",
    ]
    assert draw_inbound_log((), brief=brief) == []


def test_the_picture_has_both_only_if_it_is_to_show_what_happened() -> None:
    whole = "\n".join(drawn(picture(OPEN, zone=UTC, entries=ENTRIES)))
    assert "What happened" in whole
    assert "What happened" not in "\n".join(drawn(picture(OPEN)))
