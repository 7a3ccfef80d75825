"""Tries the connections: whether the database responds and its schema fits, and whether the broker accepts messages."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from notifyflow.core.model import Severity
from notifyflow.errors import BrokerUnavailable, SchemaMismatch, StorageError, WrongEnvironment
from notifyflow.settings import Settings


@dataclass(frozen=True, slots=True)
class Connection:
    """The result of one try.

    Attributes:
        name: ``database`` or ``broker``.
        is_good: Whether it can be used as it is.
        detail: What was found, or why it cannot be used; never with a password.
    """

    name: str
    is_good: bool
    detail: str


def try_all(settings: Settings) -> tuple[Connection, ...]:
    """Try the database and the broker; nothing is stored, and no SQLite file is created or upgraded."""
    return _try_database(settings), _try_broker(settings)


def _try_database(settings: Settings) -> Connection:
    from notifyflow.storage.store import Store

    store = Store(settings.database_url.get_secret_value())
    try:
        store.check_schema()
        environment = store.read(lambda reads: reads.adoption.environment())
        if environment not in (None, settings.environment):
            raise WrongEnvironment(environment, settings.environment)
    except SchemaMismatch as error:
        if store.is_embedded and error.found < error.wanted:
            return Connection("database", True, f"SQLite; its schema becomes {error.wanted} at the first use")
        return Connection("database", False, str(error).rstrip("."))
    except StorageError as error:
        return Connection("database", False, str(error).rstrip("."))
    finally:
        store.close()
    return Connection("database", True, f"{'SQLite' if store.is_embedded else 'PostgreSQL'}; its schema fits")


def _try_broker(settings: Settings) -> Connection:
    from notifyflow.engine.broker import BrokerBell, make_broker

    if settings.is_embedded:
        return Connection("broker", True, "memory://; each process delivers for itself")
    url = settings.broker_url.get_secret_value()
    broker = make_broker(url)
    try:
        BrokerBell(broker).ring("email", Severity.INFO, [])  # no ids: workers ignore it, and a broker that is full refuses it
    except BrokerUnavailable as error:
        return Connection("broker", False, f"does not accept messages ({type(error.__cause__ or error).__name__})")
    finally:
        broker.close()
    return Connection("broker", True, f"{urlsplit(url).scheme}://; it accepts messages")
