"""Decides, inside the claim's transaction, which numbers are called now: each gets one call at a time.

The lock of the provider's row, which every claim of a channel takes before it looks, lets one claim see the call of another.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from notifyflow.core.delivery import calls
from notifyflow.core.delivery.model import Kind
from notifyflow.pipeline.delivery import lanes
from notifyflow.pipeline.delivery.attempts import Candidate
from notifyflow.pipeline.delivery.lanes import Judge, Leaving
from notifyflow.pipeline.transaction.running import Transaction


def leave(
    tx: Transaction, candidates: Sequence[Candidate], judge: Judge, lock: Callable[[], None], *, takes_others: bool
) -> Leaving:
    """Return the calls to make now: one to each free number, about everything that is due there.

    What finds its number taken waits until the call under way counts as over; a sweep brings it forward when the call ends. A
    page whose policy forbids bundling gets a call of its own, and the others of its number wait for that.
    """
    leaving, wanted = Leaving(), defaultdict[str, list[Candidate]](list)
    for each in candidates:
        if each.lane and each.row.kind is Kind.PAGE:
            wanted[each.lane].append(each)
        else:  # it does not leave, or not to a person
            leaving.calls.append((each,))
    if not wanted:
        return leaving
    others: Mapping[str, Sequence[Candidate]] = {}
    if takes_others and any(lanes.is_bundled(tx, each) for each in candidates):
        leaving.others, others = lanes.take_others(tx, [each for pages in wanted.values() for each in pages], judge)
    lock()
    taken = tx.ledger.attempts.numbers_taken(sorted(wanted), now=tx.now)
    for lane, pages in wanted.items():
        call = [] if lane in taken else _call(tx, [*pages, *others.get(lane, ())])
        leaving.calls += [call] if call else []
        waiting = [each for each in pages if each not in call]
        until = taken.get(lane) or calls.first_over_at(tx.now, is_end_told=True)
        for each in waiting:
            lanes.postpone(tx, each, due_at=until, until=until)
        leaving.waiting += len(waiting)
    return leaving


def _call(tx: Transaction, pages: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the pages of the next call to a number, in the order in which it says them."""
    by_id = {each.row.id: each for each in pages}
    ordered = [by_id[row.id] for row in calls.in_turn(each.row for each in pages)]
    if not lanes.is_bundled(tx, ordered[0]):
        return ordered[:1]
    return [each for each in ordered if lanes.is_bundled(tx, each)][: lanes.most(tx)]
