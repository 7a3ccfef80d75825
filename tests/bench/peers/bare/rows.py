"""The limits of the database: the same rows in one INSERT a table or by COPY, and two one-row UPDATEs a notification."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of a table.

    Attributes:
        name: Its name.
        columns: The columns.
        types: Their types in PostgreSQL.
        rows: The rows, in the order of the columns.
    """

    name: str
    columns: Sequence[str]
    types: Sequence[str]
    rows: Sequence[Sequence[Any]]


def insert(url: str, tables: Sequence[Table]) -> float:
    """Insert rows in one transaction, one statement a table; return how long it took, in seconds."""
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        for table in tables:
            statement = sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({})").format(
                sql.Identifier(table.name),
                _names(table),
                sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.Identifier(each)) for each in table.types),
            )
            connection.execute(statement, [list(column) for column in zip(*table.rows, strict=True)])
        connection.commit()
        return time.perf_counter() - began


def copy(url: str, tables: Sequence[Table]) -> float:
    """Copy rows into their tables in one transaction; return how long it took, in seconds."""
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        for table in tables:
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), _names(table))
            with connection.cursor().copy(statement) as copying:
                for row in table.rows:
                    copying.write_row(row)
        connection.commit()
        return time.perf_counter() - began


def _names(table: Table) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, table.columns))


def update(url: str, threads: int, count: int) -> float:
    """Mark COUNT rows SENDING and then SENT, each UPDATE a commit; return the rows a second."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (id INT PRIMARY KEY, state TEXT NOT NULL)")
        connection.execute("INSERT INTO bare SELECT id, 'QUEUED' FROM generate_series(0, %s) AS id", (count,))
    numbers = iter(range(count))
    lock, ready = threading.Lock(), threading.Barrier(threads + 1)

    def work() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT 1")
            ready.wait()
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                for state in ("SENDING", "SENT"):
                    connection.execute("UPDATE bare SET state = %s WHERE id = %s", (state, number))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return count / (time.perf_counter() - began)
