"""Lists over a real primary and a real standby that lags, hangs, dies or is promoted: every page is right."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from psycopg import connect, sql

from notifyflow.app import NotifyFlow
from notifyflow.cli.frame.connections import try_replica
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.insight.message_log import MessageFilter
from notifyflow.core.namespaces import SHARED
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.service.replica import ListSource, Source, Unfit, requesting
from notifyflow.settings import Settings
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store
from tests.asgi import Client
from tests.builders import CountingIds, HandClock, a_recipient, an_incident
from tests.dashboard import ORIGIN, Visit, visit
from tests.integration.web.delivery.test_api import SilentBell
from tests.servers.postgres import Postgres
from tests.servers.relay import Late
from tests.servers.standby import Standby, standby_of
from tests.waiting import wait_until

_CHANGED = "notifyflow-changed"
_EVERY = MessageFilter()
CANCELLED = sql.SQL("SELECT sum(confl_lock) FROM pg_stat_database_conflicts")
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "read-replica.rst"


@pytest.fixture(scope="module")
def standby(postgres_server: Postgres) -> Iterator[Standby]:
    with standby_of(postgres_server) as server:
        yield server


class System:
    """A flow with a replica that delivers nothing by itself; a test moves its clock."""

    def __init__(self, database_url: str, standby: Standby, read_url: str) -> None:
        self.clock = HandClock()
        self.standby = standby
        self.settings = Settings.from_variables(
            {"NOTIFYFLOW_DATABASE_URL": database_url, "NOTIFYFLOW_READ_URL": read_url, "NOTIFYFLOW_PUBLIC_URL": ORIGIN}
        )
        self.flow = NotifyFlow(self.settings, clock=self.clock, ids=CountingIds(), bell=SilentBell())
        self.application = self.flow.asgi()

    @property
    def source(self) -> ListSource:
        return self.flow._service.list_source

    def open(self, *keys: str) -> None:
        for key in keys:
            self.flow.notify(an_incident(key), [a_recipient(key, email=f"{key}@example.com")])

    def sweep(self) -> None:
        """Note a sweep after some seconds, and let the standby see it."""
        self.pass_time(6)
        sweep(self.flow._deps)
        self.standby.catch_up()

    def pass_time(self, seconds: float) -> None:
        self.clock.pass_time(timedelta(seconds=seconds))

    def visit(self) -> Visit:
        """Log somebody in, who has changed nothing for a while."""
        visitor = visit(self.flow, application=self.application)
        self.standby.catch_up()
        return visitor

    def key(self, name: str, *scopes: KeyScope) -> Client:
        _, key = self.flow.access().create(name, scopes or (KeyScope.READ,), valid_for=None, namespace=SHARED)
        return _Keyed(self.application, key)


class _Keyed(Client):
    def __init__(self, application: object, key: str) -> None:
        super().__init__(application)  # type: ignore[arg-type]
        self._key = key

    def request(self, method: str, path: str, **values: object):  # type: ignore[no-untyped-def]
        return super().request(method, path, headers={"authorization": f"Bearer {self._key}"}, **values)


def forget_change(visitor: Visit) -> bool:
    """Let the cookie of a change run out; return whether there was one."""
    names = [name for name in visitor.cookies if _CHANGED in name]
    for name in names:
        del visitor.cookies[name]
    return bool(names)


def keys(page: str) -> list[str]:
    return re.findall(r'<span class="key">([\w-]+)</span>', page)


def listed(client: Client) -> set[str]:
    return {each["key"] for each in client.get("/v1/incidents").json()["incidents"]}


@contextmanager
def running(postgres_url: str, standby: Standby, read_url: str | None = None) -> Iterator[System]:
    standby.catch_up()  # what the test before has left is gone there, too
    system = System(postgres_url, standby, read_url or replica_url(postgres_url, standby))
    with system.flow:
        yield system


def replica_url(postgres_url: str, standby: Standby) -> str:
    return standby.direct_url(urlsplit(postgres_url).path[1:])


@pytest.fixture
def system(postgres_url: str, standby: Standby) -> Iterator[System]:
    with running(postgres_url, standby) as system:
        yield system
    standby.stream.release()


def test_a_list_comes_from_the_replica_while_it_is_recent(system: System) -> None:
    visitor, reader = system.visit(), system.key("reader")
    system.open("db-1")
    system.sweep()
    system.standby.stream.hold()
    system.open("db-2")
    assert keys(visitor.get("/incidents").text) == ["db-1"]
    assert "db-2" not in visitor.get("/messages").text
    assert "db-2" not in visitor.get("/messages.csv").text
    assert "db-2" not in visitor.get("/people").text
    response = reader.get("/v1/incidents")
    assert [each["key"] for each in response.json()["incidents"]] == ["db-1"]
    assert response.headers["notifyflow-as-of"] == system.clock.now().isoformat(timespec="seconds")
    assert len(reader.get("/v1/messages").json()["messages"]) == 1
    assert [each["id"] for each in reader.get("/v1/recipients").json()["recipients"]] == ["db-1"]
    assert "as-of" not in visitor.get("/incidents").text
    system.pass_time(11)
    assert 'id="as-of"' in visitor.get("/incidents").text
    system.pass_time(20)
    assert keys(visitor.get("/incidents").text) == ["db-2", "db-1"]
    assert "notifyflow-as-of" not in reader.get("/v1/incidents").headers


def test_one_incident_and_health_are_the_primarys(system: System) -> None:
    visitor, reader = system.visit(), system.key("reader")
    system.sweep()
    system.standby.stream.hold()
    system.open("db-1")
    incident_id = system.flow.status("db-1").facts.id
    assert visitor.get(f"/incidents/{incident_id}").status_code == 200
    assert reader.get(f"/v1/incidents/{incident_id}").status_code == 200
    assert reader.get("/v1/recipients/db-1").status_code == 200
    assert visitor.get("/people/db-1").status_code == 200
    assert "1 message" in visitor.get("/health").text
    assert [each.facts.key for each in system.flow.overview.unresolved()] == ["db-1"]


def test_who_changes_something_sees_it_and_others_soon_do(system: System) -> None:
    visitor, other = system.visit(), system.key("other")
    operator = system.key("operator", KeyScope.READ, KeyScope.INGEST)
    system.sweep()
    system.standby.stream.hold()
    system.open("db-1")
    assert (keys(visitor.get("/incidents").text), listed(operator), listed(other)) == ([], set(), set())
    body = {"key": "db-2", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
    assert operator.post("/v1/incidents", json=body).status_code == 201
    assert (listed(operator), listed(other)) == ({"db-1", "db-2"}, set())
    incident_id = system.flow.status("db-1").facts.id
    assert visitor.send(f"/incidents/{incident_id}", f"/incidents/{incident_id}/acknowledge").status_code == 303
    assert keys(visitor.get("/incidents").text) == ["db-2", "db-1"]
    system.standby.stream.release()
    system.pass_time(30)
    system.sweep()
    before = dict(system.source.state().reads)  # type: ignore[union-attr]
    assert listed(operator) == {"db-1", "db-2"}
    assert forget_change(visitor)
    assert keys(visitor.get("/incidents").text) == ["db-2", "db-1"]
    after = system.source.state().reads  # type: ignore[union-attr]
    assert {each: after[each] - before[each] for each in Source} == {Source.REPLICA: 2, Source.PRIMARY: 0}


def test_a_later_page_is_never_older_than_the_one_before(system: System) -> None:
    visitor = system.visit()
    system.open("db-1", "db-2", "db-3")
    system.sweep()
    system.standby.stream.hold()
    system.pass_time(1)
    incident_id = system.flow.status("db-3").facts.id
    visitor.send(f"/incidents/{incident_id}", f"/incidents/{incident_id}/acknowledge")
    first = visitor.get("/incidents?limit=2").text
    assert keys(first) == ["db-2", "db-1"]
    assert forget_change(visitor)
    (older,) = re.findall(r'id="older" href="([^"]+)"', first)
    assert keys(visitor.get(f"/{older.replace('&amp;', '&')}").text) == ["db-3"]
    system.standby.stream.release()
    system.sweep()
    before = system.source.state().reads[Source.REPLICA]  # type: ignore[union-attr]
    assert keys(visitor.get(f"/{older.replace('&amp;', '&')}").text) == ["db-3"]
    assert system.source.state().reads[Source.REPLICA] == before + 1  # type: ignore[union-attr]


def test_a_page_that_has_not_changed_is_known_by_the_replica(system: System) -> None:
    visitor = system.visit()
    system.open("db-1")
    system.sweep()
    etag = visitor.get("/messages").headers["etag"]
    before = system.source.state()
    assert visitor.request("GET", "/messages", headers={"if-none-match": etag}).status_code == 304
    assert system.source.state() == before, "a list was read, though nothing has changed"
    system.open("db-2")
    system.standby.catch_up()
    changed = visitor.request("GET", "/messages", headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert "db-2" in changed.text


def test_the_end_of_an_older_transaction_changes_the_etag_of_a_replica(
    postgres_server: Postgres, system: System, postgres_url: str
) -> None:
    replica = Store(replica_url(postgres_url, system.standby))
    name = urlsplit(postgres_url).path[1:]
    try:
        with (
            connect(postgres_url) as oldest,
            connect(postgres_url) as older,
            connect(postgres_url) as newer,
        ):
            for each in (oldest, older, newer):  # their order
                each.execute("SELECT pg_current_xact_id()")
            newer.execute("CREATE TABLE notifyflow_newer ()")
            older.execute("CREATE TABLE notifyflow_older ()")
            newer.commit()
            system.standby.catch_up()
            before = replica.read(lambda reads: (reads.etags.of_replica(), reads.etags.of_all()))
            older.commit()
            system.standby.catch_up()
            after = replica.read(lambda reads: (reads.etags.of_replica(), reads.etags.of_all()))
    finally:
        replica.close()
        for table in ("notifyflow_older", "notifyflow_newer"):
            postgres_server.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(table)), name)
    assert before[0] != after[0]
    assert before[1] == after[1], "a standby's snapshots name the running transactions: the place in the log is not needed"


def test_a_list_after_the_etag_of_the_primary_is_the_primarys(system: System) -> None:
    system.sweep()
    system.standby.kill()
    with requesting(system.source) as request:
        request.may_lag = True
        system.source.etag()
        system.standby.start()
        system.sweep()
        system.open("db-1")
        assert len(system.flow._service.lists.messages(_EVERY, before=None, limit=9).messages) == 1
    assert not request.is_replicated


def test_a_dead_replica_leaves_every_page_right_and_is_used_again(system: System) -> None:
    visitor = system.visit()
    system.open("db-1")
    system.sweep()
    assert keys(visitor.get("/incidents").text) == ["db-1"]
    system.standby.kill()
    system.open("db-2")
    assert keys(visitor.get("/incidents").text) == ["db-2", "db-1"]
    assert "it does not answer; the primary is read instead" in visitor.get("/health").text
    system.standby.start()
    assert "it does not answer" in visitor.get("/health").text, "it is asked again at once"
    system.sweep()
    assert "lists and charts are read from it" in visitor.get("/health").text
    before = system.source.state().reads[Source.REPLICA]  # type: ignore[union-attr]
    assert keys(visitor.get("/incidents").text) == ["db-2", "db-1"]
    assert system.source.state().reads[Source.REPLICA] == before + 1  # type: ignore[union-attr]


def test_a_hanging_replica_costs_one_reader_its_time_limit(postgres_url: str, standby: Standby) -> None:
    name = urlsplit(postgres_url).path[1:]
    with Late(standby.server_port) as relay:
        url = f"postgresql://postgres@127.0.0.1:{relay.port}/{name}"
        with running(postgres_url, standby, url) as system:
            system.sweep()
            reader = system.key("reader")
            assert listed(reader) == set()
            relay.late_s = None
            system.open("db-1")
            found: list[set[str]] = []
            waiting = threading.Thread(target=lambda: found.append(listed(reader)))
            asked = begun(relay)
            waiting.start()
            wait_until(lambda: begun(relay) > asked)
            asked = begun(relay)
            system.pass_time(2)
            assert listed(reader) == {"db-1"}
            assert waiting.is_alive(), "the reader that asked first was not waiting any more"
            assert begun(relay) == asked
            waiting.join()
            assert found == [{"db-1"}]
            relay.late_s = 0.0
            system.pass_time(20)
            assert listed(reader) == {"db-1"}
            assert begun(relay) == asked, "a replica that hung is asked again within 30 s"


def begun(relay: Late) -> int:
    """Return how many reads have begun; what a client says as it gives up may pass the relay later."""
    return sum(b"BEGIN" in each for each in relay.requests)


def test_a_read_that_recovery_cancels_each_time_is_the_primarys(postgres_url: str, standby: Standby) -> None:
    """The standby replays a lock of the table that is read, and does not wait for its readers."""
    standby.set(max_standby_streaming_delay="0")

    def query(reads: Reads) -> int:
        count = len(reads.incidents(10))
        if reads.etags.of_replica() is not None:
            ((before,),) = standby.execute(CANCELLED)
            with connect(postgres_url, autocommit=True) as other:
                other.execute("VACUUM (FULL) notifyflow_incident")
            wait_until(lambda: standby.execute(CANCELLED) > [(before,)])
        return count + len(reads.incidents(10))

    with running(postgres_url, standby) as system, requesting(system.source) as request:
        system.open("db-1")
        system.sweep()
        request.may_lag = True
        assert system.source.read(query) == 2
        assert not request.is_replicated
    standby.set(max_standby_streaming_delay="30s")


def test_a_promoted_replica_is_not_used(postgres_server: Postgres, postgres_url: str) -> None:
    with standby_of(postgres_server) as other, running(postgres_url, other) as system:
        visitor = system.visit()
        system.sweep()
        assert keys(visitor.get("/incidents").text) == []
        other.promote()
        system.open("db-1")
        assert keys(visitor.get("/incidents").text) == ["db-1"]
        assert "its server is no replica" in visitor.get("/health").text


def test_the_replica_of_another_database_is_not_used(postgres_server: Postgres, postgres_url: str, standby: Standby) -> None:
    other = postgres_server.create_database()
    try:
        store = Store(postgres_server.url(other))
        store.upgrade()
        store.close()
        with running(postgres_url, standby, standby.direct_url(other)) as system:
            system.sweep()
            reader = system.key("reader")
            system.open("db-1")
            assert listed(reader) == {"db-1"}
            assert try_replica(system.settings) == (False, "it is not used: it is a replica of another database")
    finally:
        postgres_server.drop_database(other)


def test_the_page_about_replicas_has_each_reason() -> None:
    rows = re.findall(r"^   \* - (it.*)\n", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(Unfit)


@pytest.mark.parametrize(
    ("database", "reason"), [("postgres", "it is a replica of another database"), ("nowhere", "it does not answer")]
)
def test_what_cannot_be_used_is_said_at_the_check(postgres_url: str, standby: Standby, database: str, reason: str) -> None:
    settings = Settings.from_variables(
        {"NOTIFYFLOW_DATABASE_URL": postgres_url, "NOTIFYFLOW_READ_URL": standby.direct_url(database)}
    )
    assert try_replica(settings) == (False, f"it is not used: {reason}")


def test_a_replica_is_good_before_the_first_sweep(postgres_url: str, standby: Standby) -> None:
    standby.catch_up()
    variables = {"NOTIFYFLOW_DATABASE_URL": postgres_url, "NOTIFYFLOW_READ_URL": replica_url(postgres_url, standby)}
    assert try_replica(Settings.from_variables(variables)) == (
        True,
        "PostgreSQL; no worker sweeps, and until then it is not used",
    )


def test_the_metrics_have_the_newest_sweep_and_where_lists_came_from(system: System) -> None:
    visitor, scraper = system.visit(), system.key("scraper", KeyScope.METRICS)
    system.sweep()
    visitor.get("/incidents")
    metrics = scraper.get("/metrics").text
    (swept_at,) = re.findall(r"^notifyflow_replica_timestamp_seconds (\S+)$", metrics, re.MULTILINE)
    assert float(swept_at) == system.clock.now().timestamp()
    assert 'notifyflow_list_reads_total{source="replica"} 1.0' in metrics
    assert 'notifyflow_list_reads_total{source="primary"} 0.0' in metrics
