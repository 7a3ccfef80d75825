"""Decides, inside the claim's transaction, which numbers are called now: each gets one call at a time.

The lock of the provider's row, which every claim of a channel takes before it looks, lets one claim see the call of another.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from notifyflow.core.copies import replace
from notifyflow.core.delivery import calls
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Kind, Severity
from notifyflow.core.limits import lanes as storms
from notifyflow.core.limits.lanes import Departure
from notifyflow.core.messages import bundle
from notifyflow.pipeline.limits import lanes
from notifyflow.pipeline.limits.attempts import Candidate
from notifyflow.pipeline.limits.lanes import Crowd, Judge, Leaving
from notifyflow.pipeline.transaction.running import Transaction


def leave(
    tx: Transaction,
    channel: str,
    candidates: Sequence[Candidate],
    judge: Judge,
    lock: Callable[[], None],
    *,
    takes_others: bool,
) -> Leaving:
    """Return the calls to make now: one to each free number, about everything that is due there.

    What finds its number taken waits until the call under way counts as over; a sweep brings it forward when the call ends. In a
    storm, what comes after a call waits for the beat as well, so that a short call is not followed by another at once. A page
    that nobody took waits for the next call, which comes a minute after the last one at the latest. A page whose policy forbids
    bundling gets a call of its own, and the others of its number wait for that.
    """
    leaving, crowds = Leaving(), dict[str, Crowd]()
    for each in candidates:
        if each.lane and each.row.kind is Kind.PAGE:
            crowds.setdefault(each.lane, Crowd(each.lane, [], None, ())).wanted.append(each)
        else:  # it does not leave, or not to a person
            leaving.calls.append((each,))
    if not crowds:
        return leaving
    bundled = {each.id: each for each in crowds.values() if any(lanes.is_bundled(tx, page) for page in each.wanted)}
    if bundled:
        _look(tx, channel, bundled, judge, leaving, takes_others=takes_others)
    lock()
    taken = tx.ledger.attempts.numbers_taken(sorted(crowds), now=tx.now)
    for crowd in crowds.values():
        _leave(tx, crowd, taken.get(crowd.id), leaving)
    lanes.save_all(tx, crowds.values())
    return leaving


def _look(
    tx: Transaction, channel: str, crowds: Mapping[str, Crowd], judge: Judge, leaving: Leaving, *, takes_others: bool
) -> None:
    """Read the state of the lanes, and take what else is due or waits in them."""
    lanes.look(tx, crowds, as_for=[Severity.CRITICAL], counts_queued=takes_others)
    lanes.note_storms(tx, crowds.values())
    if any(crowd.queued > sum(each.row.lane == crowd.id for each in crowd.wanted) for crowd in crowds.values()):
        wanted = [each for crowd in crowds.values() for each in crowd.wanted]
        leaving.others, others = lanes.take_others(tx, wanted, judge, due_by=tx.now + storms.TAKEN_EARLY)
        for lane_id, found in others.items():
            crowd = crowds[lane_id]
            crowd.others += [each for each in found if _is_ready(tx, each.row, crowd)]
    lanes.lock_all(tx, channel, crowds)


def _is_ready(tx: Transaction, row: NotificationFacts, crowd: Crowd) -> bool:
    """Return whether a page is due, waits, or may be called a little early."""
    is_due = row.waits_until is not None or (row.due_at is not None and row.due_at <= tx.now)
    return is_due or storms.is_called_again(row, crowd.lane, now=tx.now)


def _leave(tx: Transaction, crowd: Crowd, taken_until: datetime | None, leaving: Leaving) -> None:
    """Call a number, or let its pages wait for the call under way or for the beat."""
    present, lane = crowd.present, crowd.lane
    beat_at = None if taken_until else _beat(tx, crowd, present)
    call = [] if taken_until or beat_at else _call(tx, present)
    leaving.calls += [call] if call else []
    until = taken_until or beat_at or calls.first_over_at(tx.now, is_end_told=True)
    called = {each.row.id for each in call}
    waiting = [each for each in crowd.wanted if each.row.id not in called]
    first = next((row.id for row in calls.in_turn(each.row for each in present if each.row.id not in called)), "")
    for each in waiting:  # the first takes the others with it
        due_at = until if each.row.id == first else until + storms.LEAD
        lanes.postpone(tx, each, due_at=due_at, until=due_at)
    leaving.waiting += len(waiting)
    if lane is not None:
        after = storms.go_on(lane, (each.row for each in present), now=tx.now)
        crowd.lane = storms.left(after, now=tx.now) if call else replace(after, beat_at=beat_at)


def _beat(tx: Transaction, crowd: Crowd, present: Sequence[Candidate]) -> datetime | None:
    """Return the beat for which all pages of a lane wait; None without a storm, or if one of them leaves now."""
    if crowd.lane is None or not all(lanes.is_bundled(tx, each) for each in present):
        return None
    rows = [replace(each.row, waits_until=None) for each in present]  # what waited for a call has not waited for the beat
    longest = tx.deps.capabilities(rows[0].channel).beat
    untils = []
    for row, earlier in zip(rows, lanes.earlier_pages(tx, crowd, rows), strict=True):
        patience = storms.patience(row, earlier, longest)
        departure, until = storms.call_departure(row, crowd.lane, crowd.arrivals, patience, now=tx.now)
        if departure is not Departure.WAITS:
            return None
        untils.append(until)
    return min(untils)


def _call(tx: Transaction, pages: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the pages of the next call to a number, in the order in which it says them."""
    by_id = {each.row.id: each for each in pages}
    ordered = [by_id[row.id] for row in calls.in_turn(each.row for each in pages)]
    if not lanes.is_bundled(tx, ordered[0]):
        return ordered[:1]
    apart = bundle.apart(ordered[0].row)
    return [each for each in ordered if lanes.is_bundled(tx, each) and bundle.apart(each.row) == apart][: lanes.MOST]
