"""Reads lists from a replica of the database while it is recent enough, and from the primary otherwise.

Only a request that may lag is served from the replica. Nothing is known about the replica in advance: each transaction reads how
old it is. If it cannot be used, the primary answers the same request, and the replica is not asked for a while.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TypeVar

from notifyflow.core.delivery.ports import Clock
from notifyflow.errors import Refused, SchemaMismatch, StorageUnavailable, UnreleasedSchema
from notifyflow.log import get_logger
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store

T = TypeVar("T")

_log = get_logger("notifyflow.app")

MOST_AGE = timedelta(seconds=30)
"""A replica whose newest sweep is older is not used. A sweep is noted every five seconds."""
SHOWN_AGE = timedelta(seconds=10)
"""A page says how old it is from this age on."""
_TIMEOUT_S = 3.0
_LONG = timedelta(seconds=1)
"""If a read has taken longer, others do not wait for the same replica."""
_REST = timedelta(seconds=5)
_LONG_REST = timedelta(seconds=30)
"""How long a replica is not asked again after a read that took long and failed."""
_NEVER = datetime.min.replace(tzinfo=UTC)


class Source(StrEnum):
    """Where a list was read."""

    PRIMARY = "primary"
    REPLICA = "replica"


class Unfit(StrEnum):
    """What is wrong with a replica, in words."""

    SILENT = "it does not answer"
    SLOW = "it takes long"
    OLD = f"its newest sweep is more than {MOST_AGE.seconds} s old"
    UNSWEPT = "it shows no sweep"
    NO_REPLICA = "its server is no replica, or not any more"
    FOREIGN = "it is a replica of another database"
    OTHER_TABLES = "its tables are not those of this version"


class ReplicaUnused(Exception):
    """Raised when a list is to be read from the primary.

    Attributes:
        reason: What is wrong with the replica; None if nothing is.
    """

    def __init__(self, reason: Unfit | None = None) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class ListRequest:
    """A request for lists, and what became of it.

    Attributes:
        source: Where lists are read.
        sender: The id of the API key that it came with; empty without one.
        is_of_user: Whether a user of the dashboard sends it.
        may_lag: Whether lists may come from the replica; not after one came from the primary, since time never goes back.
        not_before: The state of the database that the sender has seen: no list is older.
        as_of: The instant that the lists show; None before the first.
        is_replicated: Whether the last list came from the replica.
    """

    source: "ListSource"
    sender: str = ""
    is_of_user: bool = False
    may_lag: bool = False
    not_before: datetime | None = None
    as_of: datetime | None = None
    is_replicated: bool = False

    def note_key(self, key_id: str) -> None:
        """Note the API key that it came with; its lists may lag unless its holder has changed something a short while ago."""
        self.sender, self.may_lag = key_id, not self.source.has_changed(key_id)

    @property
    def late_as_of(self) -> datetime | None:
        """The instant that a list from the replica shows, if it is so old that its page says so."""
        is_late = self.is_replicated and self.as_of is not None and self.source.is_late(self.as_of)
        return self.as_of if is_late else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaState:
    """What this process knows of the replica.

    Attributes:
        swept_at: The newest sweep that it has shown; None before the first.
        reason: Why it is not used; None if it is.
        reads: How many lists this process has read from each source since its start.
    """

    swept_at: datetime | None
    reason: Unfit | None
    reads: Mapping[str, int]


_current: ContextVar[ListRequest | None] = ContextVar("notifyflow_list_request", default=None)


@contextmanager
def requesting(source: "ListSource") -> Iterator[ListRequest]:
    """Begin a request for lists; reads in the block, including its worker threads, belong to it."""
    request = ListRequest(source)
    token = _current.set(request)
    try:
        yield request
    finally:
        _current.reset(token)


def current() -> ListRequest | None:
    """Return the request for lists in which this is called; None outside of one, and without a replica."""
    return _current.get()


class Replica:
    """A replica of the database, which is only read; threads may share it, also across a fork."""

    def __init__(self, store: Store, primary: Store, clock: Clock) -> None:
        self._store = store
        self._primary = primary
        self._clock = clock
        self._verified = ""  # the start of the server that is one
        self._swept_at: datetime | None = None
        self._reason: Unfit | None = None
        self._ask_again_at = _NEVER
        self._turns: dict[object, datetime] = {}  # those who wait for it, and since when
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """Forget, in a forked child, the threads that wait for it."""
        self._turns.clear()
        self._lock = threading.Lock()

    @property
    def swept_at(self) -> datetime | None:
        """The newest sweep that it has shown; None before the first."""
        return self._swept_at

    def read(self, query: Callable[[Reads], T], *, not_before: datetime | None = None) -> tuple[T, str, datetime]:
        """Read one consistent state that is recent enough.

        Args:
            query: What to read.
            not_before: The state must be no older.

        Returns:
            The result of the query, an etag of a state that is no newer than later ones, and the newest sweep in the state.

        Raises:
            ReplicaUnused: When the primary has to be read instead.
        """
        with self._turn() as began, self._store.within(_TIMEOUT_S):
            try:
                found = self._store.read(partial(self._query, query, not_before))
            except StorageUnavailable:
                raise self._rest(began, Unfit.SILENT) from None
            except Refused:
                raise self._rest(began, Unfit.OTHER_TABLES) from None
            except ReplicaUnused as unused:
                raise (self._rest(began, unused.reason) if unused.reason else unused) from None
            self._note_use()
        return found

    def look(self) -> Unfit | None:
        """Return why it cannot be used now; None if it can."""
        try:
            self.read(lambda _: None)
        except ReplicaUnused as unused:
            return unused.reason
        return None

    def close(self) -> None:
        """Close its connections."""
        self._store.close()

    def _query(self, query: Callable[[Reads], T], not_before: datetime | None, reads: Reads) -> tuple[T, str, datetime]:
        etag = reads.etags.of_replica()
        if etag is None:
            raise ReplicaUnused(Unfit.NO_REPLICA)
        self._verify(reads, etag.partition(" ")[2])
        swept_at = self._swept_at = reads.swept_at()
        if swept_at is None:
            raise ReplicaUnused(Unfit.UNSWEPT)
        if self._clock.now() - swept_at > MOST_AGE:
            raise ReplicaUnused(Unfit.OLD)
        if not_before is not None and swept_at < not_before:
            raise ReplicaUnused
        return query(reads), etag, swept_at

    def _verify(self, reads: Reads, started_at: str) -> None:
        """Refuse the replica of another database, once for each start of its server; a user may lack the right to compare."""
        if started_at == self._verified:
            return
        identity = reads.etags.identity()
        if identity is not None and identity != self._primary.read(lambda reads: reads.etags.identity()):
            raise ReplicaUnused(Unfit.FOREIGN)
        try:
            self._store.check_schema()
        except (SchemaMismatch, UnreleasedSchema):
            raise ReplicaUnused(Unfit.OTHER_TABLES) from None
        self._verified = started_at

    @contextmanager
    def _turn(self) -> Iterator[datetime]:
        """Let a reader ask; the first one alone after a rest, and nobody while another has waited for long."""
        reader, began = object(), self._clock.now()
        with self._lock:
            is_busy = any(began - since > _LONG for since in self._turns.values())
            if began < self._ask_again_at or is_busy or (self._reason and self._turns):
                raise ReplicaUnused(self._reason or Unfit.SLOW)
            self._turns[reader] = began
        try:
            yield began
        finally:
            with self._lock:
                self._turns.pop(reader, None)

    def _note_use(self) -> None:
        if self._reason:
            _log.info("app.replica_used_again", after=self._reason.value)
        self._reason, self._ask_again_at = None, _NEVER

    def _rest(self, began: datetime, reason: Unfit) -> ReplicaUnused:
        """Leave it alone for a while, and return the error that says why."""
        now = self._clock.now()
        self._ask_again_at = now + (_LONG_REST if now - began > _LONG else _REST)
        if reason != self._reason:
            _log.warning("app.replica_unused", reason=reason.value)
        self._reason = reason
        return ReplicaUnused(reason)


class ListSource:
    """Where lists are read: the replica, if there is one and the request may lag, or the primary.

    Args:
        store: The primary.
        clock: The time.
        prepare: Makes the primary ready for use; called before every read.

    Attributes:
        replica: The replica; None without one.
    """

    def __init__(self, store: Store, clock: Clock, replica: Replica | None, *, prepare: Callable[[], None]) -> None:
        self.replica = replica
        self._store = store
        self._clock = clock
        self._prepare = prepare
        self._reads: Counter[Source] = Counter()
        self._writers: dict[str, datetime] = {}  # until when each reads the primary
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """Renew the locks in a forked child: the threads that hold them stayed with the parent."""
        self._lock = threading.Lock()
        if self.replica is not None:
            self.replica.begin_anew()

    def read(self, query: Callable[[Reads], T]) -> T:
        """Read a list."""
        with suppress(ReplicaUnused):
            found, _, as_of = self._replicated(query)
            self._note(Source.REPLICA, as_of)
            return found
        now = self._clock.now()
        found = self._store.read(query)
        self._note(Source.PRIMARY, now)
        return found

    def etag(self) -> str | None:
        """Return a text that changes with what lists show; None if there is no such text. Later lists are at least as new."""
        with suppress(ReplicaUnused):
            _, etag, as_of = self._replicated(lambda _: None)
            return f"{etag} {as_of}" if self.is_late(as_of) else etag
        if (request := current()) is not None:
            request.may_lag = False
        return self._store.read(lambda reads: reads.etags.of_all())

    def is_late(self, as_of: datetime) -> bool:
        """Return whether a list is so old that its page says so."""
        return self._clock.now() - as_of > SHOWN_AGE

    def note_change(self, sender: str) -> None:
        """Note that the holder of a key has changed something: they read the primary until every replica in use shows it."""
        now = self._clock.now()
        with self._lock:
            self._writers = {each: until for each, until in self._writers.items() if until > now}
            self._writers[sender] = now + MOST_AGE

    def has_changed(self, sender: str) -> bool:
        """Return whether a sender has changed something within the last 30 seconds, as far as this process knows."""
        return self._writers.get(sender, _NEVER) > self._clock.now()

    def state(self) -> ReplicaState | None:
        """Return what is known of the replica now; None without one."""
        if self.replica is None:
            return None
        reason = self.replica.look()
        return ReplicaState(
            swept_at=self.replica.swept_at, reason=reason, reads={each.value: self._reads[each] for each in Source}
        )

    def _replicated(self, query: Callable[[Reads], T]) -> tuple[T, str, datetime]:
        self._prepare()
        request = current()
        if self.replica is None or request is None or not request.may_lag:
            raise ReplicaUnused
        return self.replica.read(query, not_before=request.not_before)

    def _note(self, source: Source, as_of: datetime) -> None:
        request = current()
        if request is None:
            return
        request.as_of, request.is_replicated = as_of, source is Source.REPLICA
        request.may_lag &= request.is_replicated
        with self._lock:
            self._reads[source] += 1
