"""Reads for the API: its keys, and lists that are read page by page. Each asks a fixed number of queries."""

from notifyflow.core.keys import ApiKey
from notifyflow.storage.keys import KEY_COLUMNS
from notifyflow.storage.models import ApiKeyRow
from notifyflow.storage.rows import Rows


class Listings(Rows):
    """Questions that the API asks."""

    def api_key(self, key_id: str) -> ApiKey | None:
        """Read one API key; None where there is none."""
        row = self._first(_API_KEYS.where(ApiKeyRow.id == key_id))
        return None if row is None else ApiKey(**row)

    def api_keys(self) -> tuple[ApiKey, ...]:
        """Read all API keys, the oldest first."""
        return tuple(ApiKey(**row) for row in self._rows(_API_KEYS.order_by(ApiKeyRow.created_at, ApiKeyRow.id)))


_API_KEYS = ApiKeyRow.select(*(getattr(ApiKeyRow, name) for name in KEY_COLUMNS))
