"""A use case is one transaction: whole or not at all, repeated when somebody was in the way, given up when the time is over."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifyflow.core.delivery.model import Incident
from notifyflow.errors import InvalidSettings, NotFound, StaleRow, StorageError, StorageUnavailable
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.session.pool import WriteLock
from notifyflow.storage.store import Store
from tests.facts import incident
from tests.integration.storage.samples import begin, count


def _seen(store: Store) -> int:
    return store.read(lambda reads: reads.incidents(1)[0].times_seen)


def test_run_returns_the_value_of_the_use_case(store: Store) -> None:
    assert store.run(lambda ledger: "done") == "done"


def test_an_error_in_a_use_case_rolls_all_back(store: Store) -> None:
    begin(store)

    def use_case(ledger: Ledger) -> None:
        count(ledger)
        raise NotFound("db-2")

    with pytest.raises(NotFound):
        store.run(use_case)
    assert _seen(store) == 1
    store.run(count)
    assert _seen(store) == 2


def test_a_stale_row_repeats_the_whole_use_case(store: Store) -> None:
    begin(store)
    runs = 0

    def use_case(ledger: Ledger) -> None:
        nonlocal runs
        runs += 1
        count(ledger)
        if runs < 3:
            raise StaleRow("incident", "i")

    store.run(use_case)
    assert (runs, _seen(store)) == (3, 2)


def test_a_row_that_stays_stale_is_given_up_when_the_time_is_over(store: Store) -> None:
    store.now()  # a connection is open: to open one may take longer

    def use_case(ledger: Ledger) -> None:
        raise StaleRow("incident", "i")

    with pytest.raises(StorageUnavailable, match="moved by another process"):
        store.run(use_case, timeout_s=0.05)


def test_a_wrong_statement_is_an_error_without_the_values(store: Store) -> None:
    begin(store)
    secret = incident(id="i", key="a secret key")
    with pytest.raises(StorageError) as caught:
        store.run(lambda ledger: ledger.incidents.add(secret, Incident(key="a secret key", title="t")), timeout_s=0.05)
    assert "notifyflow_incident" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_threads_that_count_at_once_lose_no_count(store: Store) -> None:
    begin(store)
    threads, each = 12, 8  # more threads than connections

    def work(_: int) -> None:
        for _ in range(each):
            store.run(count, timeout_s=60)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    assert _seen(store) == 1 + threads * each


def test_a_use_case_may_not_wait_for_a_connection_for_ever(database_url: str) -> None:
    store = Store(database_url, pool_size=1)

    def use_case(ledger: Ledger) -> None:
        store.run(lambda ledger: None, timeout_s=0.05)

    with pytest.raises(StorageUnavailable, match=r"in use|busy"):
        store.run(use_case)
    store.run(lambda ledger: None)
    store.close()


def test_the_time_is_the_databases(store: Store) -> None:
    before = datetime.now(UTC)
    now = store.now()
    assert now.tzinfo is UTC
    assert before - timedelta(milliseconds=2) <= now <= datetime.now(UTC)  # SQLite counts whole milliseconds


def test_a_store_knows_whether_it_is_embedded(store: Store, database_url: str) -> None:
    assert store.is_embedded is database_url.startswith("sqlite")


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://root:secret@db/x", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://file.db"]
)
def test_a_url_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Store(url)
    assert "NOTIFYFLOW_DATABASE_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


class TestEmbedded:
    """What only SQLite does."""

    @pytest.fixture
    def store(self, sqlite_url: str) -> Iterator[Store]:
        opened = Store(sqlite_url)
        begin(opened)
        yield opened
        opened.close()

    @pytest.fixture
    def other(self, sqlite_url: str) -> Iterator[sqlite3.Connection]:
        """A connection that SQLite treats as another process's."""
        connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        yield connection
        connection.close()

    def test_a_file_that_another_process_keeps_locked_is_unavailable(self, store: Store, other: sqlite3.Connection) -> None:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="SQLITE_BUSY"):
            store.run(count, timeout_s=0.1)
        assert _seen(store) == 1
        other.execute("ROLLBACK")
        store.run(count)
        assert _seen(store) == 2

    def test_a_use_case_waits_for_another_process(self, store: Store, other: sqlite3.Connection) -> None:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            counted = pool.submit(store.run, count, timeout_s=60)
            while not store._pool.write_lock._queue:
                time.sleep(0.001)
            other.execute("COMMIT")
            counted.result(60)
        assert _seen(store) == 2

    def test_a_folder_that_is_not_there_is_unavailable(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/missing/notifyflow.db")
        with pytest.raises(StorageUnavailable, match=f"the folder {tmp_path}/missing does not exist") as raised:
            store.run(count)
        assert raised.value.waited_s == 0, "it is not tried again"
        (tmp_path / "missing").mkdir()
        assert store.upgrade()
        store.close()

    def test_a_file_that_is_no_database_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("Dear Ada, " * 500)
        store = Store(f"sqlite:///{tmp_path}/notes.txt")
        with pytest.raises(StorageError, match="SQLITE_NOTADB"):
            store.check_schema()
        store.close()


class TestTurn:
    """Writers of one process go in the order in which they came."""

    def test_the_turn_is_handed_on_in_order(self) -> None:
        write_lock = WriteLock()
        served: list[int] = []

        def serve(number: int) -> None:
            with write_lock.acquired(Deadline(60)):
                served.append(number)

        with write_lock.acquired(Deadline(1)):
            threads = [threading.Thread(target=serve, args=(number,)) for number in range(8)]
            for number, thread in enumerate(threads, start=2):
                thread.start()
                while len(write_lock._queue) < number:
                    time.sleep(0.001)
        for thread in threads:
            thread.join()
        assert served == list(range(8))

    def test_whoever_gives_up_is_passed_over(self) -> None:
        write_lock = WriteLock()
        with (
            write_lock.acquired(Deadline(1)),
            pytest.raises(StorageUnavailable, match="busy"),
            write_lock.acquired(Deadline(0.01)),
        ):
            pass
        with write_lock.acquired(Deadline(0.01)):
            assert len(write_lock._queue) == 1
        assert not write_lock._queue
