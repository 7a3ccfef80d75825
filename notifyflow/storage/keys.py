"""Reads and writes API keys."""

from collections.abc import Collection
from datetime import datetime

from notifyflow.core.accounts.keys import ApiKey
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader, first
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import ApiKeyRow

_KEY = tuple(ApiKey.__dataclass_fields__)
_KEYS = ApiKeyRow.select(*(getattr(ApiKeyRow, name) for name in _KEY))
_NOTE_USE = Statement(
    lambda param: ApiKeyRow.update(last_used_at=param(ApiKeyRow.last_used_at)).where(param.any_of(ApiKeyRow.id))
)
_KEY_OF = Statement(lambda param: _KEYS.where(ApiKeyRow.id == param(ApiKeyRow.id)))


class KeyReads(Reader):
    """Reads API keys."""

    def all(self) -> tuple[ApiKey, ...]:
        """Return all keys, the oldest first."""
        rows = self._source.readable(_KEYS.order_by(ApiKeyRow.created_at, ApiKeyRow.id), ApiKeyRow.id)
        return tuple(ApiKey(**row) for row in rows)

    def find(self, key_id: str) -> ApiKey | None:
        """Return a key, or None."""
        row = first(self._source.rows(_KEY_OF(key_id)))
        return None if row is None else ApiKey(**row)


class Keys(Repository):
    """API keys."""

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        self._unit.insert(ApiKeyRow, [{name: getattr(key, name) for name in _KEY}])

    def lock(self, key_id: str) -> ApiKey | None:
        """Lock and read a key, or return None."""
        row = first(self._unit.rows(self._unit.locked(_KEYS.where(ApiKeyRow.id == key_id))))
        return None if row is None else ApiKey(**row)

    def expire(self, key_id: str, *, at: datetime) -> None:
        """Let a key expire at an instant."""
        self._unit.execute(ApiKeyRow.update(expires_at=at).where(ApiKeyRow.id == key_id))

    def revoke(self, key_id: str, *, at: datetime) -> bool:
        """Revoke a key; a key that was revoked before does not change.

        Returns:
            Whether the key exists.
        """
        self._unit.execute(ApiKeyRow.update(revoked_at=at).where(ApiKeyRow.id == key_id, ApiKeyRow.revoked_at.is_null()))
        return self._unit.first(ApiKeyRow.select(ApiKeyRow.id).where(ApiKeyRow.id == key_id)) is not None

    def note_use(self, key_ids: Collection[str], *, at: datetime) -> None:
        """Note the last use of keys."""
        self._unit.execute(_NOTE_USE(at, sorted(key_ids)))
