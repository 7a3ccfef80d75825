"""A recipient whose phone stays closed for most of an hour: operations has to know, long before it opens again."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from notifyflow.core.delivery.model import Incident, NotificationState, Recipient, Severity
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Policy
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.namespaces import SHARED
from notifyflow.pipeline.delivery.outages import pause
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from tests.simulation.clocks import Covers
from tests.simulation.database import SimulatedDatabase
from tests.simulation.world import START, World, require

_CLOSED = 0.15
_KEY = "closed"
_PAUSE_S = 2400.0
_TOLD_WITHIN_S = 20 * 60.0
_LATE_S = 240.0  # for a worker that stands still while all heals, and the next sweep


class ClosedPhones:
    """Pauses the channels of a phone in some worlds, and notifies a person who has nothing else, but an address that is gone."""

    def __init__(self, world: World, database: SimulatedDatabase, covers: Covers) -> None:
        self._world = world
        self._database = database
        self._covers = covers
        self._incident_id = ""
        self._notified_s = 0.0

    def write_script(self, people: Callable[..., None], submit: Callable[..., str], *, until_s: float) -> None:
        """Plan the pauses, which nobody ends, and the incident soon after."""
        chance = self._world.apart("closed phones")
        if chance.random() >= _CLOSED:
            return
        policy, at_s = chance.choice((DEFAULT, INSISTENT)), chance.uniform(0, until_s / 2)
        for channel in ("sms", "voice"):
            people(at_s, partial(self._close, channel))
        people(at_s + 20, partial(self._notify, submit, policy))

    def at_end(self, *, healed_s: float) -> None:
        """Require that operations was alerted: no page of the first round can have arrived before the phone opened again."""
        if not self._incident_id or (status := self._database.status(self._incident_id)).is_quarantined:
            return
        first = status.escalations[0].facts
        at = min((at for at in (first.held_up_at, first.alerted_at) if at is not None), default=None)
        covered_s = self._covers.covered_s(self._notified_s, self._world.now_s, status.facts.id, is_urgent=True)
        late_s = max(self._notified_s + _TOLD_WITHIN_S, healed_s + _LATE_S) + covered_s + 2 * self._world.widest_skew_s
        due_at = START + timedelta(seconds=late_s)
        ended = (at for at in (status.facts.resolved_at, status.facts.acknowledged_at) if at is not None)
        if min(ended, default=due_at) < due_at:  # by an adoption, or somebody has opened the phone: there is nothing left to tell
            return
        arrived = [row for row in status.escalations[0].notifications if row.state is NotificationState.DELIVERED]
        if any(each.started_at < due_at for row in arrived for each in row.attempts):
            return  # an operator's later pause of the channel has taken this one's place, and left CRITICAL out
        if late_s < self._notified_s + _PAUSE_S - 60:  # otherwise the phone may have opened first
            is_told = at is not None and at <= due_at
            require(is_told, f"held up: {first.id[-4:]} has no way that is open, and operations is told at {at}")

    def _close(self, channel: str, deps: Dependencies) -> FollowUps:
        now = deps.clock.now()
        ends_at = now + timedelta(seconds=_PAUSE_S)
        closed = Pause(
            scope=PauseScope.CHANNEL, name=channel, ends_at=ends_at, paused_at=now, paused_by="eve", is_for_critical=True
        )
        pause(deps, closed)
        self._world.note(f"closed: {channel}")
        return NOTHING

    def _notify(self, submit: Callable[..., str], policy: Policy, deps: Dependencies) -> FollowUps:
        del deps
        hal = Recipient(id="hal", addresses={"email": "gone@email", "sms": "hal@sms", "voice": "hal@voice"})
        incident = Incident(key=_KEY, title="down", severity=Severity.CRITICAL)
        self._incident_id, self._notified_s = submit(incident, [hal], policy, SHARED), self._world.now_s
        return NOTHING
