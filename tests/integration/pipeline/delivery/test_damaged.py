"""One damaged row of each kind among forty good ones: the good ones go on at once, and each damaged one is named."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest

from notifyflow.core.delivery.facts import NotificationFacts, Outcome
from notifyflow.core.delivery.model import (
    Kind,
    NotificationState,
    Notified,
    Receipt,
    Result,
    Severity,
    Step,
)
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Policy
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.intake import validation
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.pipeline.delivery.notify import Submitted, store_all
from notifyflow.pipeline.delivery.outages import pause
from notifyflow.pipeline.delivery.receive import Received, receive_all
from notifyflow.pipeline.delivery.record import Recording, Release, record, release
from notifyflow.pipeline.transaction.ports import Claimed, ReceiptMatch
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, REFUSED, a_contact, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver

GOOD = 40
MACHINES = ("notification", "escalation", "incident")
OPS = a_contact("ops", "email", "sms")


class Field:
    """Forty good incidents and one for each kind of damage, each with a recipient; the damaged ones lie between them."""

    def __init__(
        self, driver: Driver, *, severity: Severity = Severity.ERROR, policy: Policy = DEFAULT, then: Sequence[Step] = ()
    ) -> None:
        self.driver = driver
        self._policy = policy
        driver.notify(an_incident(key="old"), a_recipient("old", "teams"))
        driver.resolve(key="old")
        bad = dict(zip(range(0, GOOD, GOOD // len(Damage)), Damage, strict=False))
        self.good: list[str] = []
        self.bad: dict[Damage, str] = {}
        for number in range(GOOD):
            if number in bad:
                self.bad[bad[number]] = self._open(f"bad-{number}", severity, then)
            self.good.append(self._open(f"good-{number}", severity, then))

    def _open(self, key: str, severity: Severity, then: Sequence[Step]) -> str:
        who = a_recipient(key, "email", "sms", phone=f"{key}@voice")
        return self.driver.notify(an_incident(key=key, severity=severity), who, policy=self._policy, then=then).incident_id

    @contextmanager
    def damaged(self, machine: str) -> Iterator[None]:
        """Damage a row of each bad incident: its first page, its escalation, or its own."""
        with ExitStack() as stack:
            rows = {damage: self._row(machine, incident_id) for damage, incident_id in self.bad.items()}
            for damage, row_id in rows.items():
                stack.enter_context(damaged(self.driver.deps, machine, row_id, damage))
            yield
            self.named = self.driver.store.read(lambda reads: reads.set_aside.all())
        release_all(self.driver.deps)

    def _row(self, machine: str, incident_id: str) -> str:
        (escalation,) = self.status(incident_id).escalations
        return {
            "notification": escalation.notifications[0].id,
            "escalation": escalation.facts.id,
            "incident": incident_id,
        }[machine]

    def status(self, incident_id: str) -> IncidentStatus:
        status = self.driver.store.read(lambda reads: reads.status_by_id(incident_id))
        assert status is not None
        return status

    def states(self) -> set[NotificationState]:
        """Return the states of the good incidents' mails."""
        return {
            row.state
            for each in self.good
            for escalation in self.status(each).escalations
            for row in escalation.notifications
            if row.channel == "email" and row.kind is Kind.PAGE
        }

    def recordings(self, claimed: Sequence[Claimed], outcome: Outcome = ACCEPTED) -> list[Recording]:
        return [Recording(lease=each.lease, outcome=outcome) for each in claimed]

    def accept(self) -> list[Claimed]:
        claimed = list(self.driver.claim("email", providers=["twilio"]))
        assert set(record(self.driver.deps, self.recordings(claimed)).results) == {None}
        return claimed


def _of(claimed: Sequence[Claimed], incident_ids: Sequence[str]) -> list[Claimed]:
    return [each for each in claimed if each.message.incident_id in incident_ids]


@pytest.fixture
def driver(store: Store) -> Driver:
    """Workers and providers, with a person for operations."""
    return Driver(store, operations=[OPS])


@pytest.mark.parametrize("machine", MACHINES)
def test_a_claim_takes_all_others(driver: Driver, machine: str) -> None:
    field = Field(driver)
    with field.damaged(machine):
        claimed = driver.claim("email", limit=200)
        assert {each.message.incident_id for each in _of(claimed, field.good)} == set(field.good)
        again = driver.claim("email", limit=200)
        assert not _of(again, field.good)
        missing = set(field.bad.values()) - {each.message.incident_id for each in claimed}
    assert missing <= {each.incident_id for each in field.named}
    if machine == "notification":
        assert missing == set(field.bad.values())


@pytest.mark.parametrize("machine", MACHINES)
def test_a_small_claim_is_filled_with_others(driver: Driver, machine: str) -> None:
    field = Field(driver)
    with field.damaged(machine):
        taken = [_of(driver.claim("email", limit=5), field.good) for _ in range(15)]
        assert sum(map(len, taken)) == GOOD
        assert taken[0], "what is due first is damaged, and others go in its place"


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("outcome", [ACCEPTED, REFUSED], ids=lambda each: each.result)
def test_all_other_outcomes_are_recorded(driver: Driver, machine: str, outcome: Outcome) -> None:
    field = Field(driver)
    claimed = driver.claim("email")
    with field.damaged(machine):
        settled = record(driver.deps, field.recordings(claimed, outcome))
        failed = {each.message.incident_id for each, result in zip(claimed, settled.results, strict=True) if result is not None}
        assert failed <= set(field.bad.values())
        assert field.states() == {NotificationState.SENT if outcome is ACCEPTED else NotificationState.FAILED}
    assert failed <= {each.incident_id for each in field.named}
    if machine == "notification":
        assert failed == set(field.bad.values())


def test_all_other_attempts_are_released(driver: Driver) -> None:
    field = Field(driver)
    claimed = driver.claim("email")
    with field.damaged("notification"):
        leases = [each.lease for each in field.recordings(claimed)]
        settled = release(driver.deps, [Release(lease=each) for each in leases])
        assert sum(result is None for result in settled.results) == GOOD
        assert field.states() == {NotificationState.QUEUED}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("result", [Result.DELIVERED, Result.PERMANENT_FAILURE])
def test_all_other_receipts_are_applied(driver: Driver, machine: str, result: Result) -> None:
    field = Field(driver)
    claimed = field.accept()
    with field.damaged(machine):
        receipts = [
            Received(
                Receipt(provider="twilio", event_id=each.message.attempt_id, attempt_id=each.message.attempt_id, result=result),
                "",
            )
            for each in claimed
        ]
        fates = receive_all(driver.deps, receipts).results
        of_good = [fate for each, fate in zip(claimed, fates, strict=True) if each.message.incident_id in field.good]
        assert of_good == [ReceiptMatch.MATCHED] * GOOD
        is_delivered = result is Result.DELIVERED
        assert field.states() == {NotificationState.DELIVERED if is_delivered else NotificationState.FAILED}


@pytest.mark.parametrize("machine", ["escalation", "incident"])
def test_all_other_submissions_are_stored(driver: Driver, machine: str) -> None:
    field = Field(driver, severity=Severity.WARNING)
    statuses = [field.status(each) for each in (*field.good, *field.bad.values())]
    with field.damaged(machine):
        submitted = [
            Submitted(
                checked=validation.check_incident(
                    an_incident(key=each.facts.key, severity=Severity.ERROR),
                    [a_recipient(each.facts.key, "email", "sms")],
                    driver.deps.check_address,
                    driver.deps.channels,
                ),
                policy=DEFAULT,
            )
            for each in statuses
        ]
        results = store_all(driver.deps, submitted).results
        assert all(isinstance(each, Notified) for each in results[:GOOD])
        failed = {each.facts.id for each, result in zip(statuses, results, strict=True) if not isinstance(result, Notified)}
        assert failed <= set(field.bad.values())
    assert failed <= {each.incident_id for each in field.named}
    if machine == "incident":
        assert failed == set(field.bad.values())


def test_all_others_are_deferred_by_a_pause(driver: Driver) -> None:
    field = Field(driver)
    now = driver.clock.at
    ends_at = now + timedelta(hours=1)
    pause(
        driver.deps,
        Pause(scope=PauseScope.CHANNEL, name="email", ends_at=ends_at, paused_at=now, paused_by="eve", is_for_critical=True),
    )
    with field.damaged("notification"):
        assert driver.claim("email", limit=200) == ()
        rows = [row for each in field.good for row in _pages(field.status(each)) if row.channel == "email"]
        assert {row.due_at for row in rows} == {ends_at}


@pytest.mark.parametrize("machine", MACHINES)
def test_all_other_leases_expire(driver: Driver, machine: str) -> None:
    field = Field(driver)
    driver.claim("email")
    with field.damaged(machine):
        driver.note_sweep(driver.clock.at + timedelta(minutes=2))
        assert driver.sweep().broken == ()
        assert field.states() == {NotificationState.QUEUED}


@pytest.mark.parametrize("machine", MACHINES)
def test_all_other_timers_open_tiers(driver: Driver, machine: str) -> None:
    field = Field(driver, policy=INSISTENT)
    field.accept()
    with field.damaged(machine):
        driver.note_sweep(driver.clock.at + timedelta(minutes=5))
        opened = {due.notification_id for due in driver.sweep().due if due.channel == "sms"}
        sms = {row.id for each in field.good for row in _pages(field.status(each)) if row.channel == "sms"}
        assert len(sms) == GOOD
        assert sms <= opened


def _pages(status: IncidentStatus) -> list[NotificationFacts]:
    return [row for each in status.escalations for row in each.notifications]


@pytest.mark.parametrize("machine", MACHINES)
def test_all_other_rounds_start(driver: Driver, machine: str) -> None:
    field = Field(driver, policy=INSISTENT)
    field.accept()
    with field.damaged(machine):
        driver.note_sweep(driver.clock.at + timedelta(minutes=15))
        driver.sweep()
        rounds = {max(each.facts.round for each in field.status(one).escalations) for one in field.good}
        assert rounds == {2}


@pytest.mark.parametrize("damage", Damage)
def test_all_other_rounds_of_one_incident_start(driver: Driver, damage: Damage) -> None:
    driver.notify(an_incident(key="old"), a_recipient("old", "teams"))
    driver.resolve(key="old")
    driver.notify(an_incident(), *(a_recipient(f"p{number}", "email") for number in range(GOOD)), policy=INSISTENT)
    driver.deliver()
    with damaged(driver.deps, "escalation", driver.escalation("p7").id, damage):
        driver.note_sweep(driver.clock.at + timedelta(minutes=15))
        driver.sweep()
        others = {driver.escalation(f"p{number}").round for number in range(GOOD) if number != 7}
        assert others == {2}
    release_all(driver.deps)


@pytest.mark.parametrize("machine", ["escalation", "incident"])
def test_all_other_steps_start(driver: Driver, machine: str) -> None:
    ben = a_recipient("ben", "email")
    field = Field(driver, then=[Step(to=(ben,), after=timedelta(minutes=10))])
    field.accept()
    with field.damaged(machine):
        driver.note_sweep(driver.clock.at + timedelta(minutes=10))
        driver.sweep()
        people = [{each.facts.recipient_id for each in field.status(one).escalations} for one in field.good]
        assert all("ben" in each for each in people)
