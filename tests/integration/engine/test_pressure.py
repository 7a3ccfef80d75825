"""A server that ends statements at random: all pages leave once, all receipts are stored, and nobody is blamed."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.channels.base import Accepted
from notifyflow.core.delivery.model import AttemptState, Evidence, NotificationState, Receipt, Result
from notifyflow.core.messages.outbound import OutboundMessage
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.log_lines import capture_logs
from tests.patience import PatientStore
from tests.pressing import Press, PressedStore
from tests.waiting import wait_until

SHARE = 0.075
INCIDENTS, PEOPLE = 25, 4
_TIMEOUT_S = 300.0
_MOST_STATEMENTS = 100
"""How many statements a page may take on average, with those that are repeated; without pressure it is about 10."""


class PatientPressedStore(PatientStore, PressedStore):
    """A server under pressure, which is waited for as long as a busy machine needs."""


class ReportingProvider(ScriptedProvider):
    """Accepts each message, and reports at once that it was delivered."""

    name = "twilio"

    def __init__(self) -> None:
        super().__init__()
        self.receipts: list[Future[object]] = []
        self.report = lambda receipt: None
        self.pool = ThreadPoolExecutor(4)

    def send(self, message: OutboundMessage) -> Accepted:
        accepted = super().send(message)
        receipt = Receipt(
            provider=self.name,
            event_id=message.attempt_id,
            attempt_id=message.attempt_id,
            result=Result.DELIVERED,
            evidence=Evidence.CARRIER,
        )
        self.receipts.append(self.pool.submit(self.report, receipt))
        return accepted


def is_delivered(flow: NotifyFlow) -> list[bool]:
    """Return of each page whether it was sent once, without a doubt, and delivered."""
    statuses = [flow.find(f"db-{number}") for number in range(INCIDENTS)]
    rows = [row for each in statuses if each for escalation in each.escalations for row in escalation.notifications]
    return [
        row.state is NotificationState.DELIVERED and [each.state for each in row.attempts] == [AttemptState.RECORDED]
        for row in rows
    ]


def page_everybody(flow: NotifyFlow) -> None:
    """Notify people of some incidents, from several threads."""

    def notify(number: int) -> None:
        people = [Recipient(id=f"p{each}", email=f"p{each}@example.com") for each in range(PEOPLE)]
        flow.notify(Incident(key=f"db-{number}", title="down", severity=Severity.CRITICAL), people)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(notify, range(INCIDENTS)))


@pytest.fixture
def press() -> Press:
    return Press(seed=29)


@pytest.fixture
def store(postgres_url: str, press: Press) -> Iterator[PressedStore]:
    opened = PatientPressedStore(postgres_url, press)
    yield opened
    opened.close()


def test_all_pages_leave_once_and_all_receipts_are_stored(store: PressedStore, press: Press, unmeasured: None) -> None:
    provider = ReportingProvider()
    settings = Settings(concurrent_sends=4, provider_limits={"twilio": 1_000}, bundling=False)
    with NotifyFlow(settings, store=store, channels=channels(provider)) as flow, provider.pool, capture_logs() as lines:
        provider.report = lambda receipt: flow._service.receive(receipt, "raw")
        flow.start()
        with press.on(share=SHARE):
            page_everybody(flow)
            wait_until(lambda: sum(is_delivered(flow)) == INCIDENTS * PEOPLE, within_s=_TIMEOUT_S)
            flow.close()
        assert [each.exception() for each in provider.receipts] == [None] * INCIDENTS * PEOPLE
    assert len(provider.messages) == INCIDENTS * PEOPLE
    assert press.struck > SHARE / 2 * press.statements
    assert press.statements < _MOST_STATEMENTS * INCIDENTS * PEOPLE
    blamed = {"engine.row_set_aside", "engine.row_broken", "engine.attempt_unrecorded", "engine.attempt_fenced"}
    assert not [line for line in lines if line["event"] in blamed]
