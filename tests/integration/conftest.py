"""What integration tests share: empty databases of both kinds.

A test that takes ``database_url`` or ``store`` runs twice, over SQLite and over PostgreSQL.
"""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest

from notifyflow.storage.store import Store
from tests.kept import Sessions
from tests.patience import PatientStore
from tests.servers.postgres import Postgres, postgres

DATABASES = ("sqlite", "postgres")


@pytest.fixture(autouse=True)
def _measured_once(request: pytest.FixtureRequest) -> None:
    """Measure coverage over SQLite; how PostgreSQL differs, the tests of the storage measure."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if parameters.get("database_url") == "postgres":
        request.getfixturevalue("unmeasured")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One PostgreSQL a test process; not to be stopped by a test."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _postgres_database(postgres_server: Postgres) -> str:
    name = postgres_server.create_database()
    _upgrade(postgres_server.url(name))
    return name


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "notifyflow.db"
    _upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _sessions(postgres_server: Postgres) -> Iterator[Sessions]:
    sessions = Sessions()
    yield sessions
    sessions.close()


@pytest.fixture
def postgres_url(postgres_server: Postgres, _postgres_database: str, _sessions: Sessions) -> Iterator[str]:
    """A PostgreSQL database with our tables, empty; a test that changes the tables takes ``empty_database_url``."""
    yield postgres_server.url(_postgres_database)
    postgres_server.clear_database(_postgres_database, spared=_sessions.pids)


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """A fresh SQLite file with our tables."""
    return f"sqlite:///{shutil.copy(_sqlite_template, tmp_path / 'notifyflow.db')}"


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database with our tables, one of each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database without tables, one of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def store(database_url: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store on an empty database with our tables, one of each kind in turn."""
    opened = PatientStore(database_url)
    with nullcontext() if opened.is_embedded else request.getfixturevalue("_sessions").lent_to(opened):
        yield opened
    opened.close()


def _upgrade(url: str) -> None:
    store = Store(url)
    store.upgrade()
    store.close()


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """An application's own connection to the PostgreSQL database."""
    with psycopg.connect(postgres_url) as opened:
        yield opened
