"""The base of the ledger's repositories: each reads and writes the rows of one subject through the unit of work."""

from collections.abc import Collection, Sequence
from typing import Generic

from notifyflow.core.delivery.facts import MACHINE_NAMES
from notifyflow.log import get_logger
from notifyflow.storage.session.rows import BY_ID, M, Reader, first, must_exist
from notifyflow.storage.session.statements import Unread
from notifyflow.storage.session.unit_of_work import UnitOfWork

_log = get_logger("notifyflow.storage")


class Repository(Reader):
    """A repository of the ledger."""

    def __init__(self, unit: UnitOfWork) -> None:
        super().__init__(unit)
        self._unit = unit

    def _to_write_anew(self, table: str) -> Sequence[Unread]:
        """Return and log a table's rows that this transaction could not read; they only set a pace, and are written anew."""
        damaged = self._unit.unread_in(table)
        for each in damaged:
            _log.warning("storage.row_written_anew", table=table, row=each.row_id, column=each.column, error=each.why)
        return damaged


class MachineRepository(Repository, Generic[M]):
    """A repository with the rows of a state machine."""

    facts: type[M]

    def find(self, row_id: str, *, is_locked: bool = False) -> M | None:
        """Read a row, and lock it if wanted; None if it does not exist."""
        known = self._unit.known(self.facts, row_id, is_locked=is_locked)
        if known is None:
            query = BY_ID[self.facts]([row_id])
            known = first(self._unit.read(self.facts, self._unit.locked(query) if is_locked else query))
        return known

    def get(self, row_id: str) -> M:
        """Read a row that is known to exist; not locked.

        Raises:
            StorageError: When it does not.
            UnreadableRow: When it cannot be read.
        """
        return self._readable(self.find(row_id), row_id)

    def lock(self, row_id: str) -> M:
        """Lock and read a row that is known to exist.

        Raises:
            StorageError: When it does not.
            UnreadableRow: When it cannot be read.
        """
        return self._readable(self.find(row_id, is_locked=True), row_id)

    def is_stored(self, row_id: str) -> bool:
        """Lock a row, and return whether it exists, readable or not."""
        return self.find(row_id, is_locked=True) is not None or self._unread(row_id) is not None

    def lock_many(self, row_ids: Collection[str]) -> None:
        """Lock and load rows, by id."""
        if row_ids:
            self._unit.read(self.facts, self._unit.locked(BY_ID[self.facts](sorted(row_ids))))

    def read_many(self, row_ids: Collection[str]) -> None:
        """Load rows; not locked."""
        self._unit.read(self.facts, BY_ID[self.facts](sorted(row_ids)))

    def _readable(self, found: M | None, row_id: str) -> M:
        if found is None and (unread := self._unread(row_id)) is not None:
            raise unread.error()
        return must_exist(found, MACHINE_NAMES[self.facts], row_id)

    def _unread(self, row_id: str) -> Unread | None:
        return self._unit.unread_of(MACHINE_NAMES[self.facts], row_id)
