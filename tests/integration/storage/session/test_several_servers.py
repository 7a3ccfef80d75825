"""A URL names a primary and its standby: whichever takes writes is found, and the promoted one is gone over to."""

import logging
import re
import socket
from collections.abc import Iterator

import pytest
from psycopg import sql
from pydantic import SecretStr

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.core.delivery.model import AttemptState
from notifyflow.errors import CommitUnknown, StorageUnavailable
from notifyflow.storage.dialects.postgres_url import check
from notifyflow.storage.store import Store
from tests.builders import a_recipient, an_incident
from tests.driver import Driver
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.integration.engine.test_deliver import NotedBell
from tests.integration.storage.samples import begin, count
from tests.servers.postgres import Postgres, postgres
from tests.servers.standby import NAME, Standby, Withholding, standby_of
from tests.waiting import wait_until

ONLY_WRITABLE = "target_session_attrs=read-write"
WAITING = sql.SQL("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
SEEN = sql.SQL("SELECT times_seen FROM notifyflow_incident WHERE id = 'i'")


@pytest.fixture(scope="module")
def primary() -> Iterator[Postgres]:
    with postgres(pooler=None) as server:
        yield server


@pytest.fixture(scope="module")
def standby(primary: Postgres) -> Iterator[Standby]:
    """A standby with the database of the tests; the last test promotes it."""
    store = Store(primary.direct_url())
    store.upgrade()
    begin(store)
    store.close()
    with standby_of(primary) as server:
        yield server


def url_of(*ports: int) -> str:
    return f"postgresql://postgres@{','.join(f'127.0.0.1:{port}' for port in ports)}/postgres?{ONLY_WRITABLE}"


def test_the_server_that_takes_writes_is_found_wherever_the_url_names_it(primary: Postgres, standby: Standby) -> None:
    for ports in ((primary.server_port, standby.port), (standby.port, primary.server_port)):
        store = Store(url_of(*ports))
        store.run(count)
        store.close()


def test_an_error_says_of_each_server_why_it_cannot_be_used(standby: Standby) -> None:
    store = Store(url_of(1, standby.port))
    with pytest.raises(StorageUnavailable, match="connection refused; the server is a standby, which takes no writes") as caught:
        store.run(count, timeout_s=0.5)
    assert not caught.value.is_refused
    store.close()


def test_only_what_all_servers_refuse_is_refused(primary: Postgres, standby: Standby) -> None:
    for ports, is_refused in (((primary.server_port, standby.port), True), ((1, standby.port), False)):
        store = Store(url_of(*ports).replace("/postgres?", "/missing?"))
        with pytest.raises(StorageUnavailable, match="no such database") as caught:
            store.run(count, timeout_s=0.5)
        assert caught.value.is_refused is is_refused
        store.close()


def test_a_server_that_does_not_answer_leaves_time_for_the_next_one(primary: Postgres) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, and nobody answers
        store = Store(url_of(silent.getsockname()[1], primary.server_port))
        store.run(count)
        store.close()


def test_a_url_may_give_each_server_another_time() -> None:
    assert check("postgresql://a,b/db").connect_timeout_s == 2
    assert check("postgresql://a,b/db?connect_timeout=7").connect_timeout_s == 7
    assert check("postgresql://a/db?connect_timeout=7").connect_timeout_s == 7
    assert check("postgresql://a/db").connect_timeout_s is None


@pytest.fixture
def held(primary: Postgres, standby: Standby) -> Iterator[Withholding]:
    """The stream to the standby, for whose confirmation each commit waits."""
    primary.set(synchronous_standby_names=NAME, synchronous_commit="on")
    yield standby.stream
    standby.stream.release()
    primary.set(synchronous_standby_names="")


def test_a_commit_that_waits_for_a_synchronous_standby_is_not_taken_for_done(primary: Postgres, held: Withholding) -> None:
    """Neither is it lost when its caller has gone: PostgreSQL does it once the standby has it."""
    settings = Settings(database_url=SecretStr(primary.direct_url()))
    with NotifyFlow(settings, channels=channels(ScriptedProvider()), bell=NotedBell()) as flow:
        flow.find("db-9")
        held.hold()
        with pytest.raises(CommitUnknown):
            flow.notify(Incident(key="db-9", title="down"), [Recipient(id="ada", email="ada@example.com")])
        assert flow.find("db-9") is None
        held.release()
        wait_until(lambda: flow.find("db-9") is not None)
        assert flow.status("db-9").facts.times_seen == 1


def test_nothing_is_sent_while_a_synchronous_standby_hangs(primary: Postgres, held: Withholding) -> None:
    """A claim that gives up keeps a connection of the server busy; what it stored is done once the standby has it."""
    driver = Driver(Store(primary.direct_url()))
    driver.notify(an_incident("db-8"), a_recipient("ada", "email"))
    held.hold()
    with pytest.raises(StorageUnavailable):
        driver.claim("email")
    assert driver.claim("email") == (), "a page was claimed twice"
    assert primary.execute(WAITING) == [(1,)]
    assert driver.pages(key="db-8")["email"].attempts == ()
    held.release()
    wait_until(lambda: primary.execute(WAITING) == [(0,)])
    (attempt,) = driver.pages(key="db-8")["email"].attempts
    assert attempt.state is AttemptState.RUNNING, "its lease ends in a doubt"
    driver.store.close()


def test_a_store_goes_over_to_the_promoted_standby_by_itself_and_says_so_once(
    primary: Postgres, standby: Standby, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(url_of(primary.server_port, standby.port))
    with caplog.at_level(logging.INFO):
        store.run(count)
        standby.catch_up()
        ((seen,),) = standby.execute(SEEN)
        primary.kill()
        standby.promote()
        for _ in range(2):
            store.run(count)
            assert standby.execute(SEEN) == [((seen := seen + 1),)]
        store.close()
    (line,) = [each.getMessage() for each in caplog.records]
    assert re.match("storage.server_promoted timeline=00000002 before=00000001", line)
