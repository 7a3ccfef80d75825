"""The oracle of calls: a number has one at a time, what is CRITICAL waits for one at most, and a key counts for what was said."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from notifyflow.core.delivery.model import AttemptState, Result
from notifyflow.storage.tables.fields import instant_text
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.lanes import Page, calls_of, is_apart, page
from tests.simulation.operators import Operators
from tests.simulation.storms import Storms
from tests.simulation.world import START, World, require

_CALLING = "voice"
_IN_THE_DARK_S = 60.0
"""For how long a call is taken to be under way of which nothing is known."""
_OVER = frozenset({Result.TEMPORARY_FAILURE, Result.DELIVERED, Result.PERMANENT_FAILURE})
_STATE = "SELECT state, result FROM notifyflow_attempt WHERE id = ?"
_REPORTED = """
    SELECT r.result, r.code, r.is_key_press, a.position, a.is_named
    FROM notifyflow_attempt a JOIN notifyflow_receipt r ON r.matched_attempt_id = COALESCE(a.sent_with, a.id)
    WHERE a.id = ? AND r.result IS NOT NULL
"""
_STORED = """
    SELECT r.code, a.position, a.is_named FROM notifyflow_attempt a
    JOIN notifyflow_receipt r ON r.attempt_id = a.sent_with OR r.provider_ref = 'ref-' || substr(a.sent_with, -6)
    WHERE a.id = ? AND a.position IS NOT NULL AND r.is_key_press
"""
_KEYS = """
    SELECT r.code, a.position, a.is_named
    FROM notifyflow_notification n JOIN notifyflow_attempt a ON a.notification_id = n.id
    JOIN notifyflow_receipt r ON r.attempt_id = COALESCE(a.sent_with, a.id)
        OR r.provider_ref = 'ref-' || substr(COALESCE(a.sent_with, a.id), -6)
    WHERE n.incident_id = ? AND r.is_acknowledgement
"""
_IS_OF_STORM = "SELECT 1 FROM notifyflow_incident WHERE id = ? AND (key LIKE 'rain-%' OR key LIKE 'hail-%')"
_LEFT = """
    SELECT n.id FROM notifyflow_notification n JOIN notifyflow_escalation e ON e.id = n.escalation_id
    JOIN notifyflow_contact c ON c.incident_id = e.incident_id AND c.recipient_id = e.recipient_id
    WHERE n.state = 'QUEUED' AND n.channel = 'voice' AND n.severity = 'CRITICAL' AND n.kind = 'page' AND n.deferred_by IS NULL
    AND NOT n.is_quarantined AND n.created_at < ? AND json_extract(c.addresses, '$.voice') = ?
    AND (n.due_at <= ? OR n.waits_until IS NOT NULL)
"""
_BEFORE = "SELECT code, is_doubted FROM notifyflow_attempt WHERE notification_id = ? AND id <> ? ORDER BY number DESC LIMIT 1"
_SEEN_WITHIN_S = 1.0


def covers(code: str, position: int | None, *, is_named: bool) -> bool:
    """Return whether a key was pressed after a title had been begun; one of which nothing more is known counts for all named."""
    said = re.search(r" at (\d+)$", code)
    return is_named and (said is None or position is None or position < int(said[1]))


def reported(database: SimulatedDatabase, attempt_id: str) -> list[Result]:
    """Return what was reported of the call of an attempt, without the keys that were pressed before its title."""
    return [
        Result(result)
        for result, code, is_key, position, is_named in database.look(_REPORTED, attempt_id)
        if not is_key or covers(code, position, is_named=is_named)
    ]


def is_unsaid(database: SimulatedDatabase, attempt_id: str) -> bool:
    """Return whether keys were pressed in a call about several, applied yet or not, and none after the title of an attempt."""
    keys = database.look(_STORED, attempt_id)
    return bool(keys) and not any(covers(code, position, is_named=is_named) for code, position, is_named in keys)


@dataclass(frozen=True)
class _Call:
    """A call that was claimed."""

    attempt_id: str
    claimed_s: float


class Calls:
    """Checks each claim of a call, where clocks agree, and what keys acknowledge."""

    def __init__(self, world: World, database: SimulatedDatabase, storms: Storms, operators: Operators) -> None:
        self._world = world
        self._database = database
        self._storms = storms
        self._operators = operators
        self._calls: dict[str, list[_Call]] = defaultdict(list)

    def after_commit(self, session: Session) -> None:
        """Require that a number has one call at a time, as far as is known, which carries everything CRITICAL."""
        for line in session.lines:
            if line["event"] == "acknowledged" and line["machine"] == "incident" and line["detail"].get("via") == "key":
                self._check_key(line["incident_id"])
        if self._world.widest_skew_s:
            return
        new = [attempt_id for attempt_id, is_new in session.attempts.items() if is_new]
        for call in calls_of(self._database, new):
            ((row_id,),) = self._database.look("SELECT notification_id FROM notifyflow_attempt WHERE id = ?", call)
            found = page(self._database, row_id)
            if found is None or found.channel != _CALLING or found.address is None:
                continue
            now_s, others = self._world.now_s, self._calls[found.address]
            under_way = [each for each in others if now_s - each.claimed_s < _IN_THE_DARK_S and not self._is_over(each)]
            require(not under_way, f"call: {call[-4:]} is claimed while {[each.attempt_id[-4:] for each in under_way]} rings")
            others.append(_Call(call, now_s))
            self._check_left(found, call, session)

    def _check_key(self, incident_id: str) -> None:
        """Require that the key which acknowledged an incident of a storm was pressed after its title, or was for all."""
        if self._database.look(_IS_OF_STORM, incident_id):
            keys = self._database.look(_KEYS, incident_id)
            is_meant = any(code.startswith("key 4") or covers(code, place, is_named=named) for code, place, named in keys)
            require(is_meant, f"call: {incident_id[-4:]} is acknowledged by a key, and was not said: {keys}")

    def _check_left(self, found: Page, call: str, session: Session) -> None:
        """Require that nothing CRITICAL waits for another call: what was there is in this one.

        What a channel broke off on together is tried again one by one.
        """
        is_apart_from_others = is_apart(self._database, found.escalation_id) or self._broke_off(found.id, call)
        if self._operators.pauses or self._storms.is_off(self._world.task.process) or is_apart_from_others:
            return
        ((at,),) = self._database.look("SELECT started_at FROM notifyflow_attempt WHERE id = ?", call)
        before = instant_text(START + timedelta(seconds=session.began_s - _SEEN_WITHIN_S))
        left = [
            row_id[-4:]
            for (row_id,) in self._database.look(_LEFT, before, found.address, at)
            if not self._broke_off(row_id, call)
            and self._database.locks.get(row_id, session) is session
            and not self._database.was_locked(row_id, session)  # then the claim has skipped it
        ]
        require(not left, f"call: {call[-4:]} leaves {left} waiting, which are CRITICAL")

    def _broke_off(self, row_id: str, call: str) -> bool:
        """Return whether the attempt of a page before this call broke off."""
        return any(code == "broke_off" and is_doubted for code, is_doubted in self._database.look(_BEFORE, row_id, call))

    def _is_over(self, call: _Call) -> bool:
        """Return whether a call was never made, was not accepted, or has ended by what was reported of it."""
        ((state, result),) = self._database.look(_STATE, call.attempt_id)
        if state == AttemptState.NOT_SENT:
            return True
        is_running = state == AttemptState.RUNNING  # its end may be reported before the request is answered; a key ends nothing
        return result is not None and Result(result) in _OVER and not (is_running and result == Result.DELIVERED)
