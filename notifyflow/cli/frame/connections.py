"""Tries the connections, all at once: the database, the broker, and the accounts of the providers; nothing is sent."""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from notifyflow.channels.base import Channel, Provider
from notifyflow.channels.provider_protocols import LogsIn
from notifyflow.core.delivery.model import Severity
from notifyflow.errors import (
    BrokerUnavailable,
    Fault,
    InvalidSettings,
    ProviderError,
    Refused,
    SchemaMismatch,
    StorageError,
    WrongEnvironment,
)
from notifyflow.settings import PREFIX, Settings

if TYPE_CHECKING:
    from notifyflow.storage.store import Store

INFRASTRUCTURE = ("database", "broker")
REPLICA = "replica"
Try: TypeAlias = Callable[[], tuple[bool | None, str]]
_FOR_ALL = ("HTTPS_PROXY", "CA_BUNDLE", "TRUSTED_ENDPOINTS")  # a request without them could go where it should not


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTry:
    """The result of one try.

    Attributes:
        name: ``database``, ``broker``, ``replica``, or the name of a provider.
        is_good: Whether it can be used as it is; None if that was not tried.
        detail: What was found, why it cannot be used, or why it was not tried; never with a password or an address.
        channels: The channels that a provider carries.
    """

    name: str
    is_good: bool | None = None
    detail: str = "not tried"
    channels: tuple[str, ...] = ()

    @property
    def part(self) -> str:
        """The part of the settings that it belongs to: ``database``, ``broker``, ``replica`` or ``provider``."""
        return self.name if self.name in (*INFRASTRUCTURE, REPLICA) else "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Everything that can be tried with some settings; each provider once, whatever it carries.

    Attributes:
        settings: The settings; those that are wrong have their default.
        wrong: The names of the wrong settings: nothing that they concern is tried.
        makes_schema: Whether a database without our tables gets them.
    """

    settings: Settings
    wrong: Collection[str]
    channels: Mapping[str, Channel]
    makes_schema: bool = False

    def run(self, *parts: str) -> Iterator[ConnectionTry]:
        """Try all at once, and yield the results in order; with parts, only ``database``, ``broker`` or ``provider``."""
        tries = tuple(each for each in self._tries() if not parts or each[0].part in parts)
        if not tries:
            return
        for provider, _ in self._providers():
            provider.import_libraries()
        with ThreadPoolExecutor(max_workers=len(tries)) as threads:
            yield from threads.map(_result, *zip(*tries, strict=True))

    def skip(self) -> Iterator[ConnectionTry]:
        """Yield each connection as one that was not tried."""
        return (of for of, _ in self._tries())

    def _tries(self) -> Iterator[tuple[ConnectionTry, Try]]:
        for name, attempt in (("database", open_database if self.makes_schema else try_database), ("broker", try_broker)):
            if not self._is_wrong(f"{name.upper()}_URL"):
                yield ConnectionTry(name=name), partial(attempt, self.settings)
        if self.settings.read_url is not None:
            is_wrong = self._is_wrong("DATABASE_URL", "READ_URL")
            yield ConnectionTry(name=REPLICA), _held_back if is_wrong else partial(try_replica, self.settings)
        for provider, carries in self._providers():
            is_wrong = self._is_wrong(*_FOR_ALL, *provider.setting_prefixes)
            yield ConnectionTry(name=provider.name, channels=carries), _held_back if is_wrong else partial(try_provider, provider)

    def _providers(self) -> Iterator[tuple[Provider, tuple[str, ...]]]:
        carried: dict[str, list[tuple[str, Provider]]] = {}
        for channel, built in self.channels.items():
            for provider in built.providers:
                carried.setdefault(provider.name, []).append((channel, provider))
        for found in carried.values():
            yield found[0][1], tuple(channel for channel, _ in found)

    def _is_wrong(self, *prefixes: str) -> bool:
        return any(name.startswith(tuple(PREFIX + each for each in prefixes)) for name in self.wrong)


def _result(of: ConnectionTry, attempt: Try) -> ConnectionTry:
    try:
        is_good, detail = attempt()
    except Exception as error:  # noqa: BLE001 - no error of a plug-in, or over a bad CA bundle, may hide the other results
        is_good, detail = False, f"failed with {type(error).__name__}"
    return replace(of, is_good=is_good, detail=detail)


def _held_back() -> tuple[None, str]:
    return None, "not tried: a setting that it needs is wrong"


def url_faults(settings: Settings) -> Iterator[Fault]:
    """Yield the faults of the URLs of the database, its replica and the broker that show without connecting."""
    from notifyflow.app.clock_and_ids import DatabaseClock
    from notifyflow.app.database import disk_faults, replica_of
    from notifyflow.engine.broker.brokers import make_broker
    from notifyflow.storage.store import Store

    try:
        store = Store(settings.database_url.get_secret_value())
        yield from disk_faults(settings, store)
        replica_of(settings, store, DatabaseClock(store))
    except InvalidSettings as error:
        yield from error.faults
    try:
        if not settings.is_embedded:
            make_broker(settings.broker_url.get_secret_value()).close()
    except ValueError:
        yield Fault("NOTIFYFLOW_BROKER_URL", "is not a URL that the broker's client understands", "Look at what follows its host")


def try_database(settings: Settings) -> tuple[bool, str]:
    """Return whether the database responds and its schema fits; no SQLite file is created or upgraded."""
    from notifyflow.storage.store import Store

    store = Store(settings.database_url.get_secret_value())
    try:
        store.check_schema()
        environment = store.read(lambda reads: reads.adoption.environment())
        if environment not in (None, settings.environment):
            raise WrongEnvironment(environment, settings.environment)
    except SchemaMismatch as error:
        if store.is_embedded and error.found < error.wanted:
            return True, f"SQLite; its schema becomes {error.wanted} at the first use"
        return False, str(error).rstrip(".")
    except StorageError as error:
        return False, str(error).rstrip(".")
    finally:
        store.close()
    return True, f"{'SQLite' if store.is_embedded else 'PostgreSQL'}; its schema fits"


def try_replica(settings: Settings) -> tuple[bool, str]:
    """Return whether lists can be read from the replica, at least once a worker sweeps."""
    from notifyflow.app.clock_and_ids import DatabaseClock
    from notifyflow.app.database import replica_of
    from notifyflow.service.replica import Unfit
    from notifyflow.storage.store import Store

    store = Store(settings.database_url.get_secret_value())
    replica = replica_of(settings, store, DatabaseClock(store))
    assert replica is not None  # noqa: S101 - it is tried only if it is set
    try:
        reason, swept_at = replica.look(), store.read(lambda reads: reads.swept_at())
    except StorageError as error:
        return False, f"not compared with the database: {str(error).rstrip('.')}"
    finally:
        replica.close()
        store.close()
    if reason in (Unfit.UNSWEPT, Unfit.OLD) and replica.swept_at == swept_at:
        return True, "PostgreSQL; no worker sweeps, and until then it is not used"
    return reason is None, f"it is not used: {reason}" if reason else "PostgreSQL; it is used for lists"


def open_database(settings: Settings) -> tuple[bool, str]:
    """Make our tables in a database that has none, and return whether it can be used."""
    from notifyflow.storage.store import Store

    store = Store(settings.database_url.get_secret_value())
    try:
        _make_schema(store)
    except Refused as error:
        return False, f"{error}. Let the user of NOTIFYFLOW_DATABASE_URL create tables in it"
    except StorageError as error:
        return False, str(error).rstrip(".")
    finally:
        store.close()
    return try_database(settings)


def _make_schema(store: "Store") -> None:
    try:
        store.check_schema()
    except SchemaMismatch as error:
        if error.found == 0:
            store.upgrade()


def try_broker(settings: Settings) -> tuple[bool, str]:
    """Return whether the broker accepts messages."""
    from notifyflow.engine.broker.brokers import BrokerBell, make_broker

    if settings.is_embedded:
        return True, "memory://; each process delivers for itself"
    url = settings.broker_url.get_secret_value()
    broker = make_broker(url)
    try:
        BrokerBell(broker).ring("email", Severity.INFO, [])  # no ids: workers ignore it, and a broker that is full refuses it
    except BrokerUnavailable as error:
        what = f"does not accept messages ({type(error.__cause__ or error).__name__})"
        return False, f"{what}. Look at NOTIFYFLOW_BROKER_URL and the server"
    finally:
        broker.close()
    return True, f"{urlsplit(url).scheme}://; it accepts messages"


def try_provider(provider: Provider) -> tuple[bool | None, str]:
    """Return whether the provider accepts our login; None if it cannot be tried without sending."""
    if not isinstance(provider, LogsIn):
        return None, "not tried: it has no login"
    try:
        found = provider.try_login()
    except ProviderError as error:
        return False, str(error)
    return (True, found) if found else (None, "not tried: it has no login")
