"""Keeps a session of PostgreSQL from one test to the next: a new one loads the catalogue, and plans every statement, again."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from peewee import Database, PeeweeException

from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.dialects.dialect import driver_of, execute
from notifyflow.storage.dialects.postgres import _SET_UP
from notifyflow.storage.store import Store
from tests.patience import PATIENCE_S

_RESET = "RESET ALL; CLOSE ALL; UNLISTEN *; DISCARD SEQUENCES; DISCARD TEMP; SELECT pg_advisory_unlock_all()"
"""``DISCARD ALL``, but for what a store keeps from one transaction to the next as well: plans and prepared statements."""


class Sessions:
    """The sessions of one database that no test has."""

    def __init__(self) -> None:
        self._free: list[Database] = []

    @property
    def pids(self) -> list[int]:
        """The server's processes."""
        return [driver_of(each).info.backend_pid for each in self._free]

    @contextmanager
    def lent_to(self, store: Store) -> Iterator[None]:
        """Give a store a session, and take an idle one back."""
        store._pool._idle += self._free[-1:]
        del self._free[-1:]
        yield
        for each in store._pool._idle[:1]:
            store._pool._idle.remove(each)
            self._keep(each)

    def close(self) -> None:
        """End them."""
        for each in self._free:
            each.close()

    def _keep(self, session: Database) -> None:
        try:
            connection = driver_of(session)
            connection.deadline = Deadline(PATIENCE_S)
            psycopg.Cursor(connection).execute(_RESET)
            execute(session, _SET_UP)
            self._free.append(session)
        except (PeeweeException, psycopg.Error):  # a test has ended it
            session.close()
