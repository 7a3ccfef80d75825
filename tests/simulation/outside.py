"""The outside world: the broker, the providers and their receipts, and their failures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from notifyflow.channels.base import Accepted, Channel, Provider, ProviderCapabilities
from notifyflow.core.delivery.model import Evidence, Receipt, Result, Severity
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import (
    BrokerUnavailable,
    PermanentProviderError,
    RefusedUsError,
    TemporaryProviderError,
    UnknownOutcomeError,
)
from notifyflow.settings import Settings
from tests.simulation.world import Task, World

CHANNELS = ("email", "slack", "teams", "push", "sms", "voice")
SUBSCRIBERS = "webhook"
_IN_STEP = 0.5
_DROPPING = 0.25
_STALL_S = (60.0, 62.0)
_SLOW_S = (3.0, 8.0)
PROVIDER_TIMEOUT_S = 13.0  # 3 s to connect and 10 s to answer


@dataclass(frozen=True)
class Message:
    """A ring on its way."""

    channel: str
    is_urgent: bool
    notification_ids: tuple[str, ...]


class StandIn:
    """The port ``Bell`` with rings that threads of the same process handle."""

    def __init__(self, handle: Callable[[Message], object]) -> None:
        self._handle = handle

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        for each in rings:
            self._handle(Message(channel, severity is Severity.CRITICAL, tuple(each)))


class Broker:
    """The port ``Bell`` and its queue, which loses, doubles and delays messages and is sometimes unavailable."""

    def __init__(self, world: World) -> None:
        self.up_at_s = 0.0
        self.rung: set[str] = set()  # for what it was asked to ring, whatever became of it
        self._world = world
        self.waiting: list[tuple[float, Message]] = []  # since when, urgent ones first
        self._idle: list[Task] = []

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        for each in rings:
            self.rung.update(each)
            self._put(Message(channel, severity is Severity.CRITICAL, tuple(each)))

    def _put(self, message: Message) -> None:
        world, channel = self._world, message.channel
        world.point("before a ring")
        if world.now_s < self.up_at_s:
            raise BrokerUnavailable("simulated")
        copies = 0 if world.strikes("message lost", channel) else 2 if world.strikes("message doubled", channel) else 1
        for _ in range(copies):
            delay_s = world.random.uniform(1, 200) if world.strikes("message delayed", channel) else world.random.expovariate(200)
            world.after(delay_s, partial(self._arrive, message))
        world.point("after a ring")
        if world.strikes("ring unsure", channel):
            raise BrokerUnavailable("simulated: the reply was lost")

    def receive(self) -> Message:
        """Wait for a message and return it."""
        world = self._world
        while not self.waiting:
            self._idle.append(world.task)
            world.block()
        return self.waiting.pop(0)[1]

    def urgent_rings(self) -> int:
        """Return how many urgent messages wait."""
        return sum(message.is_urgent for _, message in self.waiting)

    def forget(self) -> None:
        self.waiting.clear()

    def _arrive(self, message: Message) -> None:
        self.waiting.insert(self.urgent_rings() if message.is_urgent else len(self.waiting), (self._world.now_s, message))
        waiting = [task for task in self._idle if not task.greenlet.dead]
        self._idle = waiting[1:]
        if waiting:
            waiting[0].wake_after(0)


REFUSED_CONTENT = "refused for its content"
OUTCOMES: dict[str, tuple[bool, Callable[[], Exception] | None]] = {
    # answer: whether the provider accepted the message, and the error that the channel raises
    "accepted": (True, None),
    "busy": (False, lambda: TemporaryProviderError("busy", code="503")),
    "busy, yet sent": (True, lambda: TemporaryProviderError("busy", code="500")),
    "throttled": (False, lambda: TemporaryProviderError("too many", code="429", retry_after_s=45.0)),
    "throttled for long": (False, lambda: TemporaryProviderError("too many", code="429", retry_after_s=2000.0)),
    "no connection": (False, lambda: TemporaryProviderError("refused")),
    "refused for good": (False, lambda: PermanentProviderError("no such address", code="404")),
    REFUSED_CONTENT: (False, lambda: PermanentProviderError("a title", code="400", is_about_content=True)),
    "refuses us": (False, lambda: RefusedUsError("bad credentials", code="401")),
    "timed out": (False, lambda: UnknownOutcomeError("no answer")),
    "timed out, yet sent": (True, lambda: UnknownOutcomeError("no answer")),
    "broke": (True, lambda: ZeroDivisionError("simulated")),
}
MOODS: dict[str, dict[str, float]] = {
    "well": {},
    "shaky": dict.fromkeys([each for each in OUTCOMES if each != REFUSED_CONTENT], 0.07),
    "down": {"busy": 0.6, "no connection": 0.2, "throttled": 0.1, "busy, yet sent": 0.1},
    "refusing": {"refused for good": 0.8},
    "offended": {"refuses us": 0.7},
    "hanging": {"timed out": 0.5, "timed out, yet sent": 0.4},
    "limiting": {"throttled": 0.6, "throttled for long": 0.2},
}
RESULTS: dict[str, tuple[Result | None, ...]] = {
    # the receipts for an accepted message
    "delivered": (None, Result.ACCEPTED, Result.DELIVERED),
    "at once": (Result.DELIVERED,),
    "failed": (Result.ACCEPTED, Result.TEMPORARY_FAILURE),
    "bounced": (Result.ACCEPTED, Result.PERMANENT_FAILURE),
    "delivered, then bounced": (Result.DELIVERED, Result.PERMANENT_FAILURE),
    "contradictory": (Result.PERMANENT_FAILURE, Result.TEMPORARY_FAILURE, Result.DELIVERED, Result.ACCEPTED),
    "silent": (),
}
FILTERED: tuple[Result | None, ...] = (Result.ACCEPTED, Result.TEMPORARY_FAILURE)
"""The receipts for a message that the carrier refuses for its content."""

DROPPED: dict[str, tuple[Result | None, ...]] = {
    # the receipts that pass a carrier that drops the deciding ones, or all
    "deciding": (Result.ACCEPTED,),
    "all": (),
}


@dataclass(frozen=True)
class Certain:
    """What every provider does in a world in which that is certain.

    Attributes:
        outcome: Its response, one of ``OUTCOMES``.
        receipts: The results that it reports at once, if it reports any.
        latencies_s: How long it takes at least and at most.
    """

    outcome: str
    receipts: tuple[Result, ...]
    latencies_s: tuple[float, float]


@dataclass
class Send:
    """A provider's record of one attempt.

    Attributes:
        answer: What it has answered; empty while it has not.
        results: The results that may be recorded of the attempt: of the answer and of later receipts.
        is_accepted: Whether it has taken the message, whatever it has answered.
    """

    attempt_id: str
    notification_id: str
    outcome: str = ""
    is_accepted: bool = False
    results: set[Result] = field(default_factory=set)


class SimulatedProvider(Provider):
    """A provider that answers in its channel's drawn mood."""

    def __init__(self, outside: "Outside", channel: str, name: str) -> None:
        self.name = name  # type: ignore[misc]
        self._outside = outside
        self._channel = channel
        self.has_server_per_address = channel == SUBSCRIBERS

    @property
    def capabilities(self) -> ProviderCapabilities:
        return ProviderCapabilities(has_receipts=self._channel in self._outside.reporting)

    def send(self, message: OutboundMessage) -> Accepted:
        outside, world = self._outside, self._outside.world
        world.point("before a send")
        send = outside.begin(message.attempt_id)
        outside.on_message(message)
        outcome = outside.draw(self._channel, message.address)
        named = {each.key for each in message.content.bundled or (message.content,)}
        if outcome == "accepted" and any((self._channel, key) in outside.unspeakable for key in named):
            outcome = REFUSED_CONTENT
        is_accepted, error = OUTCOMES[outcome]
        ref = f"ref-{message.attempt_id[-6:]}"
        if is_accepted and self._channel in outside.reporting:
            is_filtered = any((self._channel, key) in outside.filtered for key in named)
            outside.report_later(self, send, self._channel, ref, titles=len(message.content.bundled), is_filtered=is_filtered)
        world.sleep(PROVIDER_TIMEOUT_S if outcome.startswith("timed out") else outside.latency_s())
        world.note(f"{self.name}: {outcome} ({message.attempt_id[-4:]})")
        send.outcome, send.is_accepted = outcome, is_accepted
        send.results.add(_RESULTS_OF_ERRORS.get(outcome, Result.TEMPORARY_FAILURE))
        outside.on_response(send)
        if world.strikes("stall", self.name):  # past its lease, before the outcome is recorded
            world.task.process.paused_until_s = world.now_s + world.random.uniform(*_STALL_S)
        world.point("after a send")
        if error is not None:
            raise error()
        return Accepted(provider_ref=ref)


class SearchableProvider(SimulatedProvider):
    """One that can find sent messages."""

    def find_sent_message(self, message: OutboundMessage) -> Receipt | None:
        world = self._outside.world
        world.point("before a question")
        send = self._outside.sends.get(message.attempt_id)
        outcome = self._outside.draw(self._channel, message.address)
        world.sleep(PROVIDER_TIMEOUT_S if outcome.startswith("timed out") else 0.1)
        world.note(f"{self.name}: asked after {message.attempt_id[-4:]}: {outcome}, {send and send.is_accepted}")
        if outcome != "accepted":
            raise TemporaryProviderError("busy", code="503")
        if send is None or not send.is_accepted:
            return None
        send.results.add(Result.ACCEPTED)
        event_id = f"{send.attempt_id}-asked"
        return Receipt(provider=self.name, event_id=event_id, result=Result.ACCEPTED, attempt_id=send.attempt_id)


_RESULTS_OF_ERRORS = {
    "accepted": Result.ACCEPTED,
    "refused for good": Result.PERMANENT_FAILURE,
    REFUSED_CONTENT: Result.PERMANENT_FAILURE,
    **dict.fromkeys(("timed out", "timed out, yet sent", "broke"), Result.IN_DOUBT),
}


class SimulatedChannel(Channel):
    """A channel that renders nothing."""

    def __init__(self, name: str, providers: Sequence[Provider]) -> None:
        super().__init__(providers)
        self.name = name  # type: ignore[misc]

    @classmethod
    def from_settings(cls, settings: Settings) -> Channel:
        raise NotImplementedError

    def check_address(self, address: str) -> str:
        return address


class Outside:
    """All providers and their records.

    Attributes:
        sends: What the providers have seen, by attempt.
        underway: How many results are still to come.
        dropping: The channels whose carriers drop receipts, with the receipts that pass; this never heals.
        certain: What every provider does; None where that is drawn.
        unspeakable: The incidents, by channel and key, that a channel's providers refuse in every message that names them.
        filtered: Those that its carriers refuse so, as is reported after the provider has accepted the message.
    """

    def __init__(self, world: World, database: Any, receive: Callable[[Receipt], Task | None]) -> None:
        chance = world.random
        self.world = world
        self.sends: dict[str, Send] = {}
        self.underway = 0
        self.certain: Certain | None = None
        self.unspeakable: set[tuple[str, str]] = set()
        self.filtered: set[tuple[str, str]] = set()
        self.on_begin: Callable[[str], None] = lambda attempt_id: None
        self.on_message: Callable[[OutboundMessage], None] = lambda message: None
        self.on_response: Callable[[Send], None] = lambda send: None
        self._database = database
        self._receive = receive
        well = chance.random()  # the share of healthy channels differs between worlds
        self.moods = {name: "well" if chance.random() < well else chance.choice(list(MOODS)) for name in CHANNELS}
        if chance.random() < 0.2:  # a fault of something they share
            self.moods = dict.fromkeys(CHANNELS, chance.choice(list(MOODS)))
        self.reporting = {"sms", "voice"} | {name for name in ("email", "push") if chance.random() < 0.5}
        self.askable = {name for name in ("sms", "voice") if chance.random() < 0.5}
        self._latency_s = chance.choice((0.0, 0.1, 1.0))
        self._beat_s = 0.1 if world.apart("in step").random() < _IN_STEP else 0.0
        self._patience_s = chance.choice((0.001, 1.0, 30.0))
        self._is_candid = chance.random() < 0.5
        self.dropping = self._draw_dropping()
        self.channels = {}
        for name in CHANNELS:
            providers = [f"{name}-a", f"{name}-b"][: chance.choice((1, 1, 2))]
            kind = SearchableProvider if name in self.askable else SimulatedProvider
            self.channels[name] = SimulatedChannel(name, [kind(self, name, each) for each in providers])

        self.moods[SUBSCRIBERS] = "shaky"
        self.channels[SUBSCRIBERS] = SimulatedChannel(SUBSCRIBERS, [SimulatedProvider(self, SUBSCRIBERS, SUBSCRIBERS)])

    def _draw_dropping(self) -> dict[str, str]:
        """Draw the carriers that drop receipts: the deciding ones, or all."""
        chance = self.world.apart("dropping")
        if chance.random() >= _DROPPING:
            return {}
        return {name: chance.choice(list(DROPPED)) for name in sorted(self.reporting) if chance.random() < 0.7}

    def latency_s(self) -> float:
        """Return how long a send takes, in seconds; in step, sends that overlap end at the same instant."""
        if self.certain:
            return self.world.random.uniform(*self.certain.latencies_s)
        if self.world.odds.get("stall") and not self.world.is_healed:
            return self.world.random.uniform(*_SLOW_S)  # long enough that a woken worker finds another still at it
        if self._beat_s:
            return self._beat_s - self.world.now_s % self._beat_s
        return self._latency_s * self.world.random.expovariate(1) if self._latency_s else 0.01

    def begin(self, attempt_id: str) -> Send:
        self.on_begin(attempt_id)
        rows = self._database.look("SELECT notification_id FROM notifyflow_attempt WHERE id = ?", attempt_id)
        return self.sends.setdefault(attempt_id, Send(attempt_id, rows[0][0] if rows else ""))

    def draw(self, channel: str, address: str) -> str:
        """Draw an answer."""
        if self.certain:
            return self.certain.outcome
        if address.startswith("gone"):
            return "refused for good"
        if self.world.is_healed:
            return "accepted"
        left = self.world.random.random()
        for outcome, odds in MOODS[self.moods[channel]].items():
            left -= odds
            if left < 0:
                return outcome
        return "accepted"

    def report_later(
        self, provider: SimulatedProvider, send: Send, channel: str, ref: str, *, titles: int, is_filtered: bool
    ) -> None:
        """Schedule the receipts of a message: out of order, twice or never, perhaps before its send is recorded.

        A key in a call about several incidents is pressed after some of its ``titles``.
        """
        chance = self.world.random
        results = RESULTS["delivered"] if self.world.is_healed or chance.random() < 0.5 else RESULTS[chance.choice(list(RESULTS))]
        results = FILTERED if is_filtered else results
        results = self.certain.receipts if self.certain else DROPPED.get(self.dropping.get(channel, ""), results)
        patience_s = 0.001 if self.certain else self._patience_s
        for number, result in enumerate(results):
            is_key = channel == "voice" and result is Result.DELIVERED
            digit = chance.choice("1145") if is_key and titles and not self.certain else ""
            receipt = Receipt(
                provider=provider.name,
                event_id=f"{send.attempt_id}-{number}",
                result=result,
                attempt_id=send.attempt_id if self._is_candid or chance.random() < 0.5 else None,
                provider_ref=ref,
                evidence=Evidence.HUMAN if is_key else Evidence.CARRIER,
                is_key_press=is_key,
                code=f"key {digit} at {chance.randint(0, titles)}" if digit else "",
                is_our_fault=is_filtered and result is Result.TEMPORARY_FAILURE,
                is_about_content=is_filtered and result is Result.TEMPORARY_FAILURE,
                is_acknowledgement=digit in ("1", "4") if digit else is_key and not self.certain and chance.random() < 0.5,
            )
            if result is not None:
                send.results.add(result)
            copies = (
                0
                if self.world.strikes("receipt lost", str(result))
                else 2
                if self.world.strikes("receipt doubled", str(result))
                else 1
            )
            for _ in range(copies):
                self.underway += 1
                self.world.after(chance.expovariate(1 / patience_s), partial(self._call_back, receipt, 4))

    def _call_back(self, receipt: Receipt, tries: int) -> None:
        """Send a receipt, and again until it is answered 2xx or the tries are used up."""
        task = self._receive(receipt)
        self.world.after(15, partial(self._check_handled, task, receipt, tries - 1))

    def _check_handled(self, task: Task | None, receipt: Receipt, tries: int) -> None:
        if tries == 0 or (task is not None and task.is_done):
            self.underway -= 1
        else:
            self._call_back(receipt, tries)
