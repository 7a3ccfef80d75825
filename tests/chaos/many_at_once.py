"""Many at once: 500 CRITICAL incidents in a minute to one person whose mail is refused, over real workers that are killed."""

import random
import re
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.cli.frame import serving
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import IncidentState
from notifyflow.core.delivery.policy import Failed, Policy, Tier
from notifyflow.sandbox.inbox import Message
from notifyflow.sandbox.system import Sandbox
from tests.chaos.field import Worker, until

INCIDENTS = 500
SPREAD_S = 60.0
PHONE = "+15005550011"
PERSON = Recipient(id="ada", name="Ada", email="ada@example.com", phone=PHONE)
POLICY = Policy(
    name="phones",
    tiers=(
        Tier(name="primary", channels=("email",)),
        Tier(name="phones", channels=("sms", "voice"), rules=(Failed(at_least=1),)),
    ),
)
SCRIPT = "email: 550\ncall: nobody answers"
_TOLD_WITHIN_S = 240.0
_THREE_MINUTES_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Told:
    """What reached the person, in seconds since the first incident.

    Attributes:
        alone_s: When the first page of a lone incident was accepted, before the storm, since its notify().
        first_s: When the first text or call was accepted.
        latest_s: The longest time from an incident to the first accepted text or call that carried it.
        texts: How many texts were accepted in the first three minutes.
        calls: How many calls were accepted in the first three minutes.
        most_in_one: How many incidents one message carried at most.
        kills: How many workers were killed.
        lost: How many incidents no accepted text or call carried.
        duplicates: How many texts carried an incident again.
        unexplained: How many of those have no doubt in their row.
        left_open: How many incidents are open after a reply to each text, as it or the response to that says.
    """

    incidents: int
    alone_s: float
    first_s: float
    latest_s: float
    texts: int
    calls: int
    most_in_one: int
    kills: int
    lost: int
    duplicates: int
    unexplained: int
    left_open: int


def play(variables: Mapping[str, str], folder: Path, *, workers: int, kills: int) -> Told:
    """Let the incidents come, kill workers at random, wait until all is told, and acknowledge everything by text."""
    with Sandbox() as sandbox, serving.listen("127.0.0.1", 0) as web:
        sandbox.script(SCRIPT)
        given = {**sandbox.settings(), **variables, "NOTIFYFLOW_PUBLIC_URL": serving.url_of(web)}
        with NotifyFlow(Settings.from_variables(given)) as flow, serving.served(flow.asgi(), web):
            crew = Crew(given, folder, workers)
            try:
                alone = _lone_page(flow, sandbox)
                stop = threading.Event()
                killer = threading.Thread(target=crew.kill_at_random, args=(kills, stop))
                killer.start()
                began = time.monotonic()
                offset = sandbox.inbox.messages()[-1].after_s if sandbox.inbox.messages() else 0.0
                came = _notify(flow, began)
                until(lambda: _is_told(flow), timeout_s=_TOLD_WITHIN_S, what="not everything was told")
                time.sleep(max(0.0, _THREE_MINUTES_S - (time.monotonic() - began)))
                stop.set()
                killer.join()
                return _judge(flow, sandbox, came, alone_s=alone, offset=offset, kills=crew.killed)
            finally:
                crew.end()


class Crew:
    """The workers; none where the flow delivers by itself."""

    def __init__(self, variables: Mapping[str, str], folder: Path, count: int) -> None:
        self._variables, self._folder = variables, folder
        self._workers = [self._start(number) for number in range(count)]
        self.killed = 0

    def _start(self, number: int) -> Worker:
        log = self._folder / f"many-{number}.log"
        return Worker(self._variables, log, threads=4, module="notifyflow.worker")

    def kill_at_random(self, kills: int, stop: threading.Event) -> None:
        chance = random.Random(7)
        for _ in range(kills):
            if stop.wait(chance.uniform(2, 8)):
                return
            number = chance.randrange(len(self._workers))
            self._workers[number].signal(signal.SIGKILL)
            self._workers[number].kill()
            self.killed += 1
            self._workers[number] = self._start(number)

    def end(self) -> None:
        for worker in self._workers:
            worker.kill()


def _lone_page(flow: NotifyFlow, sandbox: Sandbox) -> float:
    began, known = time.monotonic(), len(sandbox.inbox.messages())
    flow.notify(Incident(key="alone", title="a lone one", severity=Severity.CRITICAL), [PERSON], policy=POLICY)
    until(lambda: bool(_phone_messages(sandbox.inbox.messages()[known:])))
    took = time.monotonic() - began
    flow.resolve("alone", by="ops")
    return took


def _notify(flow: NotifyFlow, began: float) -> dict[str, float]:
    came = {}
    for number in range(INCIDENTS):
        time.sleep(max(0.0, began + number * SPREAD_S / INCIDENTS - time.monotonic()))
        key = f"storm-{number}"
        came[key] = time.monotonic() - began
        flow.notify(Incident(key=key, title=f"service {number} is down", severity=Severity.CRITICAL), [PERSON], policy=POLICY)
    return came


def _rows(flow: NotifyFlow, key: str) -> list[NotificationFacts]:
    return [row for each in flow.status(key).escalations for row in each.notifications if row.channel in ("sms", "voice")]


def _is_told(flow: NotifyFlow) -> bool:
    time.sleep(2)
    return all(any(row.attempts for row in _rows(flow, f"storm-{number}")) for number in range(INCIDENTS))


def _phone_messages(messages: Sequence[Message]) -> list[Message]:
    return [each for each in messages if each.channel in ("sms", "voice") and each.is_accepted]


def _answer(sandbox: Sandbox, texts: Sequence[str]) -> None:
    """Reply to each text as it says; where several are open, the response to "1" has their codes."""
    for reply in sorted({found[0] for text in texts if (found := re.search(r"ALL \d+", text))}):
        sandbox.reply(PHONE, reply)
    for choices in sandbox.reply(PHONE, "1"):
        for code in re.findall(r"[:;] (\d+) ", choices):
            sandbox.reply(PHONE, code)


def _judge(flow: NotifyFlow, sandbox: Sandbox, came: Mapping[str, float], *, alone_s: float, offset: float, kills: int) -> Told:
    accepted = [each for each in _phone_messages(sandbox.inbox.messages()) if each.after_s > offset and each.to == PHONE]
    at = {each.attempt_id: each.after_s - offset for each in accepted}
    texted = {each.attempt_id for each in accepted if each.channel == "sms"}
    first_of: dict[str, float] = {}
    carried: dict[str, int] = {}
    duplicates = unexplained = 0
    for key in came:
        for row in _rows(flow, key):
            carriers = [attempt.sent_with or attempt.id for attempt in row.attempts]
            for each in carriers:
                if each in at:
                    first_of[key] = min(first_of.get(key, at[each]), at[each])
                    carried[each] = carried.get(each, 0) + 1
            again = sum(each in texted for each in carriers) - 1
            if row.channel == "sms" and again > 0:
                duplicates += again
                unexplained += again > sum(attempt.is_doubted for attempt in row.attempts)
    texts = [each.text for each in accepted if each.channel == "sms"]
    _answer(sandbox, texts)
    left_open = sum(flow.status(key).facts.state is IncidentState.OPEN for key in first_of)
    early = [each for each in accepted if each.after_s - offset <= _THREE_MINUTES_S]
    return Told(
        incidents=len(came),
        alone_s=round(alone_s, 1),
        first_s=round(min(at.values()), 1),
        latest_s=round(max(first_of[key] - came[key] for key in first_of), 1),
        texts=sum(each.channel == "sms" for each in early),
        calls=sum(each.channel == "voice" for each in early),
        most_in_one=max(carried.values()),
        kills=kills,
        lost=len(came) - len(first_of),
        duplicates=duplicates,
        unexplained=unexplained,
        left_open=left_open,
    )
