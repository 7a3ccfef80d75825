"""The differences between SQLite and PostgreSQL: connecting, beginning, the time, and the meaning of errors."""

from urllib.parse import unquote

from notifyflow.errors import Fault, InvalidSettings
from notifyflow.storage.dialects.dialect import Dialect, ServerTransaction, TransactionMode, Trouble, execute
from notifyflow.storage.dialects.sqlite import Sqlite

__all__ = ["Dialect", "ServerTransaction", "Sqlite", "TransactionMode", "Trouble", "dialect_for", "execute"]


def dialect_for(url: str, *, prepares: bool = True) -> Dialect:
    """Return the dialect of a database URL.

    Args:
        url: The URL.
        prepares: Whether a server is asked to prepare frequent statements.

    Raises:
        InvalidSettings: When it is neither ``sqlite:///path`` nor ``postgresql://…``; the URL itself is not repeated.
    """
    scheme, _, rest = url.partition("://")
    match scheme:
        case "sqlite" if rest.startswith("/") and rest[1:] not in ("", ":memory:"):
            return Sqlite(unquote(rest[1:]))
        case "postgresql" | "postgres":
            from notifyflow.storage.dialects.postgres import Postgres  # with psycopg

            return Postgres("postgresql://" + rest, prepares=prepares)
        case _:
            what = "is not a database notifyflow knows" if rest else "is not a URL"
            remedy = "Give sqlite:///path/to/file (three slashes and a relative path, or four) or postgresql://user@host/database"
            raise InvalidSettings((Fault("NOTIFYFLOW_DATABASE_URL", what, remedy),))
