"""The log only grows, and a person can be forgotten without it."""

import pytest
from peewee import PeeweeException

from notifyflow.core.delivery.model import Kind, NotificationState, Receipt, Result, Severity
from notifyflow.errors import RecipientInUse, StorageError
from notifyflow.pipeline.upkeep.forget import forget
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.store import Store
from notifyflow.storage.tables import TransitionRow
from tests.builders import a_recipient, an_incident
from tests.driver import Driver

MARKS = ("Ada-mark", "ada-mark@example.com", "+15005550123", "title-mark", "body-mark")


@pytest.fixture
def driver(store: Store) -> Driver:
    driver = Driver(store)
    ada = a_recipient("ada", email=MARKS[1], sms=MARKS[2])
    driver.notify(an_incident("alone", title=MARKS[3], body=MARKS[4]), ada)
    driver.notify(an_incident("shared", title="sent to both"), ada, a_recipient("bob", "email"))
    driver.deliver()
    for key in ("alone", "shared"):
        driver.report(driver.pages(key=key)["email"].attempts[-1].id, Result.DELIVERED)
    return driver


def test_their_replies_are_overwritten_and_their_stop_is_kept(driver: Driver, store: Store, database_url: str) -> None:
    receipt = Receipt(provider="twilio", event_id="answer", result=None)
    store.run(lambda ledger: ledger.inbox.add(receipt, raw="From=%2B15005550123&Body=raw", at=driver.clock.now()))
    store.run(lambda ledger: ledger.replies.opt_out("+1500", MARKS[2], at=driver.clock.now()))
    for key in ("alone", "shared"):
        driver.resolve(key=key)
    store.run(lambda ledger: ledger.replies.note_texted(MARKS[2], "ada", at=driver.clock.now()))
    incident_id, now = driver.status("alone").facts.id, driver.clock.now()
    store.run(lambda ledger: ledger.replies.give_code(MARKS[2], incident_id, "ada", severity=Severity.ERROR, now=now))
    forget(driver.deps, "ada")
    assert "%2B15005550123" not in dump(database_url)
    assert dump(database_url).count(MARKS[2]) == 1


def dump(url: str) -> str:
    """Read every column of every table as text."""
    db = dialect_for(url).connect(Deadline(600))
    try:
        tables = [name for name in db.get_tables() if name.startswith("notifyflow_")]
        return repr([execute(db, f"SELECT * FROM {table}").fetchall() for table in tables])
    finally:
        db.close()


def test_nothing_personal_is_left_of_somebody_who_is_forgotten(driver: Driver, database_url: str) -> None:
    assert "raw" in dump(database_url)
    for key in ("alone", "shared"):
        driver.resolve(key=key)
    assert forget(driver.deps, "ada").incidents == 2
    left = dump(database_url)
    assert [mark for mark in (*MARKS, "'raw'", "ada@email") if mark in left] == []


def test_what_was_sent_to_others_stays_and_so_does_what_happened(driver: Driver) -> None:
    for key in ("alone", "shared"):
        driver.resolve(key=key)
    before = driver.status("shared")
    forget(driver.deps, "ada")
    after = driver.status("shared")
    assert after.content.title == "sent to both"
    assert after.transitions == before.transitions
    assert [each.contact.addresses for each in after.escalations] == [{}, {"email": "bob@email"}]
    assert forget(driver.deps, "bob").incidents == 1
    assert driver.status("shared").content.title == "forgotten"


def test_status_updates_for_somebody_who_is_forgotten_are_cancelled_and_nobody_else_waits_for_it(driver: Driver) -> None:
    driver.resolve(key="alone", by="ops")
    (begun,) = driver.claim("email")
    driver.resolve(key="shared", by="ops")
    forget(driver.deps, "ada")
    driver.release(begun)
    driver.seen.clear()
    driver.deliver()
    assert [each.message.address for each in driver.seen] == ["bob@email"]
    rows = [row for key in ("alone", "shared") for each in driver.status(key).escalations for row in each.notifications]
    updates = [row.state for row in rows if row.kind is Kind.STATUS_UPDATE]
    assert sorted(updates) == [NotificationState.CANCELLED, NotificationState.CANCELLED, NotificationState.SENT]


def test_somebody_who_is_still_paged_is_not_forgotten(driver: Driver, database_url: str) -> None:
    driver.resolve(key="alone")
    before = dump(database_url)
    with pytest.raises(RecipientInUse) as refused:
        forget(driver.deps, "ada")
    assert refused.value.incidents == (("", "shared"),)
    assert dump(database_url) == before


def test_nobody_is_forgotten_whom_nobody_knows(driver: Driver) -> None:
    assert forget(driver.deps, "zoe").incidents == 0


def test_a_line_of_the_log_cannot_be_changed(driver: Driver, store: Store) -> None:
    with pytest.raises(StorageError):
        store.run(lambda ledger: TransitionRow.update(event="forged").execute(ledger._unit.db))


def test_the_log_cannot_be_replaced_or_emptied_whole_either(driver: Driver, store: Store, database_url: str) -> None:
    columns = ", ".join(TransitionRow._meta.columns)
    ways = {
        "sqlite": f"INSERT OR REPLACE INTO notifyflow_transition SELECT {columns} FROM notifyflow_transition",
        "postgresql": "TRUNCATE notifyflow_transition",
    }
    with pytest.raises((StorageError, PeeweeException)):
        store.run(lambda ledger: execute(ledger._unit.db, ways[database_url.partition(":")[0]]))
    assert driver.status("shared").transitions


def test_a_line_of_an_incident_that_is_not_resolved_cannot_be_deleted(driver: Driver, store: Store) -> None:
    driver.resolve(key="alone")
    done, open_ = (driver.status(key).facts.id for key in ("alone", "shared"))

    def delete(incident_id: str) -> int:
        query = TransitionRow.delete().where(TransitionRow.incident_id == incident_id)
        return int(store.run(lambda ledger: query.execute(ledger._unit.db)))

    with pytest.raises((StorageError, PeeweeException)):
        delete(open_)
    assert delete(done) > 0
