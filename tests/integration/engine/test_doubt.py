"""A message in doubt is searched for before it is sent again: over real databases, against the stand-in of Twilio."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from notifyflow.channels.base import Channel
from notifyflow.channels.sms import SmsChannel
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts, Transition
from notifyflow.core.delivery.model import AttemptState, NotificationState, Receipt, Result
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.engine.deliver import Deliverer
from notifyflow.engine.reporter import Reporter
from notifyflow.errors import PermanentProviderError, UnknownOutcomeError
from notifyflow.sandbox.inbox import Message
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, START, a_recipient, an_incident
from tests.damage import Damage, damaged
from tests.driver import Driver
from tests.integration.engine.scripted import ScriptedChannel, ScriptedProvider
from tests.integration.engine.test_deliver import NotedBell
from tests.log_lines import capture_logs

PHONE = "+15005550007"
ADA = a_recipient("ada", sms=PHONE)
BUDGET = timedelta(seconds=13)


class Scene:
    """A worker over a store and one channel, sms, whose clock begins now and is moved by hand."""

    def __init__(self, store: Store, channel: Channel) -> None:
        self.driver = Driver(store, public_url="https://page.example.com")
        self.driver.clock.at = datetime.now(UTC)
        channels: Mapping[str, Channel] = {"sms": channel}
        self._deliverer = Deliverer(
            self.driver.deps, channels, Reporter(NotedBell(), self.driver.deps), send_budget=BUDGET, concurrency=2
        )

    def deliver(self) -> None:
        self._deliverer.deliver("sms", [self.row.id])

    def deliver_again(self) -> None:
        """Let the retry become due, and be made."""
        assert self.row.due_at is not None
        self.driver.clock.at = max(self.driver.clock.at, self.row.due_at)
        self.deliver()

    def crash(self) -> None:
        """Let a worker crash between its claim and its record, and a sweeper take its lease back."""
        self.driver.claim("sms", providers=["twilio"])
        self.expire()

    def expire(self) -> None:
        self.driver.be_away(seconds=60)

    @property
    def row(self) -> NotificationFacts:
        return self.driver.pages()["sms"]

    @property
    def attempts(self) -> tuple[AttemptFacts, ...]:
        return self.row.attempts

    @property
    def log(self) -> list[Transition]:
        return [line for line in self.driver.status().transitions if line.row_id == self.row.id]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(receipts_after_s=0.01) as running:
        yield running


@pytest.fixture
def scene(store: Store, sandbox: Sandbox) -> Iterator[Scene]:
    """A driver that pages Ada's phone, over the stand-in."""
    variables = {**sandbox.settings(), "NOTIFYFLOW_READ_TIMEOUT_S": "0.5"}
    channel = SmsChannel.from_settings(Settings.from_variables(variables))
    scene = Scene(store, channel)
    scene.driver.notify(None, ADA)
    yield scene
    channel.close()


def _texts(sandbox: Sandbox) -> tuple[Message, ...]:
    return sandbox.inbox.messages(channel="sms", is_accepted=True)


def test_a_text_that_was_accepted_before_the_response_was_lost_is_not_sent_again(scene: Scene, sandbox: Sandbox) -> None:
    sandbox.script("sms: accept, then hang")
    scene.deliver()
    assert (scene.row.state, scene.attempts[0].result) == (NotificationState.QUEUED, Result.IN_DOUBT)
    (text,) = _texts(sandbox)
    sandbox.inbox.wait_for(lambda message: message.status == "delivered")
    scene.deliver_again()
    assert len(_texts(sandbox)) == 1
    first, second = scene.attempts
    assert (first.result, first.provider_ref, first.is_doubted) == (Result.DELIVERED, text.reference, True)
    assert second.state is AttemptState.NOT_SENT
    assert scene.row.state is NotificationState.DELIVERED


def test_a_text_that_never_arrived_is_sent_again_and_marked_as_a_resend(scene: Scene, sandbox: Sandbox) -> None:
    sandbox.script("sms: hang once, then ok")
    scene.deliver()
    with capture_logs() as lines:
        scene.deliver_again()
    assert [line["result"] for line in lines if line["event"] == "engine.doubt_checked"] == ["unknown"]
    (text,) = _texts(sandbox)
    first, second = scene.attempts
    assert (first.result, second.result, second.provider_ref) == (Result.IN_DOUBT, Result.ACCEPTED, text.reference)
    claims = [line.detail for line in scene.log if line.event == "claimed"]
    assert [detail.get("after_doubt") for detail in claims] == [None, first.id]


def test_a_text_that_the_carrier_returned_is_sent_again(scene: Scene, sandbox: Sandbox) -> None:
    sandbox.script("sms: undelivered once, then ok")
    claimed, *_ = scene.driver.claim("sms", providers=["twilio"])
    _send(sandbox, claimed.message)
    sandbox.inbox.wait_for(lambda message: message.status == "undelivered")
    scene.expire()
    scene.deliver()
    assert [each.result for each in scene.attempts] == [Result.TEMPORARY_FAILURE, Result.ACCEPTED]
    assert len(_texts(sandbox)) == 2


def _send(sandbox: Sandbox, message: OutboundMessage) -> None:
    channel = SmsChannel.from_settings(Settings.from_variables(sandbox.settings()))
    channel.providers[0].send(message)
    channel.close()


def test_a_worker_that_crashed_after_its_send_doubles_nothing(scene: Scene, sandbox: Sandbox) -> None:
    claimed, *_ = scene.driver.claim("sms", providers=["twilio"])
    _send(sandbox, claimed.message)
    scene.expire()
    scene.deliver()
    assert len(_texts(sandbox)) == 1
    assert scene.attempts[0].result in (Result.ACCEPTED, Result.DELIVERED)
    assert scene.row.state in (NotificationState.SENT, NotificationState.DELIVERED)


def test_another_text_to_the_same_phone_does_not_resolve_the_doubt(scene: Scene, sandbox: Sandbox) -> None:
    claimed, *_ = scene.driver.claim("sms", providers=["twilio"])
    content = replace(claimed.message.content, link="https://page.example.com/a/another")
    _send(sandbox, replace(claimed.message, attempt_id="another", content=content))
    scene.expire()
    scene.deliver()
    assert len(_texts(sandbox)) == 2
    assert [each.result for each in scene.attempts] == [Result.IN_DOUBT, Result.ACCEPTED]


def test_a_message_is_sent_again_if_its_provider_cannot_be_reached(scene: Scene, sandbox: Sandbox) -> None:
    scene.crash()
    sandbox.script("sms: refuse")
    with capture_logs() as lines:
        scene.deliver()
    assert "engine.doubt_check_failed" in {line["event"] for line in lines}
    assert [each.result for each in scene.attempts] == [Result.IN_DOUBT, Result.TEMPORARY_FAILURE]


class Oracle(ScriptedProvider):
    """Finds sent messages as the test says."""

    name = "twilio"

    def __init__(self, outcome: Result | Exception | None) -> None:
        super().__init__()
        self.outcome = outcome
        self.questions: list[OutboundMessage] = []

    def find_sent_message(self, question: OutboundMessage) -> Receipt | None:
        self.questions.append(question)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        attempt_id = question.attempt_id
        event_id = f"found:{attempt_id}"
        return self.outcome and Receipt(provider="twilio", event_id=event_id, result=self.outcome, attempt_id=attempt_id)


def _searched(store: Store, oracle: ScriptedProvider) -> Scene:
    scene = Scene(store, ScriptedChannel(oracle))
    scene.driver.notify(None, a_recipient("ada", "sms"))
    scene.crash()
    scene.deliver()
    return scene


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (Result.ACCEPTED, NotificationState.SENT),
        (Result.DELIVERED, NotificationState.DELIVERED),
        (Result.PERMANENT_FAILURE, NotificationState.FAILED),
    ],
)
def test_what_is_found_decides_and_nothing_is_sent(store: Store, result: Result, state: NotificationState) -> None:
    oracle = Oracle(result)
    scene = _searched(store, oracle)
    assert (oracle.messages, scene.row.state, scene.attempts[0].result) == ([], state, result)
    (question,) = oracle.questions
    first = scene.attempts[0]
    assert (question.attempt_id, question.at) == (first.id, first.started_at)


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        Result.TEMPORARY_FAILURE,
        UnknownOutcomeError("silent"),
        PermanentProviderError("no", code="403"),
        RuntimeError("a bug"),
    ],
    ids=str,
)
def test_where_nothing_is_found_it_is_sent(store: Store, outcome: Result | Exception | None) -> None:
    oracle = Oracle(outcome)
    scene = _searched(store, oracle)
    assert len(oracle.messages) == len(oracle.questions) == 1
    assert scene.row.state is NotificationState.SENT


def test_a_provider_that_cannot_search_is_not_called(store: Store) -> None:
    provider = ScriptedProvider()
    provider.name = "twilio"
    assert len(_searched(store, provider).attempts) == len(provider.messages) + 1 == 2


KEYS = [f"db-{number:02}" for number in range(12)]


class Night(Scene):
    """A worker that died with a text to Ada which carried what had waited in her quiet hours."""

    def __init__(self, store: Store, channel: Channel, *, recorded: int = 0) -> None:
        super().__init__(store, channel)
        self.driver.clock.at = START
        for key in KEYS:
            self.driver.notify(an_incident(key), replace(ADA, quiet="22:00-07:00"))
        self.driver.claim("sms", providers=["twilio"])
        self.driver.note_sweep(START + timedelta(hours=4))
        (self.call,) = self.driver.claim("sms", providers=["twilio"])
        for each in self.call.attempts[:recorded]:
            self.driver.record(each, replace(ACCEPTED, provider_ref="SM1"))

    def deliver_all(self) -> None:
        self.expire()
        self._deliverer.deliver("sms", [row.id for row in self.rows()])

    def rows(self) -> list[NotificationFacts]:
        return [self.driver.pages(key=key)["sms"] for key in KEYS]

    def states(self) -> list[NotificationState]:
        return [row.state for row in self.rows()]


@pytest.mark.parametrize("recorded", [0, 5])
@pytest.mark.parametrize(("found", "messages"), [(Result.ACCEPTED, 0), (None, 1)])
def test_a_call_that_carried_several_is_asked_for_once_and_the_answer_holds_for_all(
    store: Store, found: Result | None, messages: int, recorded: int
) -> None:
    oracle = Oracle(found)
    night = Night(store, ScriptedChannel(oracle), recorded=recorded)
    night.deliver_all()
    (question,) = oracle.questions
    assert (question.attempt_id, question.content) == (night.call.message.attempt_id, night.call.message.content)
    assert night.states() == [NotificationState.SENT] * 12
    assert [sum(message.content.counts.values()) for message in oracle.messages] == [12 - recorded] * messages


def test_a_damaged_row_of_a_call_in_doubt_keeps_no_other_from_the_answer(store: Store) -> None:
    oracle = Oracle(Result.DELIVERED)
    night = Night(store, ScriptedChannel(oracle))
    bad = night.rows()[0]
    night.expire()
    with damaged(night.driver.deps, "notification", bad.id, Damage.WORD):
        night._deliverer.deliver("sms", [each.message.notification_id for each in night.call.attempts])
        assert len(oracle.questions) == 1
    assert sorted(night.states()) == [NotificationState.DELIVERED] * 11 + [NotificationState.QUEUED]
    assert oracle.messages == []


def test_a_text_that_carried_several_is_found_by_its_words(store: Store, sandbox: Sandbox) -> None:
    variables = {**sandbox.settings(), "NOTIFYFLOW_READ_TIMEOUT_S": "0.5"}
    channel = SmsChannel.from_settings(Settings.from_variables(variables))
    night = Night(store, channel)
    _send(sandbox, night.call.message)
    night.deliver_all()
    channel.close()
    assert len(_texts(sandbox)) == 1
    assert set(night.states()) <= {NotificationState.SENT, NotificationState.DELIVERED}


def test_only_the_previous_attempt_is_searched_for(store: Store) -> None:
    oracle = Oracle(None)
    scene = Scene(store, ScriptedChannel(oracle))
    scene.driver.notify(None, a_recipient("ada", "sms"))
    scene.crash()
    oracle.script.append(PermanentProviderError("no", code="404"))
    scene.deliver()
    assert len(oracle.questions) == 1
    assert scene.row.state is NotificationState.FAILED


def test_a_search_that_uses_the_lease_up_counts_as_an_attempt_so_that_it_ends(store: Store) -> None:
    oracle = Oracle(None)
    scene = Scene(store, ScriptedChannel(oracle))
    scene.driver.notify(None, a_recipient("ada", "sms"))
    scene.crash()
    search = oracle.find_sent_message

    def find_late(question: OutboundMessage) -> Receipt | None:
        scene.driver.clock.pass_time(timedelta(seconds=50))
        return search(question)

    oracle.find_sent_message = find_late  # type: ignore[method-assign]
    scene.deliver()
    assert oracle.messages == []
    assert [each.result for each in scene.attempts] == [Result.IN_DOUBT, Result.TEMPORARY_FAILURE]
    oracle.find_sent_message = search  # type: ignore[method-assign]
    scene.deliver_again()
    assert len(oracle.messages) == 1
