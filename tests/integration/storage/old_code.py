"""Plays what the code of schema 1 said to its database, as often as it is asked to: a process that nobody has upgraded yet.

``python -m tests.integration.storage.old_code URL`` plays the story once and again, and says so in a line each time, until its
standard input ends.
"""

import json
import re
import select
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peewee import Database, PeeweeException

from notifyflow.storage.deadline import Deadline
from notifyflow.storage.dialects import Access, Dialect, Trouble, dialect_for, execute

DATA = Path(__file__).parents[2] / "data"
TIMEOUT_S = 30.0
_ID = re.compile(r"\b0000([0-9a-f]{28})\b")
_OWN = re.compile(r"(?:lost|taken|left|nobody's|event-\d+)")


class OldCode:
    """Code of schema 1 over one database."""

    def __init__(self, url: str) -> None:
        self._dialect: Dialect = dialect_for(url)
        self._db: Database = self._dialect.connect(Deadline(600))
        self._said = json.loads(
            (DATA / f"code_of_schema_1.{'sqlite' if self._dialect.is_embedded else 'postgres'}.json").read_text()
        )

    def close(self) -> None:
        self._db.close()

    def make_schema(self) -> None:
        self._dialect.prepare(self._db)
        for statement in self._said["schema"]:
            execute(self._db, statement)

    def play(self, number: int) -> None:
        """Play the story with ids and keys of its own."""
        for transaction in self._said["transactions"]:
            self._commit([(self._said["statements"][n], self._values(given, number), count) for n, given, count in transaction])

    def _commit(self, statements: Sequence[tuple[str, list[Any], int | None]]) -> None:
        """Run a transaction; again, as that code does, when somebody else was in its way."""
        while True:
            try:
                self._dialect.begin(self._db, access=Access.WRITE, deadline=Deadline(TIMEOUT_S))
                for statement, values, count in statements:
                    cursor = execute(self._db, statement, *values)
                    assert count is None or cursor.rowcount == count, (statement, values)
                self._db.commit()
                return
            except PeeweeException as error:
                self._db.rollback()
                if self._dialect.classify(error) is not Trouble.COLLIDED:
                    raise

    def _values(self, given: Sequence[Any], number: int) -> list[Any]:
        return [self._own(each, number) if isinstance(each, str) else each for each in given]

    def _own(self, text: str, number: int) -> str:
        text = self._said["policies"].get(text, text)
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
