"""API keys: made, listed, revoked, and let in, each as often in a minute as the settings say."""

import math
import threading
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from notifyflow.app.sources import new_secret
from notifyflow.core import keys
from notifyflow.core.allowance import take
from notifyflow.core.keys import ApiKey, Scope
from notifyflow.core.ports import Clock, Ids
from notifyflow.errors import ApiKeyNotFound, TooManyRequests
from notifyflow.storage.store import Store

_NOTE_USE_EVERY = timedelta(hours=1)


class Access:
    """The API keys of one database.

    Args:
        store: The database.
        clock: The one owner of time.
        ids: The one owner of ids.
        requests_a_minute: How often a key may be used in a minute, counted in this process.
    """

    def __init__(self, store: Store, clock: Clock, ids: Ids, *, requests_a_minute: int) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._requests_a_minute = requests_a_minute
        self._earliest_at: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def create(self, name: str, scopes: Collection[Scope], *, valid_for: timedelta | None) -> tuple[ApiKey, str]:
        """Make a key.

        Returns:
            The key, and what its holder presents, which is kept nowhere.
        """
        secret, now = new_secret(), self._clock.now()
        key = ApiKey(
            id=self._ids.new(),
            name=name,
            scopes=frozenset(scopes),
            digest=keys.digest(secret),
            created_at=now,
            expires_at=None if valid_for is None else now + valid_for,
        )
        self._store.run(lambda ledger: ledger.add_api_key(key))
        return key, keys.spell(key.id, secret)

    def now(self) -> datetime:
        """Tell the time by which keys expire."""
        return self._clock.now()

    def keys(self) -> Sequence[ApiKey]:
        """List all keys, the oldest first."""
        return self._store.read(lambda reads: reads.api_keys())

    def revoke(self, key_id: str) -> None:
        """Revoke a key, from its next use on.

        Raises:
            ApiKeyNotFound: When there is none.
        """
        now = self._clock.now()
        if not self._store.run(lambda ledger: ledger.revoke_api_key(key_id, at=now)):
            raise ApiKeyNotFound(key_id)

    def admit(self, presented: str, scope: Scope) -> ApiKey:
        """Let in whoever presents a key.

        Args:
            presented: What was presented; may be anything.
            scope: What the key must be good for.

        Raises:
            InvalidApiKey: When it is wrong, revoked or expired.
            MissingScope: When it is good, and not for this.
            TooManyRequests: When it is used too often.
            StorageUnavailable: When the database does not answer in time.
        """
        key_id, secret = keys.read(presented)
        now = self._clock.now()
        key = keys.judge(self._store.read(lambda reads: reads.api_key(key_id)), secret, scope, now=now)
        self._take(key.id, now)
        if key.last_used_at is None or now - key.last_used_at >= _NOTE_USE_EVERY:
            self._store.run(lambda ledger: ledger.note_api_key_use(key.id, at=now))
        return key

    def _take(self, key_id: str, now: datetime) -> None:
        with self._lock:
            self._earliest_at[key_id], wait = take(self._earliest_at.get(key_id), a_minute=self._requests_a_minute, now=now)
        if wait:
            raise TooManyRequests(math.ceil(wait.total_seconds()))
