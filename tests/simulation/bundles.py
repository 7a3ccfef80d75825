"""The oracle of messages about several incidents: what may be in one, what it says, and what becomes of the pages in it."""

from collections import Counter
from typing import Any

from notifyflow.core.delivery.model import AttemptState, Result, Severity
from notifyflow.core.messages.outbound import OutboundMessage
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.lanes import calls_of, is_apart
from tests.simulation.outside import REFUSED_CONTENT, Outside
from tests.simulation.storms import Storms
from tests.simulation.world import World, require

_MOST = 500
_CALLING = "voice"
_CARRIED = """
    SELECT n.channel, n.kind, a.provider, n.namespace, e.recipient_id, json_extract(c.addresses, '$.' || n.channel),
           e.severity, i.key, a.position, a.is_named, e.id
    FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    JOIN notifyflow_escalation e ON e.id = n.escalation_id JOIN notifyflow_incident i ON i.id = n.incident_id
    LEFT JOIN notifyflow_contact c ON c.incident_id = e.incident_id AND c.recipient_id = e.recipient_id
    WHERE COALESCE(a.sent_with, a.id) = ? ORDER BY COALESCE(a.position, 0), a.id
"""
_ARE_RELEASED = """
    SELECT 1 FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    WHERE COALESCE(a.sent_with, a.id) = ? GROUP BY n.channel HAVING MIN(n.has_been_silenced)
"""
_REPORTED = """
    SELECT a.id, a.result, r.result FROM notifyflow_attempt a JOIN notifyflow_receipt r ON r.matched_attempt_id = a.sent_with
    JOIN notifyflow_notification n ON n.id = a.notification_id
    WHERE a.state <> ? AND r.result IS NOT NULL AND n.channel <> ?
"""
_USED_UP = "SELECT id FROM notifyflow_attempt WHERE sent_with = ? AND state <> 'NOT_SENT' AND NOT is_doubted"
_USED_UP_LATER = """
    SELECT a.id FROM notifyflow_attempt a JOIN notifyflow_receipt r ON r.matched_attempt_id = a.sent_with
    WHERE r.is_about_content AND a.half IS NULL AND a.state <> ? AND a.result = ? AND NOT a.is_doubted
"""
_SPENT = "SELECT channel, SUM(count) FROM notifyflow_spent WHERE scope LIKE 'address %' GROUP BY channel"


class Bundles:
    """Checks each claim, each message and the end."""

    def __init__(self, world: World, database: SimulatedDatabase, outside: Outside, storms: Storms) -> None:
        self._world = world
        self._database = database
        self._outside = outside
        self._storms = storms
        self._calls: Counter[str] = Counter()

    def after_commit(self, session: Session) -> None:
        """Require that one call goes to one address, and is about one recipient and namespace unless it rings."""
        new = [attempt_id for attempt_id, is_new in session.attempts.items() if is_new]
        for call in calls_of(self._database, new):
            carried = self._database.look(_CARRIED, call)
            what = f"bundle: {call[-4:]} carries {len(carried)}"
            channel = carried[0][0]
            self._calls[channel] += 1
            require(len({each[:3] for each in carried}) == 1, f"{what}: of several channels, kinds or providers")
            require(len({each[5] for each in carried}) == 1, f"{what}: to several addresses")
            places = {each[3:5] for each in carried}
            require(channel == _CALLING or len(places) == 1, f"{what}: of {sorted(places)}")
            if channel != _CALLING and len(carried) > 1:
                is_off = self._storms.is_off(self._world.task.process)
                is_off |= any(is_apart(self._database, each[10]) for each in carried)
                require(not is_off or self._database.look(_ARE_RELEASED, call), f"{what}, and bundling is off")
            require(len(carried) <= _MOST, f"{what}, more than one message may")
            positions = [each[8] for each in carried]
            require(positions == ([None] if len(carried) == 1 else [*range(len(carried))]), f"{what} at {positions}")
            ranks = [Severity(each[6]).rank for each in carried]
            require(channel == _CALLING or ranks == sorted(ranks), f"{what}, and the most severe do not stand first")

    def on_message(self, message: OutboundMessage) -> None:
        """Require that a message counts what it carries, and names what its rows say that it names."""
        carried, content = self._database.look(_CARRIED, message.attempt_id), message.content
        what = f"bundle: the message {message.attempt_id[-4:]} about {len(carried)}"
        if len(carried) == 1:
            require(not content.bundled and carried[0][9], f"{what} lists several")
            return
        counts = Counter(Severity(each[6]) for each in carried)
        said = {severity: count for severity, count in content.counts.items() if count}
        require(said == counts, f"{what} counts {said}, and not {dict(counts)}")
        named = [each[7] for each in carried if each[9]]
        told = [each.key for each in content.bundled]
        require(told == named, f"{what} names {told}, and its rows say {named}")
        require(content.unnamed == len(carried) - len(named), f"{what} leaves {content.unnamed} unnamed")

    def at_end(self, *, is_capped: bool) -> None:
        """Require that what was reported on a call counts for all that it carried, and that each call was counted once."""
        for attempt_id, result, reported in self._database.look(_REPORTED, AttemptState.NOT_SENT, _CALLING):
            is_applied = result is not None and Result(result).strength >= Result(reported).strength
            require(is_applied, f"bundle: {attempt_id[-4:]} is {result}, and its call was reported as {reported}")
        refused = [each.attempt_id for each in self._outside.sends.values() if each.outcome == REFUSED_CONTENT]
        used = [row_id[-4:] for call in refused for (row_id,) in self._database.look(_USED_UP, call)]
        require(not used, f"bundle: a message of several was refused for its content, and cost {used} an attempt")
        found = self._database.look(_USED_UP_LATER, AttemptState.NOT_SENT, Result.TEMPORARY_FAILURE)
        used = [row_id[-4:] for (row_id,) in found]
        require(not used, f"bundle: a carrier refused the content of a message of several, and cost {used} an attempt")
        spent: dict[str, Any] = dict(self._database.look(_SPENT))
        for channel in ("sms", "voice") if is_capped else ():
            count, calls = spent.get(channel, 0), self._calls[channel]
            require(count <= calls, f"cap: {count} are counted on {channel}, and {calls} were claimed")
