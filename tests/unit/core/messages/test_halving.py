"""A message of several that is refused for its content is halved until what is refused alone has failed: played with the rules.

What must come out of it is worked out from the faulty notifications alone, and not from the rules.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.attempts import BROKE_OFF, used_up
from notifyflow.core.delivery.facts import NotificationFacts, Outcome
from notifyflow.core.delivery.model import AttemptState, NotificationState, Receipt, Result
from notifyflow.core.delivery.policy import RetrySchedule
from notifyflow.core.messages import bundle
from tests.facts import NOW, attempt, minutes, page

REFUSED = Outcome(result=Result.PERMANENT_FAILURE, code="21617", reason="our text is too long", is_about_content=True)
ACCEPTED = Outcome(result=Result.ACCEPTED)
REPORTED = Receipt(provider="p", event_id="e", result=Result.PERMANENT_FAILURE, code="30007", is_about_content=True)
SCHEDULE = RetrySchedule(delays=(minutes(1),) * 4)


@dataclass
class Play:
    """A provider that refuses each message with a faulty notification, and workers that claim what is due.

    Attributes:
        calls: The notifications of each message, as the provider saw it, and whether it arrived.
        dying: The calls, by their numbers, at which the process dies that has handled the refusal for a first half.
        is_reported: Whether the provider accepts each message, and reports the refusal later.
        waiting: The rest of the receipts that a process left at its end; a sweep applies it when nothing else is to do.
    """

    faulty: Collection[int]
    rows: dict[int, NotificationFacts]
    dying: Collection[int] = ()
    is_reported: bool = False
    calls: list[tuple[Sequence[int], bool]] = field(default_factory=list)
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def run(self) -> None:
        while (due := self._due()) or self.waiting:
            if not due:
                self.waiting.pop()()
            together = defaultdict(list)
            for number in due:
                row = self.rows[number]
                together[bundle.company(row) or (row.id if row.attempts else "")].append(number)
            for group in together.values():
                self._call(group)

    def _due(self) -> list[int]:
        return [number for number, row in self.rows.items() if row.state is NotificationState.QUEUED]

    def _call(self, group: Sequence[int]) -> None:
        for number in group:
            row, first = self.rows[number], f"a{group[0]}-{len(self.calls)}"
            begun = attempt(
                len(row.attempts) + 1,
                id=f"a{number}-{len(self.calls)}",
                notification_id=row.id,
                sent_with=first if len(group) > 1 else None,
            )
            self.rows[number] = lifecycle.claim(row, begun, now=NOW).after
        is_taken = not set(group) & set(self.faulty)
        self.calls.append((group, is_taken))
        if is_taken or self.is_reported or len(group) == 1:
            for number in group:
                self._record(number, ACCEPTED if is_taken or self.is_reported else REFUSED)
        if not is_taken and (self.is_reported or len(group) > 1):
            self._refuse(group, dies=len(self.calls) - 1 in self.dying)

    def _refuse(self, group: Sequence[int], *, dies: bool) -> None:
        """Handle the refusal of a message, for each half."""
        for half in filter(None, bundle.halves(group)):
            first, is_lost = self.rows[half[0]].attempts[-1].id, dies and half[0] != group[0]
            for number in half:
                if self.is_reported:
                    report = partial(self._report, number, self.rows[number].attempts[-1].id, first if len(group) > 1 else None)
                    self.waiting.append(report) if is_lost else report()
                elif is_lost:
                    self._lose(number)
                else:
                    self._set_apart(number, first=first)

    def _record(self, number: int, outcome: Outcome) -> None:
        row = self.rows[number]
        moved = lifecycle.record(row, row.attempts[-1].id, outcome, schedule=SCHEDULE, now=NOW, fraction=0.5)
        self.rows[number] = moved.after

    def _set_apart(self, number: int, *, first: str) -> None:
        row = self.rows[number]
        self.rows[number] = lifecycle.set_apart(row, row.attempts[-1].id, REFUSED, half=first, now=NOW).after

    def _report(self, number: int, attempt_id: str, half: str | None) -> None:
        row = self.rows[number]
        moved = lifecycle.receive(row, attempt_id, REPORTED, schedule=SCHEDULE, now=NOW, fraction=0.5, half=half)
        self.rows[number] = moved.after

    def _lose(self, number: int) -> None:
        row = self.rows[number]
        self.rows[number] = lifecycle.lose(row, row.attempts[-1].id, now=NOW).after


def play(count: int, faulty: Collection[int], *, dying: Collection[int] = (), is_reported: bool = False) -> Play:
    rows = {number: page(id=f"n{number}", max_attempts=1 if is_reported else 100) for number in range(count)}
    played = Play(faulty=faulty, rows=rows, dying=dying, is_reported=is_reported)
    played.run()
    return played


@st.composite
def bundles(draw: st.DrawFn) -> tuple[int, frozenset[int]]:
    count = draw(st.integers(2, 90))
    return count, draw(st.frozensets(st.integers(0, count - 1), max_size=5))


@given(bundles(), st.booleans())
def test_what_is_faulty_fails_alone_and_all_others_leave_once(drawn: tuple[int, frozenset[int]], is_reported: bool) -> None:
    count, faulty = drawn
    played = play(count, faulty, is_reported=is_reported)
    states = {number: row.state for number, row in played.rows.items()}
    assert states == {n: NotificationState.FAILED if n in faulty else NotificationState.SENT for n in range(count)}
    taken = Counter(number for group, is_taken in played.calls for number in group if is_taken)
    assert taken == Counter(set(range(count)) - faulty)
    assert {n: len(used_up(row)) for n, row in played.rows.items()} == dict.fromkeys(range(count), 1)
    alone = {group[0] for group, is_taken in played.calls if len(group) == 1 and not is_taken}
    assert alone == faulty
    depth = ceil(log2(count))
    assert len(played.calls) <= 1 + 2 * len(faulty) * depth
    assert sum(is_taken for _, is_taken in played.calls) <= max(1, len(faulty) * depth)


@settings(max_examples=25)
@given(bundles(), st.frozensets(st.integers(0, 20), max_size=4), st.booleans())
def test_a_process_that_dies_between_the_halves_loses_nothing(
    drawn: tuple[int, frozenset[int]], dying: frozenset[int], is_reported: bool
) -> None:
    count, faulty = drawn
    played = play(count, faulty, dying=dying, is_reported=is_reported)
    states = {number: row.state for number, row in played.rows.items()}
    assert states == {n: NotificationState.FAILED if n in faulty else NotificationState.SENT for n in range(count)}
    assert Counter(n for group, is_taken in played.calls for n in group if is_taken) == Counter(set(range(count)) - faulty)


def test_five_hundred_with_one_faulty_one_take_nineteen_calls_and_nine_messages() -> None:
    played = play(500, {137})
    assert (len(played.calls), sum(is_taken for _, is_taken in played.calls)) == (19, 9)


@pytest.mark.parametrize(("count", "sizes"), [(2, [1, 1]), (3, [2, 1]), (500, [250, 250])])
def test_neither_half_is_empty(count: int, sizes: list[int]) -> None:
    halves = bundle.halves(range(count))
    assert [len(half) for half in halves] == sizes
    assert [number for half in halves for number in half] == list(range(count))


HALVED = attempt(1, state=AttemptState.NOT_SENT, sent_with="a0", half="a7", reason="our text is too long")
RELEASED = attempt(2, state=AttemptState.NOT_SENT, sent_with="a8")


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (page(attempts=(HALVED,)), "a7"),
        (page(attempts=(HALVED, RELEASED)), "a8"),
        (page(attempts=(HALVED, replace(HALVED, id="a2", sent_with="a7", half="a9"))), "a9"),
        (page(attempts=(attempt(1, Result.TEMPORARY_FAILURE, sent_with="a0", half="a7"),)), "a7"),
        (page(attempts=(HALVED, attempt(2, Result.IN_DOUBT, sent_with="a3"))), "a3"),
        (page(attempts=(HALVED, attempt(2, Result.TEMPORARY_FAILURE))), ""),
    ],
)
def test_a_half_leaves_by_itself(row: NotificationFacts, key: str) -> None:
    assert bundle.company(row) == key


def test_what_was_refused_together_uses_up_no_attempt_and_is_due_at_once() -> None:
    row = lifecycle.claim(page(max_attempts=1), attempt(1, sent_with="a0"), now=NOW).after
    apart = lifecycle.set_apart(row, "a1", REFUSED, half="a9", now=NOW)
    assert (apart.event, apart.after.state, apart.after.due_at) == ("released", NotificationState.QUEUED, NOW)
    (refused,) = apart.after.attempts
    assert (refused.sent_with, refused.half, refused.code, refused.result) == ("a0", "a9", "21617", None)
    assert used_up(apart.after) == ()


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (REFUSED, "our text is too long"),
        (replace(REFUSED, reason=""), "21617"),
        (replace(REFUSED, reason="", code=""), "its content was refused"),
    ],
)
def test_a_refusal_without_words_halves_all_the_same(outcome: Outcome, reason: str) -> None:
    row = lifecycle.claim(page(), attempt(1, sent_with="a0"), now=NOW).after
    (refused,) = lifecycle.set_apart(row, "a1", outcome, half="a9", now=NOW).after.attempts
    assert (refused.is_halved, refused.reason) == (True, reason)


def test_what_the_provider_reported_on_was_sent_after_all_and_is_in_doubt() -> None:
    row = lifecycle.claim(page(), attempt(1, sent_with="a0"), now=NOW).after
    receipt = Receipt(provider="p", event_id="e", result=Result.ACCEPTED)
    reported = lifecycle.receive(row, "a1", receipt, schedule=SCHEDULE, now=NOW, fraction=0.5).after
    (sent,) = lifecycle.set_apart(reported, "a1", REFUSED, half="a9", now=NOW).after.attempts
    assert (sent.is_halved, sent.sent_with, sent.result, sent.is_doubted) == (False, "a0", Result.ACCEPTED, True)


def test_only_what_was_refused_or_broke_off_is_kept_out_of_messages_with_others() -> None:
    broken = attempt(1, Result.IN_DOUBT, sent_with="a7", is_doubted=True, code=BROKE_OFF)
    carried = attempt(1, Result.TEMPORARY_FAILURE, sent_with="a7")
    kept = [
        bundle.apart(page("voice", NotificationState.QUEUED, *each, id="n1")) for each in ((), (carried,), (HALVED,), (broken,))
    ]
    assert kept == ["", "", "a7", "n1"]
