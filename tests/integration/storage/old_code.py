"""Replays what the code of an older schema wrote, as often as it is asked to: a process that nobody has upgraded yet.

``python -m tests.integration.storage.old_code URL`` replays the recording again and again, and prints a line each time, until its
standard input ends. ``record_rows.py`` makes the recordings.
"""

import json
import re
import select
import sys
from collections.abc import Sequence
from typing import Any

from peewee import Database, PeeweeException

from notifyflow.storage import migrations
from notifyflow.storage.dialects import Dialect, TransactionMode, Trouble, dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from tests.integration.storage.record_rows import path_of

VERSION = 1
TIMEOUT_S = 30.0
_ID = re.compile(r"\b0000([0-9a-f]{28})\b")
_OWN = re.compile(r"lost|taken|left|team|nobody's|event-\d+|the \w+ provider|\w+@\w+")
"""What each replay has for itself beside the ids: keys, the namespace, events, providers and addresses."""


class OldCode:
    """Code of an older schema over one database."""

    def __init__(self, url: str, recording: str | None = None) -> None:
        self._dialect: Dialect = dialect_for(url)
        self._db: Database = self._dialect.connect(Deadline(600))
        self._recorded = json.loads(recording or path_of(VERSION).read_text())

    def close(self) -> None:
        self._db.close()

    def make_schema(self) -> None:
        self._dialect.prepare(self._db)
        migrations.apply(self._db, self._dialect, migrations.MIGRATIONS[:VERSION])

    def play(self, number: int) -> None:
        """Replay the recording with ids and keys of its own."""
        statements = self._recorded["statements"]
        for transaction in self._recorded["transactions"]:
            self._commit([(statements[n], self._values(given, number), count) for n, given, count in transaction])

    def _commit(self, statements: Sequence[tuple[str, list[Any], int | None]]) -> None:
        """Run a transaction; again, as that code does, when another one was in its way."""
        while True:
            try:
                self._dialect.begin(self._db, access=TransactionMode.WRITE, deadline=Deadline(TIMEOUT_S))
                for statement, values, count in statements:
                    cursor = execute(self._db, self._in_dialect(statement), *values)
                    assert not count or cursor.rowcount == count, (statement, values)
                self._db.commit()
                return
            except PeeweeException as error:
                self._db.rollback()
                if self._dialect.classify(error) is not Trouble.COLLIDED:
                    raise

    def _in_dialect(self, statement: str) -> str:
        return statement if self._dialect.is_embedded else statement.replace("?", "%s")

    def _values(self, given: Sequence[Any], number: int) -> list[Any]:
        return [self._own(each, number) if isinstance(each, str) else each for each in given]

    def _own(self, text: str, number: int) -> str:
        text = self._recorded["texts"].get(text, text)
        return f"{text}-{number}" if _OWN.fullmatch(text) else _ID.sub(lambda found: f"{number:04x}{found[1]}", text)


def main(url: str) -> None:
    code = OldCode(url)
    number = 1
    while not select.select([sys.stdin], [], [], 0)[0]:
        code.play(number)
        print(number, flush=True)  # noqa: T201
        number += 1
    code.close()


if __name__ == "__main__":
    main(sys.argv[1])
