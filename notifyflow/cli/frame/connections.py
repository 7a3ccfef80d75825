"""Tries the connections, all at once: the database, the broker, and the accounts of the providers; nothing is sent or stored."""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias
from urllib.parse import urlsplit

from notifyflow.channels.base import Channel, Provider
from notifyflow.channels.provider_protocols import LogsIn
from notifyflow.core.delivery.model import Severity
from notifyflow.errors import (
    BrokerUnavailable,
    Fault,
    InvalidSettings,
    ProviderError,
    SchemaMismatch,
    StorageError,
    WrongEnvironment,
)
from notifyflow.settings import PREFIX, Settings

Try: TypeAlias = Callable[[], tuple[bool | None, str]]
_FOR_ALL = ("HTTPS_PROXY", "CA_BUNDLE", "TRUSTED_ENDPOINTS")  # a request without them could go where it should not


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTry:
    """The result of one try.

    Attributes:
        name: ``database``, ``broker``, or the name of a provider.
        is_good: Whether it can be used as it is; None if that was not tried.
        detail: What was found, why it cannot be used, or why it was not tried; never with a password or an address.
        channels: The channels that a provider carries.
    """

    name: str
    is_good: bool | None = None
    detail: str = "not tried"
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Everything that can be tried with some settings; each provider once, whatever it carries.

    Attributes:
        settings: The settings; those that are wrong have their default.
        wrong: The names of the wrong settings: nothing that they concern is tried.
    """

    settings: Settings
    wrong: Collection[str]
    channels: Mapping[str, Channel]

    def run(self) -> Iterator[ConnectionTry]:
        """Try all at once, and yield the results in order."""
        tries = tuple(self._tries())
        with ThreadPoolExecutor(max_workers=len(tries)) as threads:
            yield from threads.map(_result, *zip(*tries, strict=True))

    def skip(self) -> Iterator[ConnectionTry]:
        """Yield each connection as one that was not tried."""
        return (of for of, _ in self._tries())

    def _tries(self) -> Iterator[tuple[ConnectionTry, Try]]:
        for name, attempt in (("database", try_database), ("broker", try_broker)):
            if not self._is_wrong(f"{name.upper()}_URL"):
                yield ConnectionTry(name=name), partial(attempt, self.settings)
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
    """Yield the faults of the database's and the broker's URL that show without connecting."""
    from notifyflow.app.database import disk_faults
    from notifyflow.engine.broker.brokers import make_broker
    from notifyflow.storage.store import Store

    try:
        yield from disk_faults(settings, Store(settings.database_url.get_secret_value()))
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
        return False, f"does not accept messages ({type(error.__cause__ or error).__name__})"
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
