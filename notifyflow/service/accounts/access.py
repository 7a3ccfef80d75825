"""API keys: create, rotate, list and revoke them; authorise their holders, and limit how much each may do in a minute."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from notifyflow.core.accounts import keys
from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.delivery.model import Contact
from notifyflow.core.delivery.ports import Clock, Ids
from notifyflow.errors import TooManyAddresses, TooManyRequests
from notifyflow.pipeline import keys as stored
from notifyflow.service.accounts.rate_limits import RateLimits
from notifyflow.storage.store import Store


class Access:
    """The API keys of one database.

    Args:
        new_secret: Draws the secret of a key.
        requests_a_minute: How often a key may be used in a minute, counted in this process.
    """

    def __init__(self, store: Store, clock: Clock, ids: Ids, *, new_secret: Callable[[], str], requests_a_minute: int) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._new_secret = new_secret
        self._requests = RateLimits(clock, requests_a_minute)

    def create(
        self,
        name: str,
        scopes: Collection[KeyScope],
        *,
        valid_for: timedelta | None,
        namespace: str | None = None,
        heartbeat: str | None = None,
    ) -> tuple[ApiKey, str]:
        """Create a key.

        Args:
            name: Its name.
            scopes: The permissions of its holder.
            valid_for: How long it is valid; None for ever.
            namespace: The namespace whose incidents it reaches; None uses the key's name. ``*`` reaches all, for keys that open
                none.
            heartbeat: The job that it pings for, with the scope ``ping``.

        Returns:
            The key, and the text that its holder presents, which is not stored.

        Raises:
            InvalidNamespace: When it cannot have the namespace.
            InvalidRequest: When only one of ``ping`` and a job is given, or another scope beside ``ping``.
        """
        keys.check_heartbeat(scopes, heartbeat)
        secret, now = self._new_secret(), self._clock.now()
        key = ApiKey(
            id=self._ids.new(),
            name=name,
            namespace=keys.namespace_of(name, scopes, namespace),
            scopes=frozenset(scopes),
            heartbeat=heartbeat,
            digest=keys.digest(secret),
            created_at=now,
            expires_at=None if valid_for is None else now + valid_for,
        )
        stored.add(self._store, key)
        return key, keys.spell(key.id, secret)

    def rotate(self, key_id: str, *, overlap: timedelta | None = None, valid_for: timedelta | None = None) -> tuple[ApiKey, str]:
        """Replace a key with one of the same name, namespace and scopes, a new id and a new secret.

        Args:
            key_id: The old key's id.
            overlap: How long the old key stays valid; None revokes it at once.
            valid_for: How long the new key is valid; None for as long as the old one was when it was created.

        Returns:
            The new key, and the text that its holder presents, which is not stored.

        Raises:
            ApiKeyNotFound: When there is no such key.
            ApiKeyRevoked: When the old key was revoked.
        """
        secret, new_id = self._new_secret(), self._ids.new()
        new = stored.rotate(
            self._store,
            key_id,
            new_id=new_id,
            digest=keys.digest(secret),
            overlap=overlap,
            valid_for=valid_for,
            now=self._clock.now(),
        )
        return new, keys.spell(new_id, secret)

    def now(self) -> datetime:
        """Return the time by which keys expire."""
        return self._clock.now()

    def keys(self) -> Sequence[ApiKey]:
        """Return all keys, the oldest first."""
        return self._store.read(lambda reads: reads.keys.all())

    def revoke(self, key_id: str) -> None:
        """Revoke a key, from its next use on.

        Raises:
            ApiKeyNotFound: When there is no such key.
        """
        stored.revoke(self._store, key_id, now=self._clock.now())

    def authorise(self, presented: str, scope: KeyScope) -> ApiKey:
        """Return the key that a caller presents, and note its use; that of a key that pings is noted with its ping.

        Raises:
            InvalidApiKey: When it is wrong, revoked or expired.
            MissingScope: When it does not have the scope.
            TooManyRequests: When it exceeds its rate limit.
            StorageUnavailable: When the database does not answer in time.
        """
        key_id, secret = keys.read(presented)
        now = self._clock.now()
        key = keys.authorise(self._store.read_one(lambda reads: reads.keys.find(key_id)), secret, scope, now=now)
        if wait_s := self._requests.consume(key.id):
            raise TooManyRequests(wait_s)
        if key.heartbeat is None and key.is_use_to_note(now):
            stored.note_use(self._store, key.id, now=now)
        return key


class UnknownAddresses:
    """Limits the addresses unknown to the directory, so that a stolen API key can call few numbers.

    Args:
        known: Returns every address that the directory knows.
        a_minute: How many unknown addresses a namespace may submit in a minute, also all at once.
    """

    def __init__(self, known: Callable[[], frozenset[str]], clock: Clock, *, a_minute: int) -> None:
        self._known = known
        self._addresses = RateLimits(clock, a_minute)

    def allow(self, namespace: str, contacts: Sequence[Contact]) -> None:
        """Count the unknown addresses of a request.

        Raises:
            TooManyAddresses: When they exceed the limit; none of them is counted.
        """
        known = self._known()
        count = len({address for contact in contacts for address in contact.addresses.values()} - known)
        if count and (wait_s := self._addresses.consume(namespace, count)):
            raise TooManyAddresses(count, self._addresses.a_minute, wait_s)
