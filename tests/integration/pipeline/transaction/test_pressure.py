"""Each use case under the pressure of others: sets get smaller, everything passes, and then they are as large as before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count

import pytest

from notifyflow.core.delivery.model import NotificationState, Notified, Receipt, Result, Step
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Policy
from notifyflow.core.intake import validation
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.delivery.notify import Submitted, store_all
from notifyflow.pipeline.delivery.receive import Received, receive_all
from notifyflow.pipeline.delivery.record import Recording, Release, record, release
from notifyflow.pipeline.limits.claim import claim
from notifyflow.pipeline.transaction.journal import Journal
from notifyflow.pipeline.transaction.ports import Claimed, ReceiptMatch
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, a_recipient, an_incident
from tests.deep import sliced
from tests.driver import Driver
from tests.patience import PatientStore
from tests.pressing import CODES, Press, PressedStore

pytestmark = pytest.mark.usefixtures("each_by_itself")  # the rules for one row, whatever leaves with it

ITEMS = 24
CROWD = 120
"""More than a sweep handles at once."""
PRESSED = 6
_GROWING = 4
"""How many calls it takes at most until the sets are as large as before."""
_SHORT_S = 0.5


class PatientPressedStore(PatientStore, PressedStore):
    """A server under pressure, which is waited for as long as a busy machine needs."""


class Field:
    """Incidents, each with one recipient; each time new ones, and the earlier ones are resolved."""

    def __init__(self, driver: Driver) -> None:
        driver.deps = replace(driver.deps, limits={"twilio": 100_000})
        self.driver = driver
        self.keys: list[str] = []
        self._number = count()

    def open(self, *, policy: Policy = DEFAULT, then: Sequence[Step] = ()) -> None:
        self._resolve_all()
        self.keys = [f"db-{next(self._number)}" for _ in range(ITEMS)]
        for key in self.keys:
            self.driver.notify(an_incident(key=key), a_recipient("ada", "email", "sms"), policy=policy, then=then)

    def open_one(self, policy: Policy) -> None:
        self._resolve_all()
        self.keys = [f"db-{next(self._number)}"]
        people = [a_recipient(f"p{number}", "email") for number in range(CROWD)]
        self.driver.notify(an_incident(key=self.keys[0]), *people, policy=policy)

    def _resolve_all(self) -> None:
        for key in self.keys:
            self.driver.resolve(key=key)

    def claim(self) -> Sequence[Claimed]:
        return self.driver.claim("email", limit=2 * CROWD, providers=["twilio"])

    def accept(self) -> Sequence[Claimed]:
        claimed = self.claim()
        assert set(record(self.driver.deps, [_recording(each) for each in claimed]).results) == {None}
        return claimed

    def wait(self, **span: float) -> None:
        self.driver.note_sweep(self.driver.clock.at + timedelta(**span))

    def escalations(self) -> int:
        return sum(len(self.driver.status(key).escalations) for key in self.keys)


def _recording(claimed: Claimed) -> Recording:
    return Recording(lease=claimed.lease, outcome=ACCEPTED)


Case = Callable[[Field], Iterator[int]]
"""Prepares, stops, acts, and returns how many items were handled."""


def claiming(field: Field) -> Iterator[int]:
    field.open()
    yield 0
    yield len(field.claim())


def recording(field: Field) -> Iterator[int]:
    field.open()
    claimed = field.claim()
    yield 0
    yield record(field.driver.deps, [_recording(each) for each in claimed]).results.count(None)


def releasing(field: Field) -> Iterator[int]:
    field.open()
    claimed = field.claim()
    yield 0
    yield release(field.driver.deps, [Release(lease=each.lease) for each in claimed]).results.count(None)


def receiving(field: Field) -> Iterator[int]:
    field.open()
    ids = [each.message.attempt_id for each in field.accept()]
    receipts = [Receipt(provider="twilio", event_id=each, attempt_id=each, result=Result.DELIVERED) for each in ids]
    yield 0
    yield receive_all(field.driver.deps, [Received(each, "") for each in receipts]).results.count(ReceiptMatch.MATCHED)


def submitting(field: Field) -> Iterator[int]:
    field.open()
    yield 0
    results = store_all(field.driver.deps, [_submitted(field.driver, f"{key}-more") for key in field.keys]).results
    yield sum(isinstance(each, Notified) for each in results)


def _submitted(driver: Driver, key: str) -> Submitted:
    people = [a_recipient("ada", "email")]
    checked = validation.check_incident(an_incident(key=key), people, driver.deps.check_address, driver.deps.channels)
    return Submitted(checked=checked, policy=DEFAULT)


def ringing(field: Field) -> Iterator[int]:
    field.open()
    field.wait(seconds=31)
    yield 0
    rung: set[str] = set()
    for _ in range(ITEMS):
        rung |= {due.notification_id for due in field.driver.sweep().due if due.channel == "email"}
        if len(rung) == ITEMS:
            break
    yield len(rung)


def expiring_leases(field: Field) -> Iterator[int]:
    field.open()
    field.claim()
    field.wait(minutes=2)
    yield 0
    field.driver.sweep()
    yield sum(field.driver.pages(key=key)["email"].state is NotificationState.QUEUED for key in field.keys)


def opening_tiers(field: Field) -> Iterator[int]:
    field.open(policy=replace(INSISTENT, repeat=None))
    field.accept()
    field.wait(minutes=5)
    yield 0
    field.driver.sweep()
    yield sum("sms" in field.driver.pages(key=key) for key in field.keys)


def starting_rounds(field: Field) -> Iterator[int]:
    field.open_one(INSISTENT)
    field.accept()
    field.wait(minutes=15)
    yield 0
    field.driver.sweep()
    yield field.escalations() - CROWD


def starting_steps(field: Field) -> Iterator[int]:
    field.open(then=[Step(to=(a_recipient("ben", "email"),), after=timedelta(minutes=10))])
    field.accept()
    field.wait(minutes=10)
    yield 0
    field.driver.sweep()
    yield field.escalations() - ITEMS


CASES = (
    claiming,
    recording,
    releasing,
    receiving,
    submitting,
    ringing,
    expiring_leases,
    opening_tiers,
    starting_rounds,
    starting_steps,
)


@pytest.fixture
def press(request: pytest.FixtureRequest) -> Press:
    return Press(codes=getattr(request, "param", CODES))


@pytest.fixture
def store(postgres_url: str, press: Press) -> Iterator[Store]:
    opened = PatientPressedStore(postgres_url, press)
    yield opened
    opened.close()


def _commits(field: Field, press: Press, case: Case, *, most: int | None = None, is_locking: bool = False) -> int:
    """Run a case, under pressure or not; return how many transactions it took, and require that all items were handled."""
    steps = case(field)
    next(steps)
    before = press.commits
    with press.on(most=most, is_locking=is_locking):
        handled = next(steps)
    assert handled == (CROWD if case is starting_rounds else ITEMS)
    return press.commits - before


@pytest.mark.parametrize("case", sliced(CASES, 4, reason="one use case in four runs every day"), ids=lambda case: case.__name__)
def test_sets_get_smaller_and_grow_again(driver: Driver, press: Press, case: Case) -> None:
    field = Field(driver)
    calm = _commits(field, press, case)
    pressed = _commits(field, press, case, most=PRESSED)
    assert pressed >= ITEMS // PRESSED
    for _ in range(_GROWING):
        after = _commits(field, press, case)
    assert after == calm


def test_a_search_that_locks_too_many_searches_for_fewer(driver: Driver, press: Press) -> None:
    field = Field(driver)
    assert _commits(field, press, claiming, most=PRESSED, is_locking=True) >= ITEMS // PRESSED


@pytest.mark.parametrize("press", [CODES[:1]], indirect=True, ids=["one error"])  # else chance has a say in when a set is halved
def test_the_smaller_size_is_remembered(driver: Driver, press: Press) -> None:
    field = Field(driver)
    _commits(field, press, recording, most=PRESSED)
    struck = press.struck
    _commits(field, press, recording, most=2 * PRESSED)
    assert press.struck - struck < struck / 2


def test_a_claim_in_parts_is_looked_up_part_by_part(driver: Driver, press: Press) -> None:
    """Its thread is cut short after the last of them, and other sizes are allowed meanwhile."""
    field = Field(driver)
    field.open()
    journal = Journal()
    act = partial(journal.context().run, claim, driver.deps, "email", [], limit=ITEMS, providers=["twilio"], reporting=())
    with press.on(most=PRESSED):
        claimed = act().claimed
    commits = press.commits
    journal.read_again()
    assert act().claimed == claimed
    assert len(claimed) == ITEMS
    assert press.commits == commits


def test_a_lone_callers_deadline_is_kept(driver: Driver, press: Press) -> None:
    with press.on(most=0), driver.store.within(_SHORT_S), pytest.raises(StorageUnavailable) as caught:
        driver.notify(an_incident(), a_recipient("ada", "email"))
    assert caught.value.waited_s <= 2 * _SHORT_S
    assert driver.notify(an_incident(), a_recipient("ada", "email")).is_new


def test_a_set_that_never_passes_ends_with_its_time_and_blames_nobody(driver: Driver, press: Press) -> None:
    submitted = [_submitted(driver, f"db-{number}") for number in range(ITEMS)]
    with press.on(most=0), driver.store.within(_SHORT_S), pytest.raises(StorageUnavailable):
        store_all(driver.deps, submitted)
    assert driver.store.read(lambda reads: reads.set_aside.all()) == ()
    assert all(isinstance(each, Notified) for each in store_all(driver.deps, submitted).results)
