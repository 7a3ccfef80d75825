"""Grants the slots of providers inside the claim's transaction; none is reserved ahead."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from notifyflow.core.copies import replace
from notifyflow.core.delivery import held_up, lifecycle, page_rules
from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.facts import NotificationFacts, Outcome
from notifyflow.core.delivery.model import Condition, DeferralReason, Kind, Result, Severity
from notifyflow.core.limits import pauses, provider_health
from notifyflow.core.limits.lanes import HOLDING
from notifyflow.core.limits.pauses import Pause
from notifyflow.core.limits.provider_health import Obstacle, ProviderHealth
from notifyflow.core.limits.silences import CARRIED_OUT_WITHIN
from notifyflow.core.limits.slots import Wanted
from notifyflow.errors import Contended
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.transaction import set_aside, use_case
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetUseCase
from notifyflow.storage.ledger import Due

_DEFERRED_AT_ONCE = 50
_FAILED = (Result.TEMPORARY_FAILURE, Result.IN_DOUBT)


def is_urgent(row: NotificationFacts) -> bool:
    """Return whether a notification may use the slots reserved for CRITICAL."""
    return row.severity is Severity.CRITICAL


def wanted(row: NotificationFacts) -> Wanted:
    """Return the claimant of a notification's slot."""
    return Wanted(namespace=row.namespace, is_urgent=is_urgent(row))


class SlotAllocation:
    """Grants the slots of a channel's providers, the preferred one first, under the locks of their rows."""

    def __init__(self, tx: Transaction, channel: str, providers: Sequence[str]) -> None:
        self._tx = tx
        self._channel = channel
        self._providers = providers
        self._holds: tuple[tuple[Pause, ...], bool] | None = None
        self._before: Mapping[str, ProviderHealth] = {}
        self._health: dict[str, ProviderHealth] = {}

    @property
    def may_be_silenced(self) -> bool:
        """Whether there may be a silence."""
        return self._read_holds()[1]

    def _read_holds(self) -> tuple[tuple[Pause, ...], bool]:
        """Read the pauses, and whether there may be a silence, once."""
        if self._holds is None:
            self._holds = self._tx.ledger.intervals.holds(now=self._tx.now)
        return self._holds

    def lock(self) -> None:
        """Lock the providers' rows until the transaction ends; a second call does nothing."""
        if self._before:
            return
        self._read_holds()
        self._before = self._tx.ledger.providers.lock(self._channel, self._providers)
        self._health = dict(self._before)

    def choose(self, row: NotificationFacts, providers: Sequence[str]) -> str | Obstacle:
        """Grant a slot of one of the providers that may carry a row, and return its name; call ``lock`` before.

        If none has room, return the obstacle that ends first.
        """
        obstacles = []
        for provider in _in_turn(providers, row):
            obstacle = self._obstacle(self._health[provider], row)
            if obstacle is None:
                self._grant(provider, row)
                return provider
            obstacles.append(obstacle)
        return min(obstacles, key=lambda each: each.until)

    def paused_until(self, row: NotificationFacts, provider: str) -> datetime | None:
        """Return when the pauses that cover a row on a provider end; None if none does."""
        return pauses.until(self._read_holds()[0], row.channel, provider, is_urgent=is_urgent(row), now=self._tx.now)

    def save(self) -> None:
        """Write the granted slots."""
        for provider, after in self._health.items():
            self._tx.ledger.providers.save(self._before[provider], after)

    def _obstacle(self, health: ProviderHealth, row: NotificationFacts) -> Obstacle | None:
        now, provider = self._tx.now, health.provider
        if ends_at := self.paused_until(row, provider):
            return Obstacle(why=DeferralReason.PAUSE, until=ends_at, provider=provider)
        return provider_health.obstacle(health, wanted(row), limit=self._tx.deps.limit_of(provider), now=now)

    def _grant(self, provider: str, row: NotificationFacts) -> None:
        now, limit, lease_until = self._tx.now, self._tx.deps.limit_of(provider), self._tx.now + self._tx.deps.lease
        health = self._health[provider]
        self._health[provider] = provider_health.grant(health, wanted(row), limit=limit, now=now, lease_until=lease_until)


def defer(deps: Dependencies, channel: str, obstacles: Mapping[Wanted, Obstacle], *, at: datetime) -> FollowUps:
    """Defer a channel's due notifications that get no slot, the oldest first; no attempt is used up.

    The claim has left these rows untouched, since an escalation's lock comes before its notifications'. An obstacle applies to
    the equally urgent notifications of one namespace: another namespace may have a slot. All that were due at the instant of the
    claim, which may be ahead of our clock, are deferred.
    """

    def body(tx: Transaction) -> None:
        tx.now = max(tx.now, at)
        checked = {each: _recheck(tx, obstacle, channel, is_urgent=each.is_urgent) for each, obstacle in obstacles.items()}
        due = partial(tx.ledger.notifications.due, channel, now=tx.now, limit=_DEFERRED_AT_ONCE)
        _defer(
            tx,
            [
                (row, obstacle)
                for each, obstacle in checked.items()
                if obstacle is not None
                for row in due(each.namespace, is_urgent=each.is_urgent)
            ],
        )

    try:
        return use_case.run(deps, body, tries=use_case.ALONE)[1]
    except use_case.DAMAGE as error:
        if not (set_aside.is_damage(error) or isinstance(error, Contended)):
            raise
        return _defer_apart(deps, channel, obstacles, at=at)


def _defer_apart(deps: Dependencies, channel: str, obstacles: Mapping[Wanted, Obstacle], *, at: datetime) -> FollowUps:
    """Defer, part by part, notifications that a damaged row or another transaction kept from being deferred together."""

    def find(tx: Transaction) -> list[tuple[NotificationFacts, Obstacle]]:
        due = partial(tx.ledger.notifications.due, channel, now=max(tx.now, at), limit=_DEFERRED_AT_ONCE)
        return [(row, why) for each, why in obstacles.items() for row in due(each.namespace, is_urgent=each.is_urgent)]

    def load(tx: Transaction, some: Sequence[tuple[NotificationFacts, Obstacle]]) -> None:
        tx.now = max(tx.now, at)

    def handle(tx: Transaction, loaded: None, one: tuple[NotificationFacts, Obstacle]) -> None:
        row, obstacle = one
        if checked := _recheck(tx, obstacle, channel, is_urgent=is_urgent(row)):
            _defer(tx, [(row, checked)])

    deferring = SetUseCase("defer", load, handle, blames=lambda one: ("notification", one[0].id))
    done = deferring.run(deps, use_case.run(deps, find).value)
    if done.interruption is not None:
        raise done.interruption
    return done.follow_ups


def defer_one(deps: Dependencies, row: NotificationFacts, obstacle: Obstacle, *, at: datetime) -> FollowUps:
    """Defer one notification with an obstacle of its own, if it is as the claim has left it."""

    def body(tx: Transaction) -> None:
        tx.now = max(tx.now, at)
        if obstacle.why is DeferralReason.SILENCE:
            until = holds.until(tx, row.incident_id)
            checked = None if until is None else replace(obstacle, until=until)
        else:
            checked = _recheck(tx, obstacle, row.channel, is_urgent=is_urgent(row))
        if checked:
            _defer(tx, [(row, checked)])
        elif obstacle.why is DeferralReason.SILENCE and holds.was_held(tx, row.incident_id):  # it has just ended
            tx.note_due([Due(notification_id=row.id, channel=row.channel, severity=row.severity)])

    return use_case.run(deps, body)[1]


def record_outcome(tx: Transaction, row: NotificationFacts, provider: str, outcome: Outcome) -> None:
    """Record an attempt's outcome in its provider's health; notifications deferred by its circuit are due when it closes.

    No more are brought forward than the provider's limit lets through before the circuit would have released the rest. The row is
    locked, and given as it was while the attempt ran.
    """
    is_new = not any(each.provider == provider and each.result in _FAILED for each in row.attempts)

    def recorded(health: ProviderHealth) -> ProviderHealth:
        return provider_health.record_outcome(health, outcome.condition, is_new=is_new, throttle_s=outcome.throttle_s, now=tx.now)

    seen = tx.ledger.providers.get(row.channel, provider)
    if seen is not None and seen.circuit_opened_by is not None and outcome.condition is Condition.HEALTHY:
        minutes = provider_health.OPEN_AT_MOST // timedelta(minutes=1)
        limit = tx.deps.limit_of(provider) * minutes  # the rest is due before its turn
        tx.ledger.notifications.bring_forward([seen.circuit_opened_by], channel=row.channel, now=tx.now, limit=limit)
    _update(tx, seen, recorded)


def suspend(tx: Transaction, channel: str, provider: str) -> None:
    """Open a provider's circuit after a receipt that says that it refuses all our messages."""

    def recorded(health: ProviderHealth) -> ProviderHealth:
        return provider_health.record_outcome(health, Condition.REFUSING, is_new=False, throttle_s=None, now=tx.now)

    _update(tx, tx.ledger.providers.get(channel, provider), recorded)


def _update(tx: Transaction, seen: ProviderHealth | None, recorded: Callable[[ProviderHealth], ProviderHealth]) -> None:
    """Update a provider's health, as read without a lock; claims wait for this lock, so nothing slow comes after it."""
    if seen is None or recorded(seen) == seen:  # nearly always: its lock is left to claims
        return
    before = tx.ledger.providers.lock(seen.channel, [seen.provider])[seen.provider]
    after = recorded(before)
    tx.ledger.providers.save(before, after)
    if (before.circuit_opened_by, before.circuit_open_until) != (after.circuit_opened_by, after.circuit_open_until):
        tx.health_updates.append(after)


def _recheck(tx: Transaction, obstacle: Obstacle, channel: str, *, is_urgent: bool) -> Obstacle | None:
    """Check a pause again under its lock, since its end brings deferred notifications forward; return None if it is over."""
    if obstacle.why is not DeferralReason.PAUSE:
        return obstacle
    paused = tx.ledger.intervals.lock_pauses(now=tx.now)
    until = pauses.until(paused, channel, obstacle.provider, is_urgent=is_urgent, now=tx.now)
    return None if until is None else replace(obstacle, until=until)


def _defer(tx: Transaction, due: Sequence[tuple[NotificationFacts, Obstacle]]) -> None:
    """Defer notifications. A new reason is logged, and the escalation decided when the first wait for that reason is over."""
    tx.ledger.escalations.lock_many({row.escalation_id for row, obstacle in due if row.deferred_by is not obstacle.why})
    obstacles = {row.id: obstacle for row, obstacle in due}
    for row in tx.ledger.notifications.lock_due(list(obstacles), now=tx.now):
        obstacle = obstacles[row.id]
        due_at = obstacle.until + (CARRIED_OUT_WITHIN if obstacle.why is DeferralReason.SILENCE else timedelta())
        after = replace(lifecycle.defer(row, obstacle.why, until=due_at, now=tx.now).after, rung_at=None)
        if row.deferred_by is obstacle.why:
            tx.ledger.save(row, after)
            continue
        detail = {"why": obstacle.why.value, "provider": obstacle.provider, "until": obstacle.until.isoformat(timespec="seconds")}
        tx.ledger.move(row, after, event="deferred", at=tx.now, detail=detail)
        if row.kind is Kind.PAGE and after.deferred_since and obstacle.why not in HOLDING:
            _decide_when_suspected(tx, after, after.deferred_since)


def _decide_when_suspected(tx: Transaction, row: NotificationFacts, deferred_since: datetime) -> None:
    escalation = tx.ledger.escalations.lock(row.escalation_id)
    at = deferred_since + min(page_rules.longest_deferral(row, escalation.policy), held_up.SHORTEST)
    if escalation.is_current and (escalation.next_decision_at is None or escalation.next_decision_at > at):
        tx.ledger.save(escalation, replace(escalation, next_decision_at=at))


def _in_turn(providers: Sequence[str], row: NotificationFacts) -> Sequence[str]:
    """Return the providers in order of preference; after a failure the next provider first, and the failed one last."""
    attempts = counted(row)
    first = 0
    if attempts and attempts[-1].result in _FAILED and attempts[-1].provider in providers:
        first = providers.index(attempts[-1].provider) + 1
    return (*providers[first:], *providers[:first])
