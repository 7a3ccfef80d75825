"""Real forks of a process that uses a store; run as ``python -m … SCENARIO URL FOLDER``, which ends with 0 where all was sound.

Each process writes to a file of its own in the folder what the store has confirmed.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from notifyflow.app.clock_and_ids import DatabaseClock
from notifyflow.core.delivery.model import Incident
from notifyflow.errors import StorageError
from notifyflow.settings import Settings
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.session.forks import GATE
from notifyflow.storage.store import Store
from tests.facts import incident
from tests.integration.storage.samples import count

ROUNDS = 25
PATIENCE_S = 60


def _open(url: str) -> Store:
    return Store(url, prepares=Settings().prepared_statements)


class Writer:
    """Stores incidents, and notes which were stored."""

    def __init__(self, store: Store, folder: Path, name: str) -> None:
        self._store = store
        self._name = name
        self._written = 0
        self._list = folder / f"{name}.written"

    def write(self) -> None:
        key = f"{self._name}-{self._written}"
        self._store.run(
            lambda ledger: ledger.incidents.add(incident(id=key, key=key), Incident(key=key, title="t")), timeout_s=60
        )
        self._written += 1
        with self._list.open("a") as file:
            file.write(f"{key}\n")

    def write_some(self) -> None:
        for _ in range(ROUNDS):
            self.write()


def the_parent_closes(store: Store, folder: Path) -> None:
    """The parent's last close must not take away what its child writes."""
    Writer(store, folder, "before").write()
    from_child, to_parent = os.pipe()

    def child() -> None:
        writer = Writer(store, folder, "child")
        writer.write()
        os.write(to_parent, b"1")
        writer.write_some()
        os._exit(0)

    pid = fork(child)
    os.read(from_child, 1)
    store.close()
    succeed(pid)


def the_child_closes(store: Store, folder: Path) -> None:
    Writer(store, folder, "before").write()

    def child() -> None:
        Writer(store, folder, "child").write()
        store.close()

    pid = fork(child)
    writer = Writer(store, folder, "parent")
    writer.write_some()
    succeed(pid)
    writer.write_some()


def both_are_busy(store: Store, folder: Path) -> None:
    """Threads of the parent write all the while, and so does each of its children."""
    is_over = threading.Event()

    def work(number: int) -> None:
        writer = Writer(store, folder, f"thread-{number}")
        while not is_over.is_set():
            writer.write()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    children = [fork(lambda name=f"child-{number}": Writer(store, folder, name).write_some()) for number in range(4)]  # type: ignore[misc]
    Writer(store, folder, "parent").write_some()
    for each in children:
        succeed(each)
    is_over.set()
    for thread in threads:
        thread.join()


def the_child_is_killed(store: Store, folder: Path) -> None:
    from_child, to_parent = os.pipe()

    def child() -> None:
        writer = Writer(store, folder, "child")
        while True:
            writer.write()
            os.write(to_parent, b"1")

    pid = fork(child)
    os.read(from_child, 5)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    Writer(store, folder, "parent").write_some()


def the_parent_is_killed(store: Store, folder: Path) -> None:
    """The child outlives its parent; whoever runs this sees that it ended well by the file that it leaves."""
    Writer(store, folder, "before").write()
    parent = os.getpid()

    def child() -> None:
        writer = Writer(store, folder, "child")
        writer.write()
        os.kill(parent, signal.SIGKILL)
        writer.write_some()
        (folder / "done").touch()

    fork(child)
    Writer(store, folder, "parent").write_some()
    threading.Event().wait()


def another_thread_is_inside_a_transaction(store: Store, folder: Path) -> None:
    """The fork waits for it, also where it needs a second connection to end; the child writes at once."""
    is_inside, is_forking = threading.Event(), threading.Event()

    def use_case(ledger: Ledger) -> None:
        count(ledger)
        is_inside.set()
        is_forking.wait(PATIENCE_S)
        while not GATE._is_shut:
            os.sched_yield()
        store.now()

    thread = threading.Thread(target=lambda: store.run(use_case, timeout_s=PATIENCE_S))
    thread.start()
    is_inside.wait(PATIENCE_S)
    is_forking.set()
    pid = fork(lambda: store.run(count, timeout_s=PATIENCE_S))
    succeed(pid)
    thread.join()
    assert seen(store) == 3, seen(store)


def another_thread_measures_the_clock(store: Store, folder: Path) -> None:
    """It holds the clock's lock while it waits for the fork to be over; the child's clock has another one."""
    clock = DatabaseClock(store)
    is_inside = threading.Event()
    measuring = threading.Thread(target=clock.now)

    def use_case(ledger: Ledger) -> None:
        is_inside.set()
        while not GATE._is_shut:
            os.sched_yield()
        measuring.start()
        while not (clock._lock.locked() or store.is_embedded):  # a file's clock is this machine's, and is not measured
            os.sched_yield()

    thread = threading.Thread(target=lambda: store.run(use_case, timeout_s=PATIENCE_S))
    thread.start()
    is_inside.wait(PATIENCE_S)
    succeed(fork(clock.now))
    thread.join()
    measuring.join()


def a_transaction_forks(store: Store, folder: Path) -> None:
    """It is rolled back; the parent repeats it, the child gets an error, and both can go on, also beside a thread that waits."""
    children: list[int] = []
    waiting: list[threading.Thread] = []

    def use_case(ledger: Ledger) -> None:
        count(ledger)
        if children:
            return
        waiting.append(threading.Thread(target=lambda: store.run(count, timeout_s=PATIENCE_S)))
        waiting[0].start()
        children.append(os.fork())

    def child() -> None:
        try:
            store.run(use_case)
        except StorageError as error:
            check("forked inside this transaction" in str(error), error)
            store.run(count, timeout_s=PATIENCE_S)
            os._exit(0)
        assert children[0], "the child went on with its parent's transaction"

    child()
    succeed(children[0])
    waiting[0].join()
    assert seen(store) == 4, seen(store)


def a_transaction_forks_again_and_again(store: Store, folder: Path) -> None:
    def use_case(ledger: Ledger) -> None:
        count(ledger)
        if os.fork() == 0:
            os._exit(0)
        os.wait()

    try:
        store.run(use_case)
    except StorageError as error:
        check("fork outside of it" in str(error), error)
        check(seen(store) == 1, seen(store))
        return
    raise AssertionError("it got no error")


def nothing_is_open_in_the_child(store: Store, folder: Path) -> None:
    """Neither what a thread opened, nor what is idle, nor what is closed and still in use."""
    others = [_open(store_url()) for _ in range(2)]
    threads = [threading.Thread(target=lambda each=each: each.run(lambda ledger: None)) for each in others]  # type: ignore[misc]
    for thread in threads:
        thread.start()
        thread.join()
    store.run(lambda ledger: None)
    is_inside = threading.Event()

    def use_case(ledger: Ledger) -> None:
        is_inside.set()
        while not GATE._is_shut:
            os.sched_yield()

    user = threading.Thread(target=lambda: others[0].run(use_case))
    user.start()
    is_inside.wait(PATIENCE_S)
    others[0].close()
    assert open_connections()
    succeed(fork(lambda: check(not open_connections(), open_connections())))
    user.join()
    others[1].close()


def stores_are_forgotten(store: Store, folder: Path) -> None:
    watched = len(GATE._holders)
    for _ in range(3):
        another = _open(store_url())
        another.run(lambda ledger: None)
        another.close()
    del another
    gc.collect()
    assert len(GATE._holders) == watched


def a_pool_of_processes(store: Store, folder: Path) -> None:
    """``multiprocessing`` forks from a thread of its own when it replaces a worker."""
    store.run(count)
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        pool.map(_count_in_store, [store_url()] * 6, chunksize=1)
        store.run(count)
    assert seen(store) == 9, seen(store)


def _count_in_store(url: str) -> None:
    store = _open(url)
    store.run(count, timeout_s=PATIENCE_S)
    store.close()


def fork(body: Callable[[], object]) -> int:
    """Run something in a child."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        body()
        code = 0
    except BaseException as error:  # noqa: BLE001 - the child must not go on
        sys.stderr.write(f"{error!r}\n")
        sys.stderr.flush()
    finally:
        os._exit(code)


def succeed(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    assert status == 0, status


def check(is_so: bool, what: object) -> None:
    assert is_so, what


def seen(store: Store) -> int:
    return store.read(lambda reads: next(each for each in reads.incidents(100) if each.id == "i").times_seen)


def store_url() -> str:
    return sys.argv[2]


def open_connections() -> list[str]:
    """List the open files and sockets that a store could have opened: its file, or TCP sockets."""
    found = []
    for entry in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{entry}"))
    path = store_url().removeprefix("sqlite:///")
    return [each for each in found if each.startswith((path, "socket:"))]


SCENARIOS: dict[str, Callable[[Store, Path], None]] = {
    each.__name__: each
    for each in (
        the_parent_closes,
        the_child_closes,
        both_are_busy,
        the_child_is_killed,
        the_parent_is_killed,
        another_thread_is_inside_a_transaction,
        another_thread_measures_the_clock,
        a_transaction_forks,
        a_transaction_forks_again_and_again,
        nothing_is_open_in_the_child,
        stores_are_forgotten,
        a_pool_of_processes,
    )
}

if __name__ == "__main__":
    the_store = _open(store_url())
    SCENARIOS[sys.argv[1]](the_store, Path(sys.argv[3]))
    the_store.close()
