"""Checks that no clock runs under a covering pause (invariant 11), from the operators' acts and not from stored rows."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from notifyflow.core.delivery.model import Kind, Severity
from notifyflow.core.delivery.policy import Unacknowledged
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.storage.delivery.escalations import Escalations
from notifyflow.storage.session.unit_of_work import UnitOfWork
from tests.simulation.database import SimulatedDatabase
from tests.simulation.senders import earlier
from tests.simulation.world import START, World, require

_LEEWAY_S = 1.0


@dataclass(frozen=True)
class Cover:
    """One pause, with the time in which it certainly stood."""

    pause: Pause
    began_s: float
    ended_s: float


@dataclass(frozen=True)
class Quarantine:
    """Quarantined incidents, with the time in which they certainly were."""

    incident_ids: frozenset[str]
    began_s: float
    ended_s: float = float("inf")


class Covers:
    """Remembers pauses and quarantines, and checks that no transition counts their time."""

    def __init__(self, world: World, database: SimulatedDatabase) -> None:
        self._world = world
        self._database = database
        self._covers: list[Cover] = []
        self._quarantines: list[Quarantine] = []

    def begin(self, pause: Pause, *, ends_s: float) -> None:
        """Record a committed pause."""
        self._covers.append(Cover(pause, self._world.now_s, ends_s))

    def end(self, scope: PauseScope, name: str) -> None:
        """Record that a pause is about to end: whether it stands is uncertain from now on."""
        now_s = self._world.now_s
        self._covers = [
            replace(each, ended_s=min(each.ended_s, now_s)) if (each.pause.scope, each.pause.name) == (scope, name) else each
            for each in self._covers
        ]

    @property
    def has_quarantined(self) -> bool:
        """Whether the database was adopted."""
        return bool(self._quarantines)

    @property
    def count(self) -> int:
        """How many pauses and quarantines there were, and were certainly over."""
        return len(self._covers) + len(self._quarantines) + sum(each.ended_s < float("inf") for each in self._quarantines)

    def quarantine(self, incident_ids: Collection[str]) -> None:
        """Record that incidents are quarantined."""
        self._quarantines.append(Quarantine(frozenset(incident_ids), self._world.now_s))

    def release(self) -> None:
        """Record that all quarantined incidents are about to be released."""
        now_s = self._world.now_s
        self._quarantines = [replace(each, ended_s=min(each.ended_s, now_s)) for each in self._quarantines]

    def check(self, line: dict[str, Any]) -> None:
        """Check a transition that only the passing of time can cause."""
        if not self._covers and not self._quarantines:
            return
        if line["machine"] == "escalation":
            self._check_timer(line)
        elif (line["machine"], line["event"]) == ("notification", "expired"):
            self._check_freshness(line)

    def _check_timer(self, line: dict[str, Any]) -> None:
        if line["event"] == "round_due":
            repeat = self._escalation(line["row_id"]).policy.repeat
            assert repeat is not None
            self._require(line["row_id"], line, repeat.every, "has its next round")
        elif line["event"] == "tier_opened" and line["detail"]["why"] == "unacknowledged":
            ahead = self._escalation(line["row_id"]).policy.tiers[
                int(line["detail"]["tier"]) - 1 :
            ]  # all before one whose timer is over
            waits = [rule.after for tier in ahead for rule in tier.rules if isinstance(rule, Unacknowledged)]
            self._require(line["row_id"], line, min(waits), f"opens tier {line['detail']['tier']}")

    def _check_freshness(self, line: dict[str, Any]) -> None:
        ((escalation_id, kind, paused_since, paused_until),) = self._database.look(
            "SELECT escalation_id, kind, paused_since, paused_until FROM notifyflow_notification WHERE id = ?", line["row_id"]
        )
        if kind != Kind.PAGE:
            return
        escalation = self._escalation(escalation_id)
        freshness = escalation.policy.freshness(escalation.severity)
        self._require(escalation_id, line, freshness, "lets a page expire")
        if paused_until is not None and datetime.fromisoformat(paused_until) > line["at"]:
            was_too_old = datetime.fromisoformat(paused_since) - escalation.started_at >= freshness
            require(was_too_old, f"11: {line['row_id'][-4:]} expires while it is paused")

    def _require(self, escalation_id: str, line: dict[str, Any], wait: timedelta, what: str) -> None:
        """Require that a wait since the round's start is over, not counting paused time.

        In a series, a round that a higher severity starts may go on with the clock of the round before: the wait counts from the
        incident's opening.
        """
        escalation = self._escalation(escalation_id)
        carried_s = earlier(self._database, escalation.incident_id).total_seconds()
        began_at = self._opened_at(escalation.incident_id) if carried_s else escalation.started_at
        since_s, now_s = (at.timestamp() - START.timestamp() for at in (began_at, line["at"]))
        is_urgent = escalation.severity is Severity.CRITICAL
        paused_s = self.covered_s(since_s, now_s, escalation.incident_id, is_urgent=is_urgent)
        leeway_s = _LEEWAY_S + 2 * self._world.widest_skew_s
        is_over = now_s - since_s - paused_s + carried_s >= wait.total_seconds() - leeway_s
        require(is_over, f"11: {escalation_id[-4:]} {what} after {now_s - since_s:.0f} s, {paused_s:.0f} of them paused")

    def covered_s(
        self, since_s: float, until_s: float, incident_id: str, *, is_urgent: bool, others: Collection[tuple[float, float]] = ()
    ) -> float:
        """Return the seconds in which everything was paused or the incident quarantined, without counting overlaps twice.

        Args:
            since_s: From when on, in seconds since the start.
            until_s: Until when.
            incident_id: The incident.
            is_urgent: Whether it is CRITICAL.
            others: Other times that do not count, as their beginning and end.
        """
        covering = [
            *others,
            *(
                (each.began_s, each.ended_s)
                for each in self._covers
                if each.pause.scope is PauseScope.ALL and (each.pause.is_for_critical or not is_urgent)
            ),
        ]
        covering += [(each.began_s, each.ended_s) for each in self._quarantines if incident_id in each.incident_ids]
        paused_s, reached_s = 0.0, since_s
        for begins_s, ends_s in sorted(covering):
            began_s, ended_s = max(begins_s, reached_s), min(ends_s, until_s)
            if ended_s > began_s:
                paused_s, reached_s = paused_s + ended_s - began_s, ended_s
        return paused_s

    def _opened_at(self, incident_id: str) -> datetime:
        ((opened_at,),) = self._database.look("SELECT opened_at FROM notifyflow_incident WHERE id = ?", incident_id)
        return datetime.fromisoformat(opened_at)

    def _escalation(self, escalation_id: str) -> Any:
        return self._database.read(lambda db: Escalations(UnitOfWork(db)).get(escalation_id))
