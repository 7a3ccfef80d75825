"""A flood of one namespace, and the pages of another one beside it, which find a slot as without the flood."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from notifyflow.core.delivery.model import Incident, Recipient, Severity
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.namespaces import OPERATIONS, SHARED
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from notifyflow.storage.tables.fields import instant_text
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.namespaces import OTHER
from tests.simulation.operators import Operators
from tests.simulation.world import World, require

_FLOODED = 0.3
_LIMIT = 10
_SMALLEST = 5
"""From this limit on, no namespace alone may have a whole minute beside another one."""
_CROWD = 30
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(seconds=60)
_COUNTED = timedelta(seconds=66)
"""A slot is free again after 65 s at the latest."""
_CLAIMED = """
    SELECT a.provider, n.channel, n.namespace, a.started_at
    FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id WHERE a.id = ?
"""
_SENDERS = """
    SELECT n.namespace, SUM(a.started_at > ? AND COALESCE(a.sent_with, a.id) = a.id), SUM(a.started_at <= ?)
    FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    WHERE a.provider = ? AND n.channel = ? AND a.started_at > ? AND a.started_at <= ? GROUP BY n.namespace
"""
_DEFERRED = "SELECT n.channel, n.namespace FROM notifyflow_notification n WHERE n.id = ?"


class Floods:
    """Writes a flood into some scripts, and checks the slots of namespaces in all worlds whose clocks agree."""

    def __init__(self, world: World, database: SimulatedDatabase, operators: Operators) -> None:
        self._world = world
        self._database = database
        self._operators = operators
        self._chance = world.apart("floods")
        self._is_flooded = self._chance.random() < _FLOODED
        if self._is_flooded:
            operators.limits = dict.fromkeys(operators.providers, _LIMIT)

    def write_script(self, people: Callable[..., None], submit: Callable[..., str], policy: Policy, *, until_s: float) -> None:
        """Plan a page of the other namespace, our flood, and pages of the other namespace during it."""
        if not self._is_flooded:
            return
        chance, channel = self._chance, self._chance.choice(("email", "sms"))
        severities = (Severity.ERROR, chance.choice((Severity.ERROR, Severity.CRITICAL)))

        def page(namespace: str, key: str, names: list[str], severity: Severity, deps: Dependencies) -> FollowUps:
            del deps
            crowd = [Recipient(id=name, addresses={channel: f"{name}@{channel}"}) for name in names]
            submit(Incident(key=key, title="down", severity=severity), crowd, policy, namespace)
            return NOTHING

        at_s = chance.uniform(70, max(71.0, until_s))
        people(0, partial(page, OTHER, "earlier", ["hal"], Severity.ERROR))
        people(at_s, partial(page, SHARED, "flood", [f"f{number}" for number in range(_CROWD)], chance.choice(severities)))
        for number in range(3):
            people(at_s + 2 + 70 * number, partial(page, OTHER, f"beside-{number}", ["hal"], chance.choice(severities)))

    def after_commit(self, session: Session) -> None:
        """Check what was claimed, and what got no slot."""
        if self._world.widest_skew_s:
            return
        for attempt_id, is_new in session.attempts.items():
            for provider, channel, namespace, at in self._database.look(_CLAIMED, attempt_id) if is_new else ():
                self._check_claimed(provider, channel, namespace, datetime.fromisoformat(at))
        for line in session.lines:
            if line["event"] != "deferred" or line["detail"]["why"] != "limit":
                continue
            if datetime.fromisoformat(line["detail"]["until"]) > line["at"]:  # otherwise the worker stood still since it looked
                ((channel, namespace),) = self._database.look(_DEFERRED, line["row_id"])
                self._check_deferred(line["detail"]["provider"], channel, namespace, line["at"])

    def _check_claimed(self, provider: str, channel: str, namespace: str, at: datetime) -> None:
        """Require that no namespace has a whole minute, if another one sent something in the hour before it."""
        limit = self._operators.limits.get(provider, 0)
        if limit < _SMALLEST or namespace == OPERATIONS:
            return
        senders = self._senders(provider, channel, at, _MINUTE)
        within = senders[namespace][0]
        has_others = any(before for name, (_, before) in senders.items() if name not in (namespace, OPERATIONS))
        require(
            within < limit or not has_others,
            f"share: {namespace!r} has {within} slots of {provider} within a minute, of {limit}, and another one has sent",
        )

    def _check_deferred(self, provider: str, channel: str, namespace: str, at: datetime) -> None:
        """Require that one of two namespaces that has had nothing in the minute, and something in the hour, gets a slot."""
        senders = self._senders(provider, channel, at, _COUNTED)
        if self._operators.limits.get(provider, 0) < _SMALLEST or len(senders) > 2 or OPERATIONS in senders:
            return
        within, before = senders.get(namespace, (0, 0))
        require(
            within > 0 or before == 0,
            f"share: {namespace!r} gets no slot of {provider}, and has had none for a minute: {senders}",
        )

    def _senders(self, provider: str, channel: str, at: datetime, span: timedelta) -> dict[str, tuple[Any, Any]]:
        """Return how many slots each namespace had within the span before an instant, and how many in the hour before that."""
        since, hour = instant_text(at - span), instant_text(at - _HOUR + _COUNTED)
        found = self._database.look(_SENDERS, since, since, provider, channel, hour, instant_text(at))
        return {namespace: (within, before) for namespace, within, before in found}
