"""Decides, inside the claim's transaction, what leaves each lane now: alone, together, or after a wait for others."""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Kind, Severity
from notifyflow.core.limits import lanes
from notifyflow.core.limits.lanes import Arrivals, Class, Departure, Lane, Start
from notifyflow.core.messages import bundle
from notifyflow.pipeline.limits.attempts import Candidate, blaming
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.running import Transaction

MOST = 500
"""How many pages one message carries at most."""

Judge = Callable[[NotificationFacts], Candidate | None]
"""(notification) → the notification with all that its attempt needs, or None if it may not be sent now."""


@dataclass(slots=True)
class Leaving:
    """What leaves now.

    Attributes:
        calls: The notifications of each call, the most severe first.
        others: Pages that were claimed beside the given ones, since they are in the same lanes.
        given_way: Pages that silences have released, and that leave with those that another claim holds.
        waiting: Number of those that wait from now on.
    """

    calls: list[Sequence[Candidate]] = field(default_factory=list)
    others: tuple[NotificationFacts, ...] = ()
    given_way: frozenset[str] = frozenset()
    waiting: int = 0


@dataclass(slots=True)
class Crowd:
    """The pages in one lane.

    Attributes:
        wanted: Those that are claimed.
        lane: The lane; None if it has had no storm.
        queued: How many notifications are queued in it, if they were counted.
        others: Others that are due, or wait; they leave only with one that is claimed.
        starting: The storms that begin with them.
        stored: The lane as it is stored, if it is locked.
    """

    id: str
    wanted: list[Candidate]
    lane: Lane | None
    arrivals: Sequence[Arrivals]
    queued: int = 0
    others: list[Candidate] = field(default_factory=list)
    starting: dict[Class, Start] = field(default_factory=dict)
    stored: Lane | None = None

    @property
    def present(self) -> Sequence[Candidate]:
        """All of them."""
        return (*self.wanted, *self.others)


def leave(
    tx: Transaction, channel: str, candidates: Sequence[Candidate], judge: Judge, *, room: int, takes_others: bool
) -> Leaving:
    """Return the calls to make now for some candidates; the others wait.

    In a lane without a storm, in which nothing was deferred, each leaves by itself, and one statement has looked. What waits in a
    lane is read only when a page leaves with it.

    Args:
        tx: The transaction.
        channel: The channel.
        candidates: Notifications that are due.
        judge: Returns whether another notification may be sent now.
        room: How many of the candidates, the first ones, may leave by themselves.
        takes_others: False where only the given ones may be written.
    """
    leaving = Leaving()
    crowds: dict[str, Crowd] = {}
    for number, each in enumerate(candidates):
        if is_bundled(tx, each):
            crowd = crowds.setdefault(each.lane, Crowd(each.lane, [], None, ()))
            (crowd.wanted if number < room else crowd.others).append(each)
        elif number < room:
            leaving.calls.append((each,))
    if crowds:
        look(tx, crowds)
        _gather(tx, channel, crowds, judge, leaving, takes_others=takes_others)
        for crowd in crowds.values():
            leaving.calls += _leave_lane(tx, crowd, leaving)
        save_all(tx, crowds.values())
        place = {each.row.id: number for number, each in enumerate(candidates)}
        leaving.calls.sort(key=lambda call: min(place.get(each.row.id, len(place)) for each in call))
    return leaving


def is_bundled(tx: Transaction, candidate: Candidate) -> bool:
    """Return whether a notification may leave with others; not a status update that edits a page, nor one of a hand-over.

    What a silence has held leaves with others also where bundling is off.
    """
    row, policy = candidate.row, candidate.escalation.policy
    capabilities = tx.deps.capabilities(row.channel)
    is_wanted = (tx.deps.is_bundling and policy.bundling) or row.has_been_silenced
    is_on = is_wanted and capabilities.is_bundled and candidate.lane != ""
    is_update_of_others = row.namespace != namespaces.OPERATIONS and not capabilities.is_edited_in_place
    return is_on and (row.kind is Kind.PAGE or is_update_of_others)


def look(tx: Transaction, crowds: Mapping[str, Crowd], *, as_for: Collection[Severity] = (), counts_queued: bool = False) -> None:
    """Read the state of the lanes as for the pages that are there, and for pages of some severities."""
    wanted: dict[tuple[str, Class], Severity] = {}
    for crowd in crowds.values():
        severities = {*as_for, *(each.row.severity for each in crowd.present)}
        for severity in sorted(severities, key=lambda each: -each.rank):  # the most severe of a class
            wanted[crowd.id, lanes.class_of(severity)] = severity
    as_read = [(lane_id, each) for (lane_id, _), each in wanted.items()]
    states = tx.ledger.lanes.read(as_read, now=tx.now, counts_queued=counts_queued)
    for lane_id, crowd in crowds.items():
        crowd.lane, crowd.arrivals = states.lanes.get(lane_id), states.arrivals.get(lane_id, ())
        crowd.queued = states.queued.get(lane_id, 0)


def note_storms(tx: Transaction, crowds: Iterable[Crowd]) -> None:
    """Note the storms that begin with the pages in some lanes."""
    for crowd in crowds:
        first = {lanes.class_of(row.severity) for row in _first_attempts(crowd) if row.kind is Kind.PAGE}
        for severities in sorted(first):
            is_on = crowd.lane is not None and lanes.is_stormy(crowd.lane, severities, now=tx.now)
            if not is_on and lanes.may_begin(crowd.arrivals, severities):
                start = tx.ledger.lanes.start(crowd.id, severities, now=tx.now)
                if start is not None:
                    crowd.starting[severities] = start


def _is_crowded(tx: Transaction, crowd: Crowd) -> bool:
    """Return whether there may be others to leave with, or to wait for."""
    is_stormy = crowd.lane is not None and any(lanes.is_stormy(crowd.lane, each, now=tx.now) for each in Class)
    was_held = any(lanes.was_held(each.row) for each in crowd.present)
    has_company = was_held or any(lanes.joins(row, now=tx.now) for row in _first_attempts(crowd))
    has_company |= any(bundle.company(each.row) for each in crowd.present)
    return bool(crowd.starting) or is_stormy or has_company


def _first_attempts(crowd: Crowd) -> list[NotificationFacts]:
    return [each.row for each in crowd.present if not each.row.attempts]


def _gather(
    tx: Transaction, channel: str, crowds: dict[str, Crowd], judge: Judge, leaving: Leaving, *, takes_others: bool
) -> None:
    """Take what leaves with the claimed pages, and lock the lanes with storms.

    If a lane's message leaves now, but none of its pages has room in this claim, the lane is left to the next claim.
    """
    note_storms(tx, crowds.values())
    crowded = {each.id: each for each in crowds.values() if _is_crowded(tx, each)}
    leaving_together = [each for each in crowded.values() if _may_have_company(tx, each)]
    for crowd in leaving_together:
        if not crowd.wanted:
            del crowds[crowd.id], crowded[crowd.id]
    pages = [each for crowd in leaving_together if crowd.wanted for each in crowd.present]
    if pages and takes_others:
        leaving.others, others = take_others(tx, pages, judge)
        for lane_id, found in others.items():
            crowded[lane_id].others += found
        _gather_released(tx, crowds, judge, leaving)
    lock_all(tx, channel, {each.id: each for each in crowded.values() if each.id in crowds})


def _gather_released(tx: Transaction, crowds: dict[str, Crowd], judge: Judge, leaving: Leaving) -> None:
    """Let all that silences have released in a lane leave by one claim, though several have locked parts of it.

    The claim that has the first page waits for the others; they give way, so that no two wait for each other.
    """
    lanes_of = {each.id for each in crowds.values() if any(_is_released(page.row) for page in each.present)}
    found = tx.ledger.work.released(lanes_of, now=tx.now) if lanes_of else {}
    missing = {row_id: lane for row_id, (lane, is_locked) in found.items() if not is_locked}
    if not missing:
        return
    contested = set(missing.values())
    first = min(row_id for row_id, (lane, _) in found.items() if lane in contested)
    if first in missing:
        leaving.given_way = frozenset(each.row.id for lane in contested for each in crowds.pop(lane).present)
        return
    rows = tx.ledger.work.wait_for(missing, now=tx.now)
    leaving.others += rows
    for candidate in _judged(tx, rows, judge):
        crowds[candidate.lane].others.append(candidate)


def _is_released(row: NotificationFacts) -> bool:
    return row.has_been_silenced and row.deferred_by is not None


def _may_have_company(tx: Transaction, crowd: Crowd) -> bool:
    """Return whether a page may leave with others of its lane, rather than alone, or wait for them."""
    if crowd.starting or any(bundle.company(each.row) for each in crowd.present):
        return True
    return any(departure in (Departure.TOGETHER, Departure.WITH_ALL) for _, departure, _ in _departures(tx, crowd))


def take_others(
    tx: Transaction, wanted: Sequence[Candidate], judge: Judge, *, due_by: datetime | None = None
) -> tuple[tuple[NotificationFacts, ...], Mapping[str, Sequence[Candidate]]]:
    """Claim the other pages of some pages' lanes that are due or wait; return them all, and by lane those that may be bundled."""
    others: dict[str, list[Candidate]] = defaultdict(list)
    known = {each.row.id for each in wanted}
    found = tx.ledger.work.claim_lanes({each.lane for each in wanted}, known, now=due_by or tx.now, limit=MOST)
    for candidate in _judged(tx, found, judge):
        others[candidate.lane].append(candidate)
    return found, others


def _judged(tx: Transaction, rows: Sequence[NotificationFacts], judge: Judge) -> Iterator[Candidate]:
    """Yield those of some pages that may be bundled in their lanes."""
    with suppress(*use_case.DAMAGE):  # a damaged row is blamed when it is judged
        tx.ledger.escalations.load_pages(rows)
    for row in rows:
        with blaming(row):
            candidate = judge(row)
            if candidate and candidate.lane == row.lane and is_bundled(tx, candidate):  # another address may be used now
                yield candidate


def lock_all(tx: Transaction, channel: str, crowded: Mapping[str, Crowd]) -> None:
    """Lock the lanes with storms, by id, and begin those that start."""
    stormy = [each.id for each in crowded.values() if each.starting or each.lane is not None]
    if not stormy:
        return
    for lane_id, lane in tx.ledger.lanes.lock(stormy, channel).items():
        crowd = crowded[lane_id]
        crowd.stored = lane
        for severities, start in crowd.starting.items():
            lane = lanes.begin(lane, severities, start, now=tx.now)
        crowd.lane = lane


def save_all(tx: Transaction, crowds: Iterable[Crowd]) -> None:
    """Write the locked lanes."""
    tx.ledger.lanes.save([(each.stored, each.lane) for each in crowds if each.stored is not None and each.lane is not None])


def _leave_lane(tx: Transaction, crowd: Crowd, leaving: Leaving) -> Iterator[Sequence[Candidate]]:
    """Yield the calls that leave a lane now; let the others wait."""
    everyone = _departures(tx, crowd)
    ways = {departure for _, departure, _ in everyone}
    is_beat, is_together = Departure.WITH_ALL in ways, not ways.isdisjoint((Departure.WITH_ALL, Departure.TOGETHER))
    calls: dict[Hashable, list[Candidate]] = defaultdict(list)
    waiting: list[tuple[Candidate, datetime]] = []
    for number, (each, departure, until) in enumerate(everyone):
        key, is_wanted = _call(each, is_together=is_together), number < len(crowd.wanted)
        if departure is Departure.WAITS and not is_beat:
            waiting.append((each, until))
            leaving.waiting += is_wanted or each.row.waits_until is None
        elif is_wanted or key in calls or (is_beat and not each.row.attempts):  # nobody has room for other calls
            calls[key].append(each)
    _postpone_all(tx, crowd, waiting, is_beat=is_beat)
    for call in calls.values():
        call.sort(key=lambda each: bundle.order(each.escalation.severity, each.row))
        yield from (call[start : start + MOST] for start in range(0, len(call), MOST))


def _departures(tx: Transaction, crowd: Crowd) -> Sequence[tuple[Candidate, Departure, datetime]]:
    """Return how each page of a lane leaves, and at the latest when."""
    beat = tx.deps.capabilities(crowd.present[0].row.channel).beat
    earlier = earlier_pages(tx, crowd, [each.row for each in crowd.present])
    return [
        (each, *lanes.departure(each.row, crowd.lane, crowd.arrivals, lanes.patience(each.row, pages, beat), now=tx.now))
        for each, pages in zip(crowd.present, earlier, strict=True)
    ]


def earlier_pages(tx: Transaction, crowd: Crowd, rows: Sequence[NotificationFacts]) -> Iterator[Sequence[NotificationFacts]]:
    """Yield for each row the pages of its escalation, if what they have waited counts for it."""
    counts = [
        crowd.lane is not None and row.severity is Severity.CRITICAL and (row.tier or 0) > 1 and not row.attempts for row in rows
    ]
    tx.ledger.notifications.load({row.escalation_id for row, is_later in zip(rows, counts, strict=True) if is_later})
    for row, is_later in zip(rows, counts, strict=True):
        yield tx.ledger.notifications.of(row.escalation_id) if is_later else ()


def _call(candidate: Candidate, *, is_together: bool) -> Hashable:
    """Return the key of the call that carries a page: a retry that nobody held leaves with its last company."""
    row = candidate.row
    if row.attempts and not lanes.was_held(row):
        return bundle.company(row) or row.id
    return (row.kind, row.namespace, candidate.contact.recipient_id) if is_together else row.id


def _postpone_all(tx: Transaction, crowd: Crowd, waiting: Sequence[tuple[Candidate, datetime]], *, is_beat: bool) -> None:
    """Let pages wait, and note in the lane what leaves and waits."""
    if crowd.lane is None:
        return
    lane = lanes.go_on(crowd.lane, (each.row for each in crowd.present), now=tx.now)
    if is_beat:
        lane = lanes.left(lane, now=tx.now)
    for each, until in waiting:
        if each.row.waits_until is None or each.row.due_at is None or each.row.due_at <= tx.now:
            lane, due_at = lanes.add_waiting(lane, until, now=tx.now)
            postpone(tx, each, due_at=due_at, until=until)
    crowd.lane = lane


def postpone(tx: Transaction, candidate: Candidate, *, due_at: datetime, until: datetime) -> None:
    """Let a page wait; the log says so once."""
    row = candidate.row
    with blaming(row):
        after = replace(lifecycle.postpone(row, due_at=due_at, until=until, now=tx.now).after, lane=candidate.lane)
        if row.waits_until is None:
            tx.ledger.move(row, after, event="postponed", at=tx.now, detail={"until": until.isoformat(timespec="seconds")})
        else:
            tx.ledger.save(row, after)
