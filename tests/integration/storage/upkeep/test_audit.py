"""The checker finds nothing on what the pipeline has stored, and each damage by its rule."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.upkeep.audit import Rule
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.store import Store
from notifyflow.storage.tables import policies
from tests.builders import ACCEPTED, REFUSED, START, UNKNOWN, a_contact, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.storage.samples import found_in

VOICE = "(SELECT id FROM notifyflow_notification WHERE channel = 'voice')"
ADAS = "(SELECT id FROM notifyflow_escalation WHERE recipient_id = 'ada')"
ACKNOWLEDGED = "(SELECT id FROM notifyflow_escalation WHERE recipient_id = 'ben')"
ACKNOWLEDGED_PAGE = f"(SELECT id FROM notifyflow_notification WHERE escalation_id = {ACKNOWLEDGED} AND kind = 'page')"
LINE = "INSERT INTO notifyflow_transition (incident_id, machine, row_id, version, event, source, target, at, detail)"


def deliver_in(store: Store) -> Driver:
    """Ada is called after all else failed, and operations is alerted; Ben's page was in doubt once, and he acknowledged it."""
    driver = Driver(store, operations=[a_contact("olga", "push")])
    for channel in ("email", "slack", "sms"):
        driver.respond(channel, REFUSED)
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email", "slack", "sms", "voice"))
    driver.deliver()
    driver.respond("slack", UNKNOWN, ACCEPTED)
    driver.notify(an_incident("db-2"), a_recipient("ben", "slack"))
    driver.deliver()
    driver.pass_time(seconds=50)
    driver.acknowledge("ben", "db-2")
    return driver


@pytest.fixture
def driver(store: Store) -> Driver:
    return deliver_in(store)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in which it has happened, to be copied."""
    path = tmp_path_factory.mktemp("audited") / "notifyflow.db"
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    deliver_in(store)
    store.close()
    return path


def damage(url: str, *statements: str) -> None:
    db = dialect_for(url).connect(Deadline(600))
    try:
        if url.startswith("sqlite"):  # whoever damages a database by hand stops at nothing
            for trigger in ("guard", "keeper"):
                execute(db, f"DROP TRIGGER IF EXISTS notifyflow_transition_{trigger}")
        else:
            execute(db, "SET session_replication_role = replica")
        for statement in statements:
            assert execute(db, statement).rowcount > 0, statement
    finally:
        db.close()


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_what_the_pipeline_stored_is_clean_in_pages_of_any_size(driver: Driver, limit: int) -> None:
    assert found_in(driver.store, limit=limit) == []


def test_an_incident_of_many_recipients_is_read_in_pieces_and_whole(driver: Driver, database_url: str) -> None:
    people = [f"p{number:03}" for number in range(250)]
    driver.notify(an_incident("many"), *(a_recipient(each, "push") for each in people))
    driver.notify(an_incident("after"), a_recipient("ada", "push"))
    lost = "escalation_id = (SELECT id FROM notifyflow_escalation WHERE recipient_id = '{}')"
    damage(database_url, *(f"DELETE FROM notifyflow_notification WHERE {lost.format(each)}" for each in ("p000", "p150", "p249")))
    assert sum(each.rule is Rule.STATE and each.machine == "notification" for each in found_in(driver.store)) == 3


def test_an_empty_database_is_clean(store: Store) -> None:
    assert found_in(store) == []


DAMAGES = [
    (Rule.READABLE, "UPDATE notifyflow_notification SET state = 'LOST' WHERE channel = 'voice'"),
    (Rule.READABLE, "UPDATE notifyflow_incident SET policy = '{' WHERE key = 'db-2'"),
    (Rule.STATE, "UPDATE notifyflow_notification SET state = 'DELIVERED' WHERE channel = 'voice'"),
    (Rule.STATE, "UPDATE notifyflow_notification SET state = 'CANCELLED' WHERE channel = 'voice'"),
    (Rule.STATE, f"UPDATE notifyflow_escalation SET is_current = FALSE WHERE id = {ADAS}"),
    (Rule.STATE, f"UPDATE notifyflow_escalation SET next_decision_at = NULL WHERE id = {ADAS}"),
    (
        Rule.STATE,
        f"DELETE FROM notifyflow_attempt WHERE notification_id = {VOICE}",
        "DELETE FROM notifyflow_notification WHERE channel = 'voice'",
    ),
    (Rule.LOG, f"DELETE FROM notifyflow_transition WHERE row_id = {VOICE}"),
    (Rule.LOG, f"DELETE FROM notifyflow_transition WHERE event = 'claimed' AND row_id = {VOICE}"),
    (Rule.LOG, f"UPDATE notifyflow_transition SET event = 'napped' WHERE event = 'claimed' AND row_id = {VOICE}"),
    (Rule.LOG, f"UPDATE notifyflow_transition SET event = 'released' WHERE event = 'claimed' AND row_id = {VOICE}"),
    (Rule.LOG, f"UPDATE notifyflow_transition SET source = 'SENT' WHERE source = '' AND row_id = {VOICE}"),
    (Rule.LOG, f"UPDATE notifyflow_transition SET target = 'FAILED' WHERE event = 'accepted' AND row_id = {VOICE}"),
    (Rule.LOG, f"UPDATE notifyflow_notification SET version = 1 WHERE id = {VOICE}"),
    (Rule.LOG, "UPDATE notifyflow_incident SET state = 'OPEN' WHERE key = 'db-2'"),
    (Rule.TIER, "UPDATE notifyflow_notification SET tier = 9 WHERE channel = 'voice'"),
    (
        Rule.TIER,
        f"{LINE} SELECT incident_id, machine, row_id, version + 100, event, target, target, at, detail"
        " FROM notifyflow_transition WHERE event = 'tier_opened'",
    ),
    (Rule.ATTEMPTS, "UPDATE notifyflow_notification SET max_attempts = 0 WHERE channel = 'voice'"),
    (Rule.ATTEMPTS, f"DELETE FROM notifyflow_attempt WHERE notification_id = {VOICE}"),
    (Rule.OPERATIONS, "DELETE FROM notifyflow_critical"),
    (
        Rule.OPERATIONS,
        "INSERT INTO notifyflow_critical"
        f" SELECT {ACKNOWLEDGED}, operations_incident_id, reason, at, is_counted, is_rolled_up, is_paging, is_reported, path,"
        " is_deferred FROM notifyflow_critical",
    ),
    (
        Rule.OPERATIONS,
        "UPDATE notifyflow_critical SET operations_incident_id = (SELECT id FROM notifyflow_incident WHERE key = 'db-2')",
    ),
    (Rule.ACKNOWLEDGED, "UPDATE notifyflow_incident SET state = 'ACKNOWLEDGED' WHERE key = 'db-1'"),
    (
        Rule.ACKNOWLEDGED,
        f"{LINE} SELECT incident_id, machine, row_id, version + 100, event, source, target, at, detail"
        f" FROM notifyflow_transition WHERE event = 'claimed' AND row_id = {ACKNOWLEDGED_PAGE} AND version < 4",
    ),
    (Rule.DOUBT, "UPDATE notifyflow_attempt SET is_doubted = FALSE WHERE is_doubted"),
    (Rule.DOUBT, "UPDATE notifyflow_attempt SET result = NULL WHERE result = 'permanent_failure'"),
    (Rule.DOUBT, "UPDATE notifyflow_attempt SET evidence = 'carrier' WHERE result = 'permanent_failure'"),
]


@pytest.mark.parametrize("damages", DAMAGES, ids=lambda damages: " ".join(damages[1].split())[:70])
def test_damage_is_found_by_its_rule(database: Path, tmp_path: Path, damages: tuple[Rule, *tuple[str, ...]]) -> None:
    rule, *statements = damages
    url = f"sqlite:///{shutil.copy(database, tmp_path)}"
    damage(url, *statements)
    store = Store(url)
    found = found_in(store)
    store.close()
    assert rule in {each.rule for each in found}
    assert all(each.row_id and each.incident_id and each.what for each in found)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM notifyflow_policy",
        "UPDATE notifyflow_policy SET document = '{}'",
        "UPDATE notifyflow_policy SET document = REPLACE(document, 'email', 'sms')",
    ],
)
def test_rows_whose_policy_is_missing_or_damaged_are_found_also_where_it_is_remembered(
    driver: Driver, database_url: str, statement: str
) -> None:
    policies.keep([DEFAULT])
    damage(database_url, statement)
    assert driver.escalation().policy == DEFAULT
    assert {each.rule for each in found_in(driver.store)} == {Rule.READABLE}


def test_damage_hides_nothing_of_the_others(driver: Driver, database_url: str) -> None:
    damage(
        database_url, f"UPDATE notifyflow_escalation SET severity = 'LOUD' WHERE id = {ADAS}", "DELETE FROM notifyflow_critical"
    )
    damage(database_url, f"UPDATE notifyflow_attempt SET is_doubted = FALSE WHERE notification_id = {ACKNOWLEDGED_PAGE}")
    assert {each.rule for each in found_in(driver.store)} >= {Rule.READABLE, Rule.DOUBT}


def test_a_notification_that_nobody_claims_in_time_is_overdue(driver: Driver) -> None:
    driver.notify(an_incident("db-3"), a_recipient("eve", "email", "slack"))
    driver.claim("slack")
    assert found_in(driver.store, driver.clock.now()) == []
    found = found_in(driver.store, driver.clock.now() + timedelta(hours=1))
    assert {each.rule for each in found} == {Rule.OVERDUE}
    text = " ".join(each.what for each in found)
    assert "should have been sent at" in text
    assert "whose lease ended at" in text


@pytest.mark.parametrize(
    ("machine", "damages"),
    [
        ("incident", "UPDATE notifyflow_incident SET round_at = opened_at WHERE key = 'db-1'"),
        ("escalation", f"UPDATE notifyflow_escalation SET next_decision_at = started_at WHERE id = {ADAS}"),
        ("escalation", f"UPDATE notifyflow_escalation SET next_round_at = started_at WHERE id = {ADAS}"),
    ],
)
def test_what_nobody_decided_in_its_time_is_overdue(driver: Driver, database_url: str, machine: str, damages: str) -> None:
    damage(database_url, damages)
    found = found_in(driver.store, START + timedelta(minutes=5))
    assert {(each.machine, each.rule) for each in found} == {(machine, Rule.OVERDUE)}
