"""When a phone call is over, so that the next one to its number may begin; and which titles nobody has heard; pure.

``over_at`` of the attempt that makes the call is when the number counts as free. It is set ahead when the call begins, put off
while the provider says that the call goes on, and brought forward by the receipt that ends it: nothing that goes wrong leaves a
number taken for longer than ``LONGEST``.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count

from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import AttemptState, Receipt, Result

WITHOUT_RECEIPTS = timedelta(seconds=60)
"""How long a call counts as under way if nothing will say when it ends."""

ASKED_AFTER = timedelta(seconds=90)
ASKED_EVERY = timedelta(seconds=30)
"""When and how often a provider is asked whether a call still goes on."""

ANSWERED_WITHIN = timedelta(seconds=15)
"""How long the answer may take: three polls."""

LONGEST = timedelta(minutes=5)
"""After this long a number is free, whatever happened to the call."""

UNSAID = "unsaid"
"""The code of an attempt whose call was heard, but not as far as its title."""

UNSAID_REASON = "the call was heard, but not as far as its title"

UNHEARD = "unheard"
"""Why a notification is FAILED whose title was not begun in any of several calls."""

_CALLS = 3
_WITHIN = timedelta(minutes=10)
_FAILURES = (Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE)


def first_over_at(started_at: datetime, *, is_end_told: bool) -> datetime:
    """Return when a call that begins now counts as over unless a report says more.

    Args:
        started_at: When it was claimed.
        is_end_told: Whether the provider reports the end, or can be asked for it.
    """
    return started_at + (ASKED_AFTER + ANSWERED_WITHIN if is_end_told else WITHOUT_RECEIPTS)


def is_to_ask(over_at: datetime, now: datetime) -> bool:
    """Return whether the provider is to be asked now whether a call still goes on."""
    return over_at - ANSWERED_WITHIN <= now < over_at


def over_at_once_asked(started_at: datetime, now: datetime) -> datetime:
    """Return when a call counts as over whose provider is being asked; ``is_to_ask`` is true again before that."""
    return min(now + ASKED_EVERY + ANSWERED_WITHIN, started_at + LONGEST)


def record(before: AttemptFacts, after: AttemptFacts, *, now: datetime) -> AttemptFacts:
    """Return an attempt that was recorded, with the end of its call.

    A call that the provider refused is over at once. One in doubt counts as under way for as long as one without receipts: if it
    was made, its first receipt says so.
    """
    after = _keep_unsaid(before, after)
    if after.over_at is None or after.result is Result.ACCEPTED or after.evidence is not None:
        return after
    is_doubted = after.result is Result.IN_DOUBT
    return replace(after, over_at=min(after.over_at, after.started_at + WITHOUT_RECEIPTS if is_doubted else now))


def receive(before: AttemptFacts, after: AttemptFacts, receipt: Receipt, *, now: datetime) -> AttemptFacts:
    """Return an attempt to which a receipt was applied, with the end of its call.

    A failure ends the call (a provider reports one when nobody answers, or when somebody hangs up), a pressed key does not. The
    first sign of a call that was in doubt shows that there are receipts.
    """
    after = _keep_unsaid(before, after, receipt)
    if after.over_at is None or after.over_at <= now:
        return after
    if receipt.result in _FAILURES and not receipt.is_key_press:
        return replace(after, over_at=now)
    if after.is_doubted and receipt.result is Result.ACCEPTED:
        return replace(after, over_at=max(after.over_at, first_over_at(after.started_at, is_end_told=True)))
    return after


def _keep_unsaid(before: AttemptFacts, after: AttemptFacts, receipt: Receipt | None = None) -> AttemptFacts:
    """Keep the code of a title that somebody did not hear, in whatever order the key and the end of the call are reported."""
    is_unsaid = before.code == UNSAID or (receipt is not None and receipt.code == UNSAID)
    is_decided = after.result in (Result.DELIVERED, Result.PERMANENT_FAILURE)
    return replace(after, code=UNSAID, reason=UNSAID_REASON) if is_unsaid and not is_decided else after


def in_turn(rows: Iterable[NotificationFacts]) -> tuple[NotificationFacts, ...]:
    """Return the notifications of a call in the order in which it says their titles.

    The most severe come first; of these, those that the call before did not say. Equal ones take turns by namespace, in each the
    oldest first.
    """
    turns: dict[tuple[object, ...], Iterator[int]] = defaultdict(count)
    placed = []
    for row in sorted(rows, key=lambda row: (row.created_at, row.id)):
        before = [each for each in row.attempts if each.state is not AttemptState.NOT_SENT][-1:]
        rank = row.severity.rank, not (before and is_unsaid(before[0]))
        turn = next(turns[(*rank, row.namespace)])
        placed.append(((*rank, turn, row.created_at, row.id), row))
    return tuple(row for _, row in sorted(placed, key=lambda each: each[0]))


def is_unsaid(attempt: AttemptFacts) -> bool:
    """Return whether an attempt's call ended before its title was begun, or had no time for it."""
    return attempt.result is Result.TEMPORARY_FAILURE and (attempt.code == UNSAID or not attempt.is_named)


def is_unheard(attempts: Sequence[AttemptFacts]) -> bool:
    """Return whether three calls in ten minutes were too short for a title; ``attempts`` are those that count, in order."""
    last = attempts[-_CALLS:]
    return len(last) == _CALLS and all(map(is_unsaid, last)) and last[-1].started_at - last[0].started_at <= _WITHIN
