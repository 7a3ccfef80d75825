"""A damaged row of a watched job, or of its incident, keeps nobody from learning of the other jobs, and somebody learns of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.errors import UnreadableRow
from notifyflow.storage.dialects import execute
from notifyflow.storage.store import Store
from tests.damage import Damage, damaged, release_all
from tests.integration.pipeline.oncall.test_watched_jobs import DIRECTORY, DUE, MINUTE, Watch, found

BAD = {"timetable": "{", "wake_at": "-infinity", "passed": '["x"]', "runs": '{"a":"x"}'}


def a_watch(store: Store, count: int = 6) -> tuple[Watch, list[str]]:
    """Return watched jobs, and the names of some that are alike."""
    names = [f"job-{number:03}" for number in range(count)]
    return Watch(store, DIRECTORY + "".join(f'[heartbeats.{name}]\nevery = "1h"\ngrace = "10m"\n' for name in names)), names


def run(watch: Watch, sql: str) -> list[Any]:
    def body(db: Any) -> list[Any]:
        cursor = execute(db, sql)
        return list(cursor.fetchall()) if sql.startswith("SELECT") else []

    return watch.store.run(lambda ledger: body(ledger._unit.db))


@contextmanager
def unreadable(watch: Watch, name: str, column: str) -> Iterator[None]:
    """Overwrite a value of a job with one that cannot be read; mend it at the end of the block."""
    table, is_it = "notifyflow_watched_job", f"WHERE name = '{name}'"
    ((before,),) = run(watch, f"SELECT {column} FROM {table} {is_it}")
    run(watch, f"UPDATE {table} SET {column} = '{BAD[column]}' {is_it}")
    yield
    run(watch, f"UPDATE {table} SET {column} = {'NULL' if before is None else repr(str(before))} {is_it}")
    release_all(watch.deps)


def aside(watch: Watch) -> list[tuple[str, str]]:
    return [(each.machine, each.row_id) for each in watch.store.read(lambda reads: reads.set_aside.all())]


def states(watch: Watch, names: list[str]) -> list[str]:
    """Return the states of the incidents of jobs, by their names."""
    found = dict(run(watch, "SELECT key, state FROM notifyflow_incident"))
    return [str(found.get(f"heartbeat/{name}", "none")) for name in names]


@pytest.mark.parametrize(("column", "count"), [("timetable", 100), ("wake_at", 6), ("passed", 6), ("runs", 6)])
def test_a_job_whose_row_cannot_be_read_is_set_aside_and_the_others_are_judged(store: Store, column: str, count: int) -> None:
    watch, (bad, *others) = a_watch(store, count)
    with unreadable(watch, bad, column):
        watch.at(DUE)
        assert (states(watch, others), states(watch, [bad])) == (["OPEN"] * len(others), ["none"])
        assert aside(watch) == [("watched_job", bad)]
        assert {job.name for job in watch.jobs.all()[0]} >= set(others)
        told = [each.message.content for each in watch.seen if each.message.address == "ops@email"]
        assert [(each.title, each.severity) for each in told] == [
            (f'Nobody watches the heartbeat "{bad}": a damaged row is set aside (CRITICAL)', Severity.CRITICAL)
        ]
        assert told[0].body.startswith(f"{told[0].title}.\n`notifyflow status --broken` names the row. No incident is opened")
        assert [(each.table, each.row_id) for each in watch.store.read(lambda reads: reads.damage.found())] == [
            ("watched_job", bad)
        ]
    watch.at(DUE + 1)
    assert states(watch, [bad]) == ["OPEN"]


def test_a_ping_of_a_job_whose_row_cannot_be_read_is_refused_and_not_said_to_be_unknown(store: Store) -> None:
    watch, (bad, other, *_) = a_watch(store)
    with unreadable(watch, bad, "timetable"):
        with pytest.raises(UnreadableRow):
            watch.ping(bad)
        watch.ping(other)
        assert watch.job(other).succeeded_at == watch.clock.at
        assert aside(watch) == [("watched_job", bad)]
    watch.ping(bad)


def test_a_directory_is_stored_though_the_row_of_a_job_cannot_be_read(store: Store) -> None:
    watch, (bad, other, *_) = a_watch(store)
    with unreadable(watch, bad, "timetable"):
        watch.declare(f'{DIRECTORY}[heartbeats.{bad}]\nevery = "2h"\n[heartbeats.{other}]\nevery = "2h"\ngrace = "10m"\n')
        assert watch.job(other).due_at == watch.clock.at + 130 * MINUTE


@pytest.mark.parametrize("damage", [Damage.REFUSED, Damage.INSTANT])
def test_a_job_whose_incident_is_damaged_is_set_aside_and_the_others_are_judged(store: Store, damage: Damage) -> None:
    watch, (bad, *others) = a_watch(store)
    watch.at(DUE)
    with damaged(watch.deps, "incident", found(watch.incident(f"heartbeat/{bad}")).facts.id, damage):
        for name in (bad, *others):
            watch.ping(name)
        watch.at(DUE + 1)
        assert (states(watch, others), states(watch, [bad])) == (["RESOLVED"] * len(others), ["OPEN"])
        assert ("watched_job", bad) in aside(watch)
    release_all(watch.deps)
    watch.at(DUE + 2)
    assert states(watch, [bad]) == ["RESOLVED"]


@pytest.mark.parametrize(("is_over", "opened"), [(False, "unknown/default"), (True, "job-000")])
def test_a_damaged_note_of_who_listens_keeps_no_job_from_being_judged(store: Store, is_over: bool, opened: str) -> None:
    """That of a past absence is left out."""
    watch, _ = a_watch(store)
    watch.at(61)
    watch.listens = False
    watch.at(63)
    watch.listens = True
    watch.at(64)
    run(watch, f"UPDATE notifyflow_absence SET began_at = '-infinity' WHERE is_over = {is_over}")
    watch.at(DUE + 20)
    assert (states(watch, [opened]), aside(watch)) == (["OPEN"], [])


def test_operations_is_told_that_nobody_listens_though_the_note_of_it_is_damaged(store: Store) -> None:
    watch, _ = a_watch(store)
    watch.listens = False
    run(watch, "UPDATE notifyflow_absence SET began_at = '-infinity'")
    watch.at(DUE)
    assert told(watch) == []
    watch.at(DUE + 20)
    assert told(watch) == ["heartbeats: no ping has been stored for a quarter of an hour, since no web service listens"]


def told(watch: Watch) -> list[str]:
    """Return what operations was told."""
    return [each.message.content.title for each in watch.seen if each.message.address == "ops@email"]
