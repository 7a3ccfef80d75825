"""Starts and ends silences, and carries out their begins and ends, in sets; a sweep goes on with what was cut short."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from functools import partial

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.limits.silences import AGAIN_WITHIN, LONGEST, Silence, is_again
from notifyflow.errors import SilenceNotFound
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.transaction import sparing, use_case
from notifyflow.pipeline.transaction.ports import NOTHING, Committed, Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction

_SET = 100
_MOST = 1_000
LOST_RIGHT = "notifyflow, since its author may no longer operate"
"""Who ended a silence whose author has lost the permission."""
_CRITICAL = "CRITICAL incidents are silenced until {until}"
_AGAIN = "a silence was started again within an hour, until {until}"
_LOOK = "; `notifyflow silence list` says by whom and why ({id})"


def start(deps: Dependencies, silence: Silence) -> FollowUps:
    """Store a validated silence, and begin it if its time has come; operations is told of one that needs a look."""

    def body(tx: Transaction) -> None:
        earlier = tx.ledger.silences.recent(since=silence.begins_at - AGAIN_WITHIN - LONGEST, limit=_MOST)
        if silence.is_for_critical:
            tx.notices.append(_notice(_CRITICAL, silence))
        if is_again(silence, earlier):
            tx.notices.append(_notice(_AGAIN, silence))
        tx.ledger.silences.add(replace(silence, due_at=silence.begins_at))

    return use_case.run(deps, body).follow_ups + carry_out(deps, silence.id)


def _notice(reason: str, silence: Silence) -> tuple[str, str]:
    """Return what operations is told of a silence, and about what; neither its author nor what it covers, which are personal."""
    until = text.instant(silence.ends_at.astimezone(UTC), now=silence.created_at)
    return (reason + _LOOK).format(until=until, id=silence.id), "silences"


def end(deps: Dependencies, silence_id: str, *, by: str) -> Committed[bool]:
    """End a silence early; return whether it was not over.

    Raises:
        SilenceNotFound: When there is no such silence.
    """

    def body(tx: Transaction) -> bool:
        silence = tx.ledger.silences.lock(silence_id)
        if silence is None:
            raise SilenceNotFound(silence_id)
        if silence.ended_at is not None or silence.ends_at <= tx.now:
            return False
        tx.ledger.silences.save(silence, replace(silence, ended_at=tx.now, ended_by=by, due_at=tx.now))
        return True

    was_ended, follow_ups = use_case.run(deps, body)
    return Committed(was_ended, follow_ups + (carry_out(deps, silence_id) if was_ended else NOTHING))


def jobs(deps: Dependencies) -> Iterator[Callable[[], FollowUps]]:
    """Yield what is due of silences: begins, ends, and those whose author may no longer operate.

    One that cannot be read ends at its time like the others, within the five minutes after which a damaged row is tried again.
    """
    done = use_case.run(deps, lambda tx: (tx.ledger.silences.standing(now=tx.now), tx.ledger.silences.unread()))
    standing, damaged = done.value
    yield lambda: done.follow_ups
    now = deps.clock.now()
    yield from (partial(carry_out, deps, each) for each in sorted(damaged))
    for silence, is_allowed in standing:
        if not is_allowed and silence.until > now and silence.ended_at is None:
            yield partial(_void, deps, silence.id)
        elif silence.due_at is not None and silence.due_at <= now:
            yield partial(carry_out, deps, silence.id)


def _void(deps: Dependencies, silence_id: str) -> FollowUps:
    return end(deps, silence_id, by=LOST_RIGHT).follow_ups


def carry_out(deps: Dependencies, silence_id: str) -> FollowUps:
    """Carry out a silence's begin or end, as far as it is due."""
    total, looked_to = NOTHING, ""
    while True:
        done = sparing.run(deps, partial(_carry_on, silence_id=silence_id, looked_to=looked_to))
        total += done.follow_ups
        if done.value is None:
            return total
        looked_to = done.value


def _carry_on(tx: Transaction, silence_id: str, looked_to: str) -> str | None:
    """Carry out the next part.

    Args:
        tx: The transaction.
        silence_id: The silence.
        looked_to: The last incident in which a page was looked for that no claim had found when the silence ended.

    Returns:
        The incident to go on after; None if no more is due.
    """
    standing = {silence.id: is_allowed for silence, is_allowed in tx.ledger.silences.standing(now=tx.now)}
    known, is_allowed = tx.ledger.silences.find(silence_id), standing.get(silence_id, False)
    if known is None or known.due_at is None:
        return None
    if known.until <= tx.now:
        return _end_some(tx, known, looked_to, has_kept=is_allowed and known.begins_at < known.until)
    is_due = silence_id in standing and known.begins_at <= tx.now and not known.is_begun
    return looked_to if is_due and _begin_some(tx, known) else None


def _begin_some(tx: Transaction, known: Silence) -> bool:
    """Hold the next of the incidents that are open when a silence begins; return whether there are more."""
    ids = tx.ledger.silences.unresolved_after(known.marked_to, limit=_SET)
    holds.hold_all(tx, _lock(tx, ids), [known])
    silence = tx.ledger.silences.lock(known.id)
    if silence is None or silence.ended_at is not None:
        return silence is not None
    is_begun = len(ids) < _SET
    marked_to = ids[-1] if ids else silence.marked_to
    due_at = silence.ends_at if is_begun else silence.due_at
    tx.ledger.silences.save(silence, replace(silence, marked_to=marked_to, is_begun=is_begun, due_at=due_at))
    return not is_begun


def _end_some(tx: Transaction, known: Silence, looked_to: str, *, has_kept: bool) -> str | None:
    """Carry out the next part of a silence's end, and return as ``_carry_on``.

    If it ``has_kept`` pages, those that no claim has found yet are held like the others. All incidents are released; then what
    waited leaves together.
    """
    if has_kept and (ids := tx.ledger.silences.unclaimed(known, after=looked_to, now=tx.now, limit=_SET)):
        holds.hold_until_end(tx, _lock(tx, ids), known)
        return ids[-1]
    if ids := tx.ledger.silences.held_by(known.id, at=known.until, limit=_SET):
        _lock(tx, ids)
        tx.ledger.silences.release(ids, [known.id], at=known.until)
        holds.compute_again(tx, ids)
        return looked_to
    holds.tell_operations(tx, _lock(tx, tx.ledger.silences.with_held_alerts(known.id)))
    silence = tx.ledger.silences.lock(known.id)
    if silence is not None:
        if has_kept:
            holds.defer_unclaimed(tx, silence)
        tx.ledger.notifications.free_from(known.id, now=tx.now)
        tx.ledger.silences.save(silence, replace(silence, due_at=None, is_begun=True))
    return None


def _lock(tx: Transaction, incident_ids: Sequence[str]) -> list[IncidentFacts]:
    """Lock and return incidents, by id; those that cannot be read are left out."""
    tx.ledger.incidents.lock_many(incident_ids)
    if incident_ids:
        tx.ledger.incidents.load_contents(incident_ids)
    return [found for each in incident_ids if (found := tx.ledger.incidents.find(each, is_locked=True)) is not None]
