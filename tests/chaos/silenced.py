"""A silence over 300 incidents, with workers that are killed: each person gets one message at its end, and none before."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import DeferralReason, NotificationState
from notifyflow.core.limits.silences import Author, read_matchers
from notifyflow.sandbox.system import Sandbox
from tests.chaos.field import until
from tests.chaos.many_at_once import Crew

INCIDENTS = 300
PEOPLE = ("ada", "ben", "cyd")
_GRACE = Author(name="Grace")
_TOLD_WITHIN_S = 240.0
_BEFORE_THE_END = 0.7
"""Which part of the kills comes before the end of the silence."""


@dataclass(frozen=True, kw_only=True)
class Released:
    """What reached the people.

    Attributes:
        early: How many messages came while the silence lasted.
        messages: How many accepted messages each person got at its end, at most.
        said: How many incidents the first message of each person says that it is about, at least.
        lost: How many pages no accepted message carried.
        duplicates: How many pages were carried again.
        unexplained: How many of those have no doubt in their row.
        kills: How many workers were killed.
    """

    incidents: int
    people: int
    early: int
    messages: int
    said: int
    lost: int
    duplicates: int
    unexplained: int
    kills: int


def play(variables: Mapping[str, str], folder: Path, *, workers: int, kills: int) -> Released:
    """Silence, notify, kill workers at random, end the silence early meanwhile, and wait until all is sent."""
    with Sandbox() as sandbox:
        given = {**sandbox.settings(), **variables}
        with NotifyFlow(Settings.from_variables(given)) as flow:
            crew = Crew(given, folder, workers)
            try:
                return _play(flow, sandbox, crew, kills)
            finally:
                crew.end()


def _play(flow: NotifyFlow, sandbox: Sandbox, crew: Crew, kills: int) -> Released:
    wanted = read_matchers(["team=orders", "severity<=ERROR"])
    silence = flow.silences.start(wanted, span=timedelta(hours=2), why="upgrade", by=_GRACE)
    killer = threading.Thread(target=crew.kill_at_random, args=(kills, threading.Event()))
    killer.start()
    people = [Recipient(id=each, name=each.title(), email=f"{each}@example.com") for each in PEOPLE]
    for number in range(INCIDENTS):
        title, labels = f"service {number} is down", {"team": "orders"}
        flow.notify(Incident(key=f"s-{number}", title=title, severity=Severity.ERROR, labels=labels), people)
    until(lambda: crew.killed >= _BEFORE_THE_END * kills, timeout_s=_TOLD_WITHIN_S, what="the workers live for too long")
    until(lambda: any(each.deferred_by is DeferralReason.SILENCE for each in _pages(flow)), timeout_s=_TOLD_WITHIN_S)
    early = len(sandbox.inbox.messages())
    flow.silences.end(silence.id, by=_GRACE)
    until(lambda: all(each.state is NotificationState.SENT for each in _pages(flow)), timeout_s=_TOLD_WITHIN_S, what="it waits")
    killer.join()
    return _judge(flow, sandbox, early=early, kills=crew.killed)


def _pages(flow: NotifyFlow) -> list[NotificationFacts]:
    return [row for n in range(INCIDENTS) for each in flow.status(f"s-{n}").escalations for row in each.notifications]


def _judge(flow: NotifyFlow, sandbox: Sandbox, *, early: int, kills: int) -> Released:
    accepted = [each for each in sandbox.inbox.messages() if each.is_accepted]
    came = {each.attempt_id for each in accepted}
    lost = duplicates = unexplained = 0
    for row in _pages(flow):
        times = sum((attempt.sent_with or attempt.id) in came for attempt in row.attempts)
        lost += times == 0
        duplicates += max(times - 1, 0)
        unexplained += times - 1 > sum(attempt.is_doubted for attempt in row.attempts)
    mails = [[each for each in accepted if each.to.startswith(who)] for who in PEOPLE]
    return Released(
        incidents=INCIDENTS,
        people=len(PEOPLE),
        early=early,
        messages=max(map(len, mails)),
        said=min(int(found[0]) if (found := re.search(r"\d+", each.text)) else 1 for own in mails for each in own[:1]),
        lost=lost,
        duplicates=duplicates,
        unexplained=unexplained,
        kills=kills,
    )
