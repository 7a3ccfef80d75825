"""What was resolved long ago goes, whole, in small steps; what is needed stays."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from notifyflow.core.model import Result, Severity
from notifyflow.storage.deadline import Deadline
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.pruning import Pruned
from notifyflow.storage.store import Store
from tests.builders import REFUSED, Story, a_contact, a_recipient, an_incident
from tests.integration.storage.samples import found_in

BEGINNING = (datetime(1970, 1, 1, tzinfo=UTC), "")
DAY = timedelta(days=1)
TABLES = ("incident", "contact", "escalation", "notification", "attempt", "transition", "receipt", "critical", "notice")


@pytest.fixture
def story(store: Store) -> Story:
    return Story(store, operations=[a_contact("olga", "push")])


def prune(story: Story, limit: int = 100) -> Pruned:
    """Prune what is older than a day; after each step, what is left is whole."""
    place, total, before = BEGINNING, Pruned(), story.clock.now() - DAY
    while place is not None:
        step = story.store.run(lambda ledger, place=place: ledger.prune_incidents(place, before=before, limit=limit))
        total, place = total + step.pruned, step.place
        assert found_in(story.store) == []
    return total + story.store.run(lambda ledger: ledger.prune_strays(before=before, limit=limit))


def count(story: Story, limit: int = 100) -> Pruned:
    place, total, before = BEGINNING, Pruned(), story.clock.now() - DAY
    while place is not None:
        step = story.store.read(lambda reads, place=place: reads.prunable_incidents(place, before=before, limit=limit))
        total, place = total + step.pruned, step.place
    return total + story.store.read(lambda reads: reads.prunable_strays(before=before))


def rows_in(url: str) -> dict[str, int]:
    db = dialect_for(url).connect(Deadline(600))
    try:
        return {table: execute(db, f"SELECT COUNT(*) FROM notifyflow_{table}").fetchone()[0] for table in TABLES}
    finally:
        db.close()


def keys(story: Story) -> set[str]:
    return {facts.key for facts in story.store.read(lambda reads: reads.incidents(100))}


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_what_was_resolved_long_ago_goes_with_all_that_belongs_to_it(story: Story, database_url: str, limit: int) -> None:
    for key in ("a", "b"):
        story.notify(an_incident(key), a_recipient("ada", "email", "sms"), a_recipient("ben", "email"))
        story.deliver()
        story.report(story.seen[-1].attempt_id, Result.DELIVERED)
        story.resolve(key=key)
        story.deliver()
    kept = rows_in(database_url)
    assert prune(story, limit) == count(story, limit) == Pruned()
    story.clock.pass_time(2 * DAY)
    foreseen = count(story, limit)
    assert prune(story, limit) == foreseen
    assert rows_in(database_url) == dict.fromkeys(TABLES, 0)
    assert asdict(foreseen) == {f"{table}s": kept[table] for table in TABLES if table not in ("contact", "critical")}


def test_what_is_not_resolved_stays(story: Story) -> None:
    story.notify(an_incident("open"), a_recipient("ada", "email"))
    story.notify(an_incident("acknowledged"), a_recipient("ada", "email"))
    story.deliver()
    story.acknowledge(key="acknowledged")
    story.clock.pass_time(2 * DAY)
    story.notify(an_incident("fresh"), a_recipient("ada", "email"))
    story.deliver()
    story.resolve(key="fresh")
    assert prune(story) == Pruned()
    assert keys(story) == {"open", "acknowledged", "fresh"}


def test_what_an_open_operations_incident_tells_of_stays_until_that_is_resolved(story: Story, database_url: str) -> None:
    story.respond("email", REFUSED)
    story.notify(an_incident("lost", severity=Severity.CRITICAL), a_recipient("ada", "email"))
    story.deliver()
    story.resolve(key="lost")
    story.deliver()
    story.clock.pass_time(2 * DAY)
    assert prune(story) == Pruned()
    story.resolve(key="notifyflow/operations")
    story.deliver()
    assert prune(story).incidents == 1
    assert keys(story) == {"notifyflow/operations"}
    story.clock.pass_time(2 * DAY)
    assert prune(story).incidents == 1
    assert set(rows_in(database_url).values()) == {0}


def test_an_operations_incident_stays_as_long_as_a_failure_is_linked_to_it(story: Story) -> None:
    story.respond("email", REFUSED)
    story.notify(an_incident("lost", severity=Severity.CRITICAL), a_recipient("ada", "email"))
    story.deliver()
    story.resolve(key="notifyflow/operations")
    story.deliver()
    story.clock.pass_time(2 * DAY)
    assert prune(story) == Pruned()
    assert keys(story) == {"lost", "notifyflow/operations"}


def test_receipts_of_nobody_and_notices_that_were_told_go_with_their_time(story: Story, database_url: str) -> None:
    for number in range(3):
        story.report(f"nobody's {number}", Result.DELIVERED)
    story.clock.pass_time(2 * DAY)
    story.report("nobody's either", Result.DELIVERED)
    assert count(story) == Pruned(receipts=3)
    assert prune(story) == Pruned(receipts=3)
    assert rows_in(database_url)["receipt"] == 1
