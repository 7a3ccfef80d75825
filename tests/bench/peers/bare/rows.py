"""The limits of the database: the same rows in one multi-row INSERT a table, and two one-row UPDATEs a notification."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

PARAMETERS = 65_535
"""As many as one statement of PostgreSQL takes."""

Rows = Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]]
"""Table to its columns and rows; tables that others refer to come first."""


def insert(url: str, tables: Rows) -> float:
    """Insert rows in one transaction; return how long it took, in seconds."""
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        for table, (columns, rows) in tables.items():
            most = PARAMETERS // len(columns)
            for begin in range(0, len(rows), most):
                part = rows[begin : begin + most]
                one = sql.SQL("({})").format(sql.SQL(", ").join([sql.Placeholder()] * len(columns)))
                statement = sql.SQL("INSERT INTO {} ({}) VALUES {}").format(
                    sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join([one] * len(part))
                )
                connection.execute(statement, [value for row in part for value in row])
        connection.commit()
        return time.perf_counter() - began


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
