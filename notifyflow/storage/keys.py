"""Stores API keys."""

from datetime import datetime

from notifyflow.core.keys import ApiKey
from notifyflow.storage.models import ApiKeyRow
from notifyflow.storage.rows import first
from notifyflow.storage.unit import Unit

KEY_COLUMNS = tuple(ApiKey.__dataclass_fields__)


class Keys(Unit):
    """API keys."""

    def add_api_key(self, key: ApiKey) -> None:
        """Store a new key."""
        self._insert(ApiKeyRow, [{name: getattr(key, name) for name in KEY_COLUMNS}])

    def lock_api_key(self, key_id: str) -> ApiKey | None:
        """Lock and read a key, or return None."""
        columns = [getattr(ApiKeyRow, name) for name in KEY_COLUMNS]
        row = first(self._rows(self._locked(ApiKeyRow.select(*columns).where(ApiKeyRow.id == key_id))))
        return None if row is None else ApiKey(**row)

    def expire_api_key(self, key_id: str, *, at: datetime) -> None:
        """Let a key expire at an instant."""
        self._execute(ApiKeyRow.update(expires_at=at).where(ApiKeyRow.id == key_id))

    def revoke_api_key(self, key_id: str, *, at: datetime) -> bool:
        """Revoke a key; one that was revoked before stays as it is.

        Returns:
            Whether the key exists.
        """
        self._execute(ApiKeyRow.update(revoked_at=at).where(ApiKeyRow.id == key_id, ApiKeyRow.revoked_at.is_null()))
        return self._first(ApiKeyRow.select(ApiKeyRow.id).where(ApiKeyRow.id == key_id)) is not None

    def note_api_key_use(self, key_id: str, *, at: datetime) -> None:
        """Note when a key was used last."""
        self._execute(ApiKeyRow.update(last_used_at=at).where(ApiKeyRow.id == key_id))
