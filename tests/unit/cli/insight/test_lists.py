import io
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console, Group

from notifyflow.cli.insight import messages, overview
from notifyflow.core.delivery.chain import place
from notifyflow.core.delivery.model import DeferralReason, IncidentState, NotificationState
from notifyflow.core.insight.message_log import LoggedMessage, MessagePage
from notifyflow.core.insight.views import IncidentFilter, IncidentPage, ListPlace
from tests.chains import chain
from tests.statuses import AT
from tests.unit.core.insight.test_list_documents import LINE, SMS

UNRESOLVED = IncidentFilter(states=overview.UNRESOLVED)
MORE = ListPlace(state=IncidentState.OPEN, incident_id="i")
MESSAGE = LoggedMessage(facts=SMS, recipient_id="ada", name="Ada", address="+15005550006", key="db\x1b-1", title="down")


def explain(channel: str, code: str) -> str:
    return ""


def shown(*parts: object, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(Group(*parts))  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_list_shows_how_many_were_reached_and_a_namespace_only_if_one_has_any() -> None:
    head, line = shown(*overview.drawn(IncidentPage(lines=(LINE,)), UNRESOLVED)).splitlines()
    assert "Namespace" not in head
    assert line.split()[:2] + line.split()[-4:] == ["db-1", "CRITICAL", "1", "of", "3", "2"]
    other = replace(LINE, facts=replace(LINE.facts, namespace="shop"), title="a\x1b[31m")
    text = shown(*overview.drawn(IncidentPage(lines=(LINE, other)), UNRESOLVED))
    assert "shop" in text
    assert "Chain" not in text
    chained = replace(LINE, chain=replace(place(chain().steps), people={"ben": "Ben"}))
    text = shown(*overview.drawn(IncidentPage(lines=(LINE, chained)), UNRESOLVED))
    assert re.search(r"Chain.*next: Ben \(@secondary\) at Wed 25 Nov \d\d:\d\d:\d\d; step 1 of 3", text, re.DOTALL)
    assert "\x1b" not in text


def test_a_list_says_why_it_is_empty_and_that_there_are_more() -> None:
    empty = IncidentPage(lines=())
    assert shown(*overview.drawn(empty, UNRESOLVED)) == "No incident is unresolved.\n"
    assert shown(*overview.drawn(empty, replace(UNRESOLVED, text="db"))) == "No incident matches.\n"
    assert "Only 1 are shown" in shown(*overview.drawn(IncidentPage(lines=(LINE,), following=MORE), UNRESOLVED))
    cut = IncidentPage(lines=(), following=MORE, is_cut=True)
    assert "Only the newest of the resolved ones were searched" in shown(*overview.drawn(cut, IncidentFilter(text="db")))


LONG_KEY = "alertmanager/0f3a9bc2d4e1f7788a6c"
LONG_TITLE = "The orders database has lost its primary, and every write to it has failed since this morning in all regions"
LONG = replace(LINE, facts=replace(LINE.facts, key=LONG_KEY), title=LONG_TITLE)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 10_000])
def test_a_list_has_whole_keys_and_readable_titles_at_any_width(width: int) -> None:
    text = shown(overview.table([LONG, LINE]), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert LONG_KEY in text
    assert LONG_TITLE in words(text)
    assert "Wed 25 Nov" in words(text)
    assert re.search(r"1 of 3", words(text))


def test_a_title_is_cut_only_in_a_table_and_leaves_forty_characters() -> None:
    text = shown(overview.table([LONG]), width=140)
    assert "Severity" in text
    assert LONG_TITLE[:38] in text
    assert "…" in text


def test_a_block_says_how_an_incident_stands_line_by_line() -> None:
    chained = replace(LONG, chain=replace(place(chain().steps), people={"ben": "Ben"}))
    unreached = replace(LINE, facts=replace(LINE.facts, namespace="shop"), counts=replace(LINE.counts, failed=0))
    first, second = shown(overview.table([chained, unreached]), width=79).split("CRITICAL  orders db is down\n")
    assert first.splitlines()[2].strip() == LONG_KEY
    assert re.fullmatch(r"  ● OPEN since Wed 25 Nov \d\d:\d\d:\d\d · 1 of 3 reached · 2 failed", first.splitlines()[3].rstrip())
    assert first.splitlines()[4].startswith("  next: Ben (@secondary) at ")
    assert second.splitlines()[0].strip() == "db-1 · shop"
    assert second.splitlines()[1].rstrip().endswith("1 of 3 reached")


@pytest.mark.parametrize("width", [40, 80, 10_000])
def test_the_message_log_has_whole_keys_and_reasons_at_any_width(width: int) -> None:
    text = shown(messages.table([replace(MESSAGE, key=LONG_KEY), MESSAGE], explain), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert LONG_KEY in text
    assert "slack, attempt 1 of 5, no such number (21211)" in words(text)


def test_a_paused_message_says_so_and_until_when() -> None:
    waiting = replace(SMS, state=NotificationState.QUEUED, attempts=(), due_at=AT + timedelta(minutes=3))
    paused = replace(MESSAGE, facts=replace(waiting, deferred_by=DeferralReason.PAUSE))
    limited = replace(MESSAGE, facts=replace(waiting, deferred_by=DeferralReason.LIMIT))
    text = shown(messages.table([paused, limited, replace(MESSAGE, facts=waiting)], explain))
    assert re.search(r"paused until \d\d:17:03", text)
    assert re.search(r"deferred by a limit until \d\d:17:03", text)
    assert re.search(r"due at \d\d:17:03", text)


def test_a_watched_list_is_drawn_anew_until_it_is_interrupted() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    drawn, waited = [], []

    def draw() -> str:
        drawn.append(f"time the {('first', 'second', 'third')[len(drawn)]}")
        return drawn[-1]

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        overview.watch(console, draw, wait=wait)
    assert len(drawn) == 3
    assert set(waited) == {2.0}
    assert isinstance(console.file, io.StringIO)
    assert "time the third" in console.file.getvalue()


def test_the_message_log_has_a_line_for_each_message_without_addresses_and_control_characters() -> None:
    text = shown(messages.table([MESSAGE], explain))
    assert "ada" in text
    assert "✕ FAILED" in text
    assert "slack, attempt 1 of 5, no such number (21211)" in text
    assert "+1500" not in text
    assert "\x1b" not in text


def test_the_message_log_says_where_it_ends() -> None:
    page = MessagePage(messages=(MESSAGE,), older=None)
    assert messages.ending(page) == ""
    assert messages.ending(replace(page, older="x")) == "Only 1 are shown; there are more (--limit, --until)."
    assert messages.ending(replace(page, older="x", searched_to=AT)).startswith("Searched back to Wed 25 Nov ")
