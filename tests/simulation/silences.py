"""Worlds of silences: nothing they cover leaves, nothing they have held is lost, and what they release leaves as one message.

The oracle knows silences, incidents and people by their rows. It matches by rules of its own, after each commit.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from math import inf
from random import Random
from typing import Any

from notifyflow.core.accounts.users import Role, User
from notifyflow.core.delivery.model import Incident, Recipient, Severity, Via
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.limits.silences import AuthorKind, Silence, read_matchers
from notifyflow.core.namespaces import SHARED
from notifyflow.core.references import ByKey
from notifyflow.errors import UserExists, UserNotFound
from notifyflow.pipeline.delivery.acknowledge import acknowledge, page_again, resolve
from notifyflow.pipeline.delivery.silences import silencing
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from notifyflow.pipeline.users import add, change
from tests.simulation.database import Session
from tests.simulation.namespaces import OTHER
from tests.simulation.scenario import AS_IT_IS, RunResult, Scenario, Variant
from tests.simulation.world import START, Process, require

_KEYS = tuple(f"db-{number}" for number in range(7))
_TEAMS = (*["orders"] * 5, "payments", "")
_LASTS_S = 900.0
_LOOKED_AT_WITHIN_S = 400.0
"""How long after an end a page may still wait for it: a standstill, and the longest sleeps of sweepers."""
_LEAVES_S = 0.5
_LAST_MOMENT_S = 0.1
_KEPT_S = 10.0
"""How long after an end a page waits at most for what was held."""
_GRACE = "u-grace"
_INCIDENTS = """
    SELECT id, namespace, key, content_severity, content_labels, state FROM notifyflow_incident WHERE NOT is_operations
"""
_SILENCES = """
    SELECT s.id, s.matchers, s.namespaces, s.begins_at, s.ends_at, s.ended_at, s.author_kind, u.disabled_at, s.due_at
    FROM notifyflow_silence s LEFT JOIN notifyflow_user u ON u.id = s.author_id
"""
_INTERVALS = "SELECT incident_id, silence_id, began_at, ended_at FROM notifyflow_silenced_incident"
_PAGE_OF = """
    SELECT n.incident_id, a.started_at FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    WHERE a.id = ? AND n.kind = 'page'
"""
_WAITING = "SELECT id, incident_id FROM notifyflow_notification WHERE state = 'QUEUED' AND deferred_by = 'silence' AND due_at > ?"
_NEIGHBOURS = """
    FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    JOIN notifyflow_escalation e ON e.id = n.escalation_id
    JOIN notifyflow_contact c ON c.incident_id = e.incident_id AND c.recipient_id = e.recipient_id
    JOIN notifyflow_notification other ON other.channel = n.channel AND other.namespace = n.namespace
    JOIN notifyflow_escalation f ON f.id = other.escalation_id AND f.recipient_id = e.recipient_id
    JOIN notifyflow_contact d ON d.incident_id = f.incident_id AND d.recipient_id = f.recipient_id
    WHERE a.id = ? AND n.kind = 'page' AND other.kind = 'page' AND n.channel <> 'voice'
    AND json_extract(d.addresses, '$.' || n.channel) = json_extract(c.addresses, '$.' || n.channel)
"""
_LEFT = f"""
    SELECT n.incident_id, other.id, other.incident_id {_NEIGHBOURS}
    AND other.state = 'QUEUED' AND other.deferred_by = 'silence' AND other.due_at <= a.started_at
    AND 'silence' = (
        SELECT detail ->> 'why' FROM notifyflow_transition
        WHERE row_id = n.id AND event <> 'claimed' ORDER BY version DESC LIMIT 1
    )
"""
_KEPT = f"""
    SELECT n.incident_id, n.created_at, a.started_at, other.id, other.incident_id {_NEIGHBOURS}
    AND n.version = 2 AND (other.state = 'QUEUED' AND other.deferred_by = 'silence' OR other.has_been_silenced AND EXISTS (
        SELECT 1 FROM notifyflow_attempt b WHERE b.notification_id = other.id AND b.started_at = a.started_at
        AND COALESCE(b.sent_with, b.id) <> COALESCE(a.sent_with, a.id)
    ))
"""


@dataclass(frozen=True)
class _Quiet:
    """A silence as it is stored."""

    teams: tuple[str, ...]
    keys: tuple[str, ...]
    severity: Severity
    namespaces: tuple[str, ...] | None
    begins_at: datetime
    until: datetime
    is_void: bool
    is_carried_out: bool

    def covers(self, namespace: str, key: str, severity: Severity, team: str, at: datetime) -> bool:
        is_meant = (not self.keys or key in self.keys) and (not self.teams or team in self.teams)
        is_there = self.namespaces is None or namespace in self.namespaces
        return is_meant and is_there and severity.rank >= self.severity.rank and self.begins_at <= at < self.until


class Silenced(Scenario):
    """A world of incidents and silences, with all faults; clocks agree."""

    def __init__(self, seed: int, variant: Variant) -> None:
        super().__init__(seed, variant)
        self._draws = self.world.apart("silences")
        self._late_draws = self.world.apart("the last moments of silences")
        self._heals_s = _LASTS_S
        self._is_bundling = self._draws.random() < 0.6
        if not self._is_bundling:
            self._storms._off_s = 0.0  # so the oracles of storms know it
        self._subscribers = ()
        self._phones.senders = {}
        self._operators.limits = {}
        self._beats.are_times_judged = False
        self._checks.ends_early = True
        self._covered: dict[tuple[str, str], float] = {}  # (silence, incident) → since when no page may begin; inf: any may
        self._uncovered: dict[tuple[str, str], float] = {}  # → when it was covered last
        self._released: set[tuple[str, str]] = set()
        self._ended: dict[tuple[str, str], datetime] = {}  # → when the silence ended that covered it until then
        self.world.widest_skew_s = 0.0
        for process in self.world.processes:
            process.skew = timedelta()

    def _write_script(self) -> None:
        chance = self._draws
        self._acknowledges_at_tier = False
        people = [self._person("ada"), self._person("ben")][: chance.choice((1, 2))]
        self._people(0, self._hire)
        for _ in range(chance.randint(8, 24)):
            self._people(chance.uniform(0, _LASTS_S), partial(self._post, people, chance))
        for _ in range(chance.randint(2, 7)):
            self._people(chance.uniform(0, 0.8 * _LASTS_S), partial(self._silence, people))
        for act in (self._end_one, self._end_one, self._take, self._resolve_one, self._page_one):
            for _ in range(chance.choice((0, 1, 2))):
                self._people(chance.uniform(60, _LASTS_S), act)
        if chance.random() < 0.3:
            self._people(chance.uniform(60, _LASTS_S), self._dismiss)
        if chance.random() < 0.3:
            self._operators.write_script(self._people, self._workers, until_s=_LASTS_S, on_stop=self._checks.on_stop)

    def _deps(self, process: Process) -> Dependencies:
        return replace(super()._deps(process), is_bundling=self._is_bundling)

    def _person(self, who: str) -> Recipient:
        names = self._draws.choice((("email",), ("email", "sms"), ("slack", "sms", "voice"), ("email", "push", "sms")))
        return Recipient(id=who, addresses={name: f"{who}@{name}" for name in names})

    def _post(self, people: list[Recipient], chance: Random, deps: Dependencies) -> FollowUps:
        """Open an incident, or repeat it with other labels and another severity."""
        del deps
        key, team = chance.choice(_KEYS), chance.choice(_TEAMS)
        severity = chance.choice((Severity.CRITICAL, *[Severity.ERROR] * 4, *[Severity.WARNING] * 3))
        incident = Incident(key=key, title=f"{key} is down", severity=severity, labels={"team": team} if team else {})
        namespace, policy = chance.choice((SHARED, SHARED, SHARED, OTHER)), self._without_expiry()
        incident_id = self._submit(incident, people, policy, namespace)
        self.world.note(f"notified: {incident_id[-4:]} {namespace} {key} {severity} {team}")
        return NOTHING

    def _without_expiry(self) -> Policy:
        return replace(self._policy, fresh_for=timedelta(hours=24), fresh_for_critical=timedelta(hours=72))

    def _silence(self, people: list[Recipient], deps: Dependencies) -> FollowUps:
        chance, now = self._draws, deps.clock.now()
        key = chance.choice(_KEYS)
        words, severity = chance.choice(((["team=orders"], Severity.ERROR), ([f"key={key}"], Severity.CRITICAL)))
        severity = severity if chance.random() < 0.6 else chance.choice((Severity.ERROR, Severity.WARNING))
        begins_at = now + timedelta(seconds=chance.choice((0, 0, 0, 30, 200)))
        span_s = chance.choice((20.0, 100.0, 300.0, 900.0, 1800.0))
        is_hers = chance.random() < 0.5
        wanted = Silence(
            id=deps.ids.new(),
            matchers=read_matchers([*words, f"severity<={severity}"]),
            reason="upgrade",
            begins_at=begins_at,
            ends_at=begins_at + timedelta(seconds=span_s),
            created_at=now,
            author_kind=AuthorKind.USER if is_hers else AuthorKind.COMMAND,
            author_id=_GRACE if is_hers else "",
            author="Grace",
            namespaces=chance.choice((None, None, frozenset({SHARED}))),
        )
        self.world.note(f"silence {wanted.id[-4:]}: {wanted.matchers} for {span_s:.0f} s from {begins_at:%H:%M:%S}")
        late = self._late_draws
        for _ in range(late.choice((0, 0, 1, 3))):  # nobody may claim their pages before it ends
            before_s = (wanted.ends_at - now).total_seconds() - late.uniform(0, _LAST_MOMENT_S)
            self._people(before_s, partial(self._post, people, late))
        return silencing.start(deps, wanted)

    def _end_one(self, deps: Dependencies) -> FollowUps:
        now = deps.clock.now()
        lasting = sorted(silence_id for silence_id, quiet in self._quiets(now).items() if now < quiet.until)
        if not lasting:
            return NOTHING
        ended = self._draws.choice(lasting)
        self.world.note(f"silence {ended[-4:]} is ended early")
        return silencing.end(deps, ended, by="Grace").follow_ups

    def _hire(self, deps: Dependencies) -> FollowUps:
        with suppress(UserExists):  # the act may be repeated after a commit whose response was lost
            add(deps.transactions, User(id=_GRACE, name="grace", role=Role.RESPONDER, created_at=START))
        return NOTHING

    def _dismiss(self, deps: Dependencies) -> FollowUps:
        """Disable the author of half of the silences."""
        try:
            change(deps.transactions, "grace", lambda grace: replace(grace, disabled_at=deps.clock.now()))
        except UserNotFound:
            return NOTHING
        self.world.note("Grace is gone")
        return NOTHING

    def _take(self, deps: Dependencies) -> FollowUps:
        return acknowledge(deps, ByKey(self._draws.choice(_KEYS), SHARED), by="ada", via=Via.LIBRARY).follow_ups

    def _resolve_one(self, deps: Dependencies) -> FollowUps:
        return resolve(deps, ByKey(self._draws.choice(_KEYS), SHARED), by="eve", via=Via.LIBRARY).follow_ups

    def _page_one(self, deps: Dependencies) -> FollowUps:
        return page_again(deps, ByKey(self._draws.choice(_KEYS), SHARED), "ada", by="eve", via=Via.LIBRARY).follow_ups

    def _left(self) -> Iterator[tuple[str, list[str]]]:
        yield from super()._left()
        if found := self._database.look("SELECT id FROM notifyflow_silence WHERE due_at IS NOT NULL"):
            yield "silences", [each[-4:] for (each,) in found]

    def _after_commit(self, session: Session) -> None:
        super()._after_commit(session)
        self._follow(session)
        for line in session.lines:
            if line["event"] == "deferred" and line["detail"]["why"] == "silence":
                self._check_deferral(line, session)
        for attempt_id, is_new in session.attempts.items():
            if is_new:
                self._check_claim(attempt_id, session)

    def _quiets(self, now: datetime) -> dict[str, _Quiet]:
        """Return the silences, by id, each with its end as far as it is known."""
        found = {}
        for row in self._database.look(_SILENCES):
            silence_id, matchers, namespaces, begins_at, ends_at, ended_at, kind, disabled_at, due_at = row
            document = json.loads(matchers)
            until = min(map(datetime.fromisoformat, filter(None, (ends_at, ended_at))))
            is_void = kind == "user" and disabled_at is not None
            found[silence_id] = _Quiet(
                teams=tuple(document.get("labels", {}).get("team", ())),
                keys=tuple(document.get("keys", ())),
                severity=Severity(document.get("severity", "ERROR")),
                namespaces=None if namespaces is None else tuple(json.loads(namespaces)),
                begins_at=datetime.fromisoformat(begins_at),
                until=min(until, now) if is_void else until,
                is_void=is_void,
                is_carried_out=due_at is None,
            )
        return found

    def _follow(self, session: Session) -> None:
        """Note which silences cover which incidents now, and which were released since somebody is paged again."""
        now_s, now = self.world.now_s, START + timedelta(seconds=self.world.now_s)
        quiets, covered = self._quiets(now), {}
        paged = {line["incident_id"] for line in session.lines if line["event"] == "paged_again"}
        held = {(silence_id, incident_id) for incident_id, silence_id, _, _ in self._database.look(_INTERVALS)}
        for incident_id, namespace, key, severity, labels, state in self._database.look(_INCIDENTS):
            team = json.loads(labels).get("team", "")
            for silence_id, quiet in quiets.items():
                pair = silence_id, incident_id
                if state != "RESOLVED" and quiet.covers(namespace, key, Severity(severity), team, now):
                    since_s = self._covered.get(pair, now_s)
                    if incident_id in paged and since_s >= session.began_s:  # the releasing transaction may not have seen it
                        since_s = inf
                    elif incident_id in paged:
                        self._released.add(pair)
                    if pair not in self._released:
                        covered[pair] = since_s
        gone = self._covered.keys() - covered.keys()
        self._ended |= {pair: quiets[pair[0]].until for pair in gone if self._has_ended(pair, quiets[pair[0]], now)}
        self._uncovered |= dict.fromkeys(gone, now_s)
        self._released |= {each for each in gone if each in held}
        if gone:
            self.world.after(_LOOKED_AT_WITHIN_S, self._check_waiting)
        self._covered = covered

    def _has_ended(self, pair: tuple[str, str], quiet: _Quiet, now: datetime) -> bool:
        """Return whether a silence has ended that covered an incident until then, and whose author had the right to it."""
        return quiet.until <= now and not quiet.is_void and self._covered[pair] < inf

    def _check_deferral(self, line: dict[str, Any], session: Session) -> None:
        """Require that a silence covers the incident of a page that is deferred for one, or has covered one that leaves now."""
        leaves_now = datetime.fromisoformat(line["detail"]["until"]) <= START + timedelta(seconds=self.world.now_s)
        since_s = 0.0 if leaves_now else session.began_s - _LEAVES_S
        pairs = {*self._covered, *(pair for pair, at_s in self._uncovered.items() if at_s >= since_s)}
        is_covered = any(incident_id == line["incident_id"] for _, incident_id in pairs)
        if leaves_now and not is_covered:  # it may have opened before the end, in a transaction that was committed after it
            is_covered = any(self._matches(silence_id, line["incident_id"]) for silence_id in self._quiets(line["at"]))
        require(is_covered, f"silence: {line['row_id'][-4:]} waits for a silence that does not cover it")

    def _check_claim(self, attempt_id: str, session: Session) -> None:
        """Require that no page begins that a silence has covered since before its claim, and that nothing is left behind."""
        for incident_id, _ in self._database.look(_PAGE_OF, attempt_id):
            covering = [pair for pair, at_s in self._covered.items() if pair[1] == incident_id and at_s < session.began_s]
            require(not covering, f"silence: {attempt_id[-4:]} begins under {[each[0][-4:] for each in covering]}")
        silenced = {incident_id for _, incident_id in self._covered}
        left = [
            row_id[-4:]
            for incident_id, row_id, held in self._database.look(_LEFT, attempt_id)
            if self._were_held_together(incident_id, held) and not self._waits(held, silenced)
        ]
        require(not left, f"silence: {attempt_id[-4:]} leaves, and {left} do not")
        kept = [row[3][-4:] for row in self._database.look(_KEPT, attempt_id) if self._leaves_with(*row[:3], row[4], silenced)]
        require(not kept, f"silence: {attempt_id[-4:]} leaves by itself, and {kept} were held by the same silence")

    def _were_held_together(self, *incident_ids: str) -> bool:
        """Return whether one silence held some incidents until its end; what leaves sooner, leaves by itself."""
        return any(all((silence_id, each) in self._ended for each in incident_ids) for silence_id, _ in self._ended)

    def _waits(self, incident_id: str, silenced: Collection[str]) -> bool:
        """Return whether an incident is silenced, or was by a silence whose end is not carried out yet."""
        now = START + timedelta(seconds=self.world.now_s)
        ending = (each for each, quiet in self._quiets(now).items() if quiet.until <= now and not quiet.is_carried_out)
        return incident_id in silenced or any(self._matches(each, incident_id) for each in ending)

    def _leaves_with(self, incident_id: str, created_at: str, started_at: str, held: str, silenced: Collection[str]) -> bool:
        """Return whether a page that nobody had claimed when a silence ended has to leave with one that the silence held."""
        came_at, left_at = map(datetime.fromisoformat, (created_at, started_at))
        ends = [
            end
            for (silence_id, each), end in self._ended.items()
            if each == incident_id and (silence_id, held) in self._ended and self._matches(silence_id, incident_id)
        ]
        return held not in silenced and any(came_at < end <= left_at < end + timedelta(seconds=_KEPT_S) for end in ends)

    def _matches(self, silence_id: str, incident_id: str) -> bool:
        """Return whether a silence would cover an incident as it is now, if it were in force."""
        ((_, namespace, key, severity, labels, _),) = self._database.look(f"{_INCIDENTS} AND id = ?", incident_id)
        quiet = self._quiets(START + timedelta(seconds=self.world.now_s))[silence_id]
        return quiet.covers(namespace, key, Severity(severity), json.loads(labels).get("team", ""), quiet.begins_at)

    def _check_waiting(self) -> None:
        """Require that nothing waits for a silence that has ended for it a while ago."""
        later = (START + timedelta(seconds=self.world.now_s + 1)).isoformat(" ", "microseconds")
        since_s = self.world.now_s - _LOOKED_AT_WITHIN_S
        lately = {incident_id for (_, incident_id), at_s in self._uncovered.items() if at_s > since_s}
        covered = {incident_id for _, incident_id in self._covered} | lately
        left = [row_id[-4:] for row_id, incident_id in self._database.look(_WAITING, later) if incident_id not in covered]
        require(not left, f"silence: {left} wait for a silence that has ended for them")


def simulate_silences(seed: int, variant: Variant = AS_IT_IS) -> RunResult:
    """Run one such world and return its result."""
    return Silenced(seed, variant).run()
