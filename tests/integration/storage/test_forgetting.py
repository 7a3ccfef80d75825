"""The log only grows, and a person can be forgotten without it."""

import pytest
from peewee import PeeweeException

from notifyflow.core.model import Kind, NotificationState, Receipt, Result
from notifyflow.errors import RecipientInUse, StorageError
from notifyflow.pipeline.forget import forget
from notifyflow.storage.deadline import Deadline
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.models import TransitionRow
from notifyflow.storage.store import Store
from tests.builders import Story, a_recipient, an_incident

MARKS = ("Ada-mark", "ada-mark@example.com", "+15005550123", "title-mark", "body-mark")


@pytest.fixture
def story(store: Store) -> Story:
    story = Story(store)
    ada = a_recipient("ada", email=MARKS[1], sms=MARKS[2])
    story.notify(an_incident("alone", title=MARKS[3], body=MARKS[4]), ada)
    story.notify(an_incident("shared", title="told to both"), ada, a_recipient("bob", "email"))
    story.deliver()
    for key in ("alone", "shared"):
        story.report(story.pages(key=key)["email"].attempts[-1].id, Result.DELIVERED)
    return story


def test_what_they_answered_goes_and_that_they_said_stop_is_kept(story: Story, store: Store, database_url: str) -> None:
    said = Receipt(provider="twilio", event_id="answer", result=None)
    store.run(lambda ledger: ledger.add_receipt(said, raw="From=%2B15005550123&Body=raw", at=story.clock.now()))
    store.run(lambda ledger: ledger.opt_out("+1500", MARKS[2], at=story.clock.now()))
    for key in ("alone", "shared"):
        story.resolve(key=key)
    store.run(lambda ledger: ledger.note_texted(MARKS[2], "ada", at=story.clock.now()))
    forget(story.deps, "ada")
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


def test_nothing_personal_is_left_of_somebody_who_is_forgotten(story: Story, database_url: str) -> None:
    assert "raw" in dump(database_url)
    for key in ("alone", "shared"):
        story.resolve(key=key)
    assert forget(story.deps, "ada") == 2
    left = dump(database_url)
    assert [mark for mark in (*MARKS, "'raw'", "ada@email") if mark in left] == []


def test_what_others_were_told_stays_and_so_does_what_happened(story: Story) -> None:
    for key in ("alone", "shared"):
        story.resolve(key=key)
    before = story.status("shared")
    forget(story.deps, "ada")
    after = story.status("shared")
    assert after.content.title == "told to both"
    assert after.transitions == before.transitions
    assert [each.contact.addresses for each in after.escalations] == [{}, {"email": "bob@email"}]
    assert forget(story.deps, "bob") == 1
    assert story.status("shared").content.title == "forgotten"


def test_news_for_somebody_who_is_forgotten_is_withdrawn_and_nobody_else_waits_for_it(story: Story) -> None:
    story.resolve(key="alone", by="ops")
    (begun,) = story.claim("email")
    story.resolve(key="shared", by="ops")
    forget(story.deps, "ada")
    story.release(begun)
    story.seen.clear()
    story.deliver()
    assert [each.address for each in story.seen] == ["bob@email"]
    rows = [row for key in ("alone", "shared") for each in story.status(key).escalations for row in each.notifications]
    updates = [row.state for row in rows if row.kind is Kind.STATUS_UPDATE]
    assert sorted(updates) == [NotificationState.CANCELLED, NotificationState.CANCELLED, NotificationState.SENT]


def test_somebody_who_is_still_paged_is_not_forgotten(story: Story, database_url: str) -> None:
    story.resolve(key="alone")
    before = dump(database_url)
    with pytest.raises(RecipientInUse) as refused:
        forget(story.deps, "ada")
    assert refused.value.incidents == (("", "shared"),)
    assert dump(database_url) == before


def test_nobody_is_forgotten_whom_nobody_knows(story: Story) -> None:
    assert forget(story.deps, "zoe") == 0


def test_a_line_of_the_log_cannot_be_changed(story: Story, store: Store) -> None:
    with pytest.raises(StorageError):
        store.run(lambda ledger: TransitionRow.update(event="forged").execute(ledger._db))


def test_the_log_cannot_be_replaced_or_emptied_whole_either(story: Story, store: Store, database_url: str) -> None:
    columns = ", ".join(TransitionRow._meta.columns)
    ways = {
        "sqlite": f"INSERT OR REPLACE INTO notifyflow_transition SELECT {columns} FROM notifyflow_transition",
        "postgresql": "TRUNCATE notifyflow_transition",
    }
    with pytest.raises((StorageError, PeeweeException)):
        store.run(lambda ledger: execute(ledger._db, ways[database_url.partition(":")[0]]))
    assert story.status("shared").transitions


def test_a_line_of_an_incident_that_is_not_resolved_cannot_be_deleted(story: Story, store: Store) -> None:
    story.resolve(key="alone")
    done, open_ = (story.status(key).facts.id for key in ("alone", "shared"))

    def delete(incident_id: str) -> int:
        query = TransitionRow.delete().where(TransitionRow.incident_id == incident_id)
        return int(store.run(lambda ledger: query.execute(ledger._db)))

    with pytest.raises((StorageError, PeeweeException)):
        delete(open_)
    assert delete(done) > 0
