"""Worlds in which single rows are damaged while others are paged: nobody else waits for them, and somebody learns of each."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from notifyflow.core.delivery.model import Incident, Recipient, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT
from notifyflow.core.intake.validation import OPERATIONS_KEY
from notifyflow.core.namespaces import OPERATIONS, SHARED
from notifyflow.core.references import ByKey
from notifyflow.pipeline.delivery.acknowledge import acknowledge
from notifyflow.pipeline.delivery.set_aside_release import release
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from tests.simulation.database import Session
from tests.simulation.outside import Certain
from tests.simulation.scenario import AS_IT_IS, RunResult, Scenario, Variant
from tests.simulation.world import START, Violation, require

_LASTS_S = 1000.0
_POLICY = replace(INSISTENT, repeat=None)
_NEIGHBOURS = 24
_LATER_S = 2.0
_ESCALATES_WITHIN_S = 480.0  # five minutes set aside, a lease, and the sleep of a sweeper that has nothing to do
_TOLD_WITHIN_S = 120.0  # a lease, where the damage shows when the outcome is recorded, and the sleep of a sweeper
_ACCEPTED_AT = """
    SELECT MIN(a.ended_at) FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    JOIN notifyflow_incident i ON i.id = n.incident_id
    WHERE i.key = ? AND i.namespace = ? AND n.channel LIKE ? AND n.severity LIKE ? AND a.evidence IS NOT NULL AND a.ended_at >= ?
"""
_STARTED_SINCE = """
    SELECT COUNT(*) FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    JOIN notifyflow_incident i ON i.id = n.incident_id WHERE i.key = ? AND n.kind = 'page' AND a.started_at >= ?
"""
_GROUP = "group"
_GROUP_AT_S = 150.0  # so that its row is not tried again when the others are
_STOPS = {"refused": "RAISE(ABORT, 'damaged')", "ignored": "RAISE(IGNORE)"}
_DAMAGED = ("refused", "ignored", "version", "word", "instant")
_PACES = {"outage": "began_at", "provider_health": "throttled_until"}
"""The rows that only set a pace, with a column of each."""


class DamagedRows(Scenario):
    """A world without faults, but for a page, an escalation and a row of a group that are damaged as soon as they are stored."""

    def __init__(self, seed: int, variant: Variant, *, is_damaged: bool) -> None:
        super().__init__(seed, variant)
        self._outside.certain = Certain(outcome="accepted", receipts=(), latencies_s=(0.1, 0.5))
        self._outside.dropping = {}
        self._outside.reporting = set()
        self._operators.limits = {}
        self._phones.senders = {}
        self._subscribers = ()
        self._heals_s = _LASTS_S
        self._is_damaged, self._beats.are_rows_sound = is_damaged, not is_damaged
        self._mends: list[str] = []
        self._damaged_s: dict[str, float] = {}
        self._awaited: dict[str, tuple[str, str]] = {}
        self._taken_s = float("inf")
        self._notified_s: dict[str, float] = {}
        self._is_mended = False
        self.waits_s: dict[str, float] = {}
        self.world.widest_skew_s = 0.0
        for process in self.world.processes:
            process.skew = timedelta()

    def _draw_faults(self) -> None:
        """Draw none."""

    def _write_script(self) -> None:
        """Notify neighbours one after the other, some at once, and those whose rows are damaged between them."""
        chance = self.world.apart("damage")
        self._acknowledges_at_tier = False
        self._operations = self._operations[:1]
        for number in range(_NEIGHBOURS):
            severity = chance.choice((Severity.CRITICAL, Severity.ERROR))
            at_s = chance.choice((11.0, 12.0, 311.0, chance.uniform(0, 600)))
            self._people(at_s, partial(self._notify_one, f"n{number}", severity))
        for machine in ("notification", "escalation"):
            kinds = _DAMAGED if machine == "notification" else _DAMAGED[:3]
            self._people(11.0, partial(self._notify_damaged, machine, chance.choice(kinds)))
        machine, kind = chance.choice(("notification", "escalation")), chance.choice(_DAMAGED[:3])
        self._people(_GROUP_AT_S, partial(self._notify_group, machine, kind))
        self._people(_GROUP_AT_S + chance.uniform(0.2, 200), self._take)
        self._people(_LASTS_S, self._mend)
        for table, column in _PACES.items():
            self._people(chance.uniform(5, 600), partial(self._damage_pace, table, column))

    def _is_settled(self) -> bool:
        return self._is_mended and super()._is_settled()

    def _notify_one(self, who: str, severity: Severity, deps: Dependencies) -> FollowUps:
        del deps
        person = Recipient(id=who, addresses={"email": f"{who}@email", "sms": f"{who}@sms"})
        self._notified_s[who] = self.world.now_s
        self._submit(
            Incident(key=who, title="down", severity=severity), [person], DEFAULT if who == "notification" else _POLICY, SHARED
        )
        return NOTHING

    def _notify_damaged(self, machine: str, kind: str, deps: Dependencies) -> FollowUps:
        """Notify somebody whose page by mail, or round, is damaged before anything else happens."""
        self._awaited[machine] = (machine, kind)
        return self._notify_one(machine, Severity.CRITICAL, deps)

    def _notify_group(self, machine: str, kind: str, deps: Dependencies) -> FollowUps:
        """Notify several people, the row of one of whom is damaged before anything else happens."""
        del deps
        self._awaited[_GROUP] = (machine, kind)
        people = [
            Recipient(id=f"{_GROUP}{number}", addresses={"email": f"g{number}@email", "sms": f"g{number}@sms"})
            for number in range(5)
        ]
        self._submit(Incident(key=_GROUP, title="down", severity=Severity.ERROR), people, _POLICY, SHARED)
        return NOTHING

    def _take(self, deps: Dependencies) -> FollowUps:
        """Acknowledge the incident of several people, as one of them."""
        self.world.note("*** somebody takes the incident of the group")
        follow_ups = acknowledge(deps, ByKey(_GROUP, SHARED), by=f"{_GROUP}1", via=Via.LIBRARY).follow_ups
        self._taken_s = min(self._taken_s, self.world.now_s)
        return follow_ups

    def _after_commit(self, session: Session) -> None:
        for key, (machine, kind) in list(self._awaited.items()) if self._is_damaged else ():
            is_it = "incident_id = (SELECT id FROM notifyflow_incident WHERE key = ?)"
            for (row_id,) in self._database.look(f"SELECT id FROM notifyflow_{machine} WHERE {is_it} LIMIT 1", key):
                del self._awaited[key]
                self._damaged_s[key] = self.world.now_s
                self._damage(machine, row_id, kind)
        super()._after_commit(session)

    def _damage(self, machine: str, row_id: str, kind: str) -> None:
        self.world.note(f"*** {machine} {row_id[-4:]} is damaged: {kind}")
        self._database.has_damage = True
        table, is_it = f"notifyflow_{machine}", f"WHERE id = '{row_id}'"
        if kind in _STOPS:
            stop = _STOPS[kind]
            self._run(
                f"CREATE TRIGGER damage_{row_id[-4:]} BEFORE UPDATE ON {table} WHEN OLD.id = '{row_id}' BEGIN SELECT {stop}; END"
            )
            self._mends.append(f"DROP TRIGGER damage_{row_id[-4:]}")
            return
        ((created_at,),) = self._database.look("SELECT created_at FROM notifyflow_notification LIMIT 1")
        changes = {
            "version": ("version = version - 1", "version = version + 1"),
            "word": ("severity = 'LOUD'", "severity = 'CRITICAL'"),
            "instant": ("created_at = '-infinity'", f"created_at = '{created_at}'"),
        }
        damage, mend = changes[kind]
        self._run(f"UPDATE {table} SET {damage} {is_it}")
        self._mends.append(f"UPDATE {table} SET {mend} {is_it}")

    def _damage_pace(self, table: str, column: str, deps: Dependencies) -> FollowUps:
        """Damage all rows of a table; they are written anew."""
        del deps
        if self._is_damaged:
            self.world.note(f"*** each {table} is damaged")
            self._database.has_damage = True
            self._run(f"UPDATE notifyflow_{table} SET {column} = '-infinity'")
        return NOTHING

    def _mend(self, deps: Dependencies) -> FollowUps:
        for each in self._mends:
            self._run(each)
        self._mends = []
        found = self._database.look("SELECT row_id FROM notifyflow_set_aside")
        self.world.note(f"*** all is mended: {len(found)}")
        follow_ups = release(deps, [row_id for (row_id,) in found]).follow_ups
        self._is_mended = True
        return follow_ups

    def _run(self, sql: str) -> None:
        self._database.leave()
        self._database._raw.execute(sql)
        self._database.forget([sql])

    def _at_end(self) -> None:
        """Require that somebody learnt of each damaged row in time, and that all is well once they are mended."""
        super()._at_end()
        for who, at_s in self._notified_s.items():
            self.waits_s[who] = self._accepted_s(who, SHARED, since_s=at_s) - at_s
            self.waits_s[f"{who} text"] = self._accepted_s(who, SHARED, "sms", since_s=at_s) - at_s
        group_s = self._damaged_s.pop(_GROUP, None)
        require(group_s is None or self._taken_s < _LASTS_S, "14: one damaged row keeps an incident from being acknowledged")
        ((late,),) = self._database.look(_STARTED_SINCE, _GROUP, _instant(self._taken_s + _LATER_S))
        require(late == 0, f"7, 14: {late} pages of an incident start after it was acknowledged, beside a damaged row")
        for machine, damaged_s in self._damaged_s.items():
            told_s = self._accepted_s(OPERATIONS_KEY, OPERATIONS, severity="CRITICAL", since_s=damaged_s)
            told_s = told_s if self._operations else damaged_s
            require(told_s <= damaged_s + _TOLD_WITHIN_S, f"14: operations is told of the damaged {machine} at {told_s:.0f} s")
        if "notification" in self._damaged_s:
            text_s = self._accepted_s("notification", SHARED, since_s=0)
            latest_s = self._damaged_s["notification"] + _ESCALATES_WITHIN_S
            require(text_s <= latest_s, f"14: a damaged page holds up its tier until {text_s:.0f} s")

    def _accepted_s(self, key: str, namespace: str, channel: str = "%", *, severity: str = "%", since_s: float) -> float:
        """Return when a page was first accepted since an instant; never, if none was."""
        ((at,),) = self._database.look(_ACCEPTED_AT, key, namespace, channel, severity, _instant(since_s))
        return float("inf") if at is None else (datetime.fromisoformat(at) - START).total_seconds()


def _instant(at_s: float) -> str:
    return (START + timedelta(seconds=at_s)).isoformat(" ", "microseconds")


def simulate_damage(seed: int, variant: Variant = AS_IT_IS) -> RunResult:
    """Run a world with damaged rows beside the same world without, and compare how long their neighbours waited."""
    without = DamagedRows(seed, variant, is_damaged=False)
    before = without.run()
    if before.violation:
        return before
    damaged = DamagedRows(seed, variant, is_damaged=True)
    result = damaged.run()
    try:
        for who, wait_s in damaged.waits_s.items():
            if who.startswith("n") and who != "notification" and "notification " not in who:
                kinds = [each for each in without.waits_s if each.endswith(" text") == who.endswith(" text")]
                most_s = max(without.waits_s[each] for each in kinds if without.waits_s[each] != float("inf")) + _LATER_S
                is_late = wait_s > most_s and without.waits_s[who] != float("inf")
                require(not is_late, f"14: {who} waited {wait_s:.1f} s beside damaged rows, and nobody {most_s:.1f} s without")
    except Violation as error:
        return RunResult(**{**vars(result), "violation": result.violation or str(error)})
    return result
