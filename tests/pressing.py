"""A PostgreSQL server under pressure: it ends statements with a collision, a lock time-out or a time-out.

Each of these errors is raised by the server, in place of the statement or after it, so that the transaction is aborted.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import psycopg
from peewee import Database
from psycopg.pq import TransactionStatus

from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.dialects.postgres import Postgres
from notifyflow.storage.session.pool import Pool
from notifyflow.storage.store import Store

CODES = ("40001", "55P03", "57014")
_FAIL = "DO $$ BEGIN RAISE EXCEPTION 'pressed' USING ERRCODE = '{}'; END $$"
_WRITING = ("INSERT", "UPDATE", "DELETE")
_LOCKING = "FOR NO KEY UPDATE"


class Press:
    """What ends statements: chance, or the number of rows that one locks or writes.

    Attributes:
        share: The share of statements that fail.
        row_share: The share of written rows with which a statement fails.
        most: How many rows a statement may write.
        is_locking: Whether it may lock no more than that, either.
        statements: How many statements ran in transactions meanwhile.
        struck: How many of them failed.
        commits: How many transactions were committed in all.
    """

    def __init__(self, seed: int = 0, codes: Sequence[str] = CODES) -> None:
        self._codes = codes
        self.share = self.row_share = 0.0
        self.most: int | None = None
        self.is_locking = False
        self.statements = self.struck = self.commits = 0
        self._random = Random(seed)
        self._lock = threading.Lock()

    @contextmanager
    def on(
        self, *, share: float = 0.0, row_share: float = 0.0, most: int | None = None, is_locking: bool = False
    ) -> Iterator["Press"]:
        """Press in the block."""
        self.share, self.row_share, self.most, self.is_locking = share, row_share, most, is_locking
        try:
            yield self
        finally:
            self.share, self.row_share, self.most, self.is_locking = 0.0, 0.0, None, False

    def fail_by_chance(self) -> str | None:
        """Return the statement with which another fails, if it is its turn."""
        with self._lock:
            self.statements += 1
            return self._fail(self._random.random() < self.share)

    def fail_by_rows(self, rows: int) -> str | None:
        """Return the statement with which another fails that writes or locks so many rows, if these are too many."""
        with self._lock:
            is_too_much = self.most is not None and rows > self.most
            return self._fail(is_too_much or self._random.random() > (1 - self.row_share) ** max(rows, 0))

    def _fail(self, is_struck: bool) -> str | None:
        self.struck += is_struck
        return _FAIL.format(self._random.choice(self._codes)) if is_struck else None


class _PressedCursor(psycopg.Cursor[Any]):
    press: Press

    def execute(self, query: Any, params: Any = None, **named: Any) -> Any:
        if self.connection.info.transaction_status != TransactionStatus.INTRANS:
            return super().execute(query, params, **named)
        if fail := self.press.fail_by_chance():
            return super().execute(fail)
        done = super().execute(query, params, **named)
        is_counted = query.lstrip().startswith(_WRITING) or (self.press.is_locking and _LOCKING in query)
        if is_counted and (fail := self.press.fail_by_rows(self.rowcount)):
            return super().execute(fail)
        return done


class _Pressed(Postgres):
    def __init__(self, url: str, press: Press) -> None:
        super().__init__(url, prepares=False)  # which a pooler need not support
        self._cursor = type("_PressedCursor", (_PressedCursor,), {"press": press})


class PressedStore(Store):
    """A store over such a server."""

    def __init__(self, database_url: str, press: Press, *, pool_size: int = 14) -> None:
        super().__init__(database_url, pool_size=pool_size)
        self._dialect = _Pressed(database_url, press)
        self._pool = Pool(self._dialect, pool_size)
        self._press = press

    def _commit(self, db: Database, deadline: Deadline, result: object) -> None:
        super()._commit(db, deadline, result)
        self._press.commits += 1
