"""Checks the URL of a PostgreSQL server, and describes in our own words why connecting failed.

Such a URL holds a password, and a character in it that is not encoded makes parts of it look like a host, a port or a database.
So nothing of the URL is repeated before it is known to be well formed, and the driver's messages, which quote it, are not shown.
"""

from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict

from notifyflow.errors import Fault, InvalidSettings

_ENCODED = "Percent-encode special characters in the user name and password: % as %25, @ as %40, / as %2F, : as %3A"
_DEFAULT_PORT = "5432"

_REFUSALS = (
    # part of the client's message, our description
    ("password authentication failed", "the server refuses the user or the password"),
    ("no password supplied", "the server wants a password"),
    ("pg_hba.conf", "the server does not let this user in from this host (pg_hba.conf)"),
    ("does not exist", "the server has no such database, or no such user"),
)
_WORDS = (
    *_REFUSALS,
    ("too many", "the server has no connection left"),
    ("remaining connection slots", "the server has no connection left"),
    ("the database system is", "the server is starting up or shutting down"),
    ("Connection refused", "connection refused"),
    ("timeout expired", "timeout"),
    ("server closed the connection", "the server closed the connection"),
    ("terminating connection", "the server closed the connection"),
    ("the connection is closed", "the connection is closed"),
    ("the connection is lost", "the connection is lost"),
    ("translate host name", "the name of the host cannot be resolved"),
    ("resolve host", "the name of the host cannot be resolved"),
    ("No route to host", "the host cannot be reached"),
    ("unreachable", "the host cannot be reached"),
    ("server login has been failing", "the pooler cannot connect to the server"),
    ("query_wait_timeout", "the pooler had no connection left"),
    ("unsupported startup parameter", "the pooler refuses a parameter of the URL"),
    ("certificate", "the server's certificate is not accepted"),
    ("SSL", "no encrypted connection came about"),
)


def check(url: str) -> str:
    """Check a URL.

    Returns:
        The server, for messages: ``host:port``.

    Raises:
        InvalidSettings: When it is not well formed; the error repeats nothing of it.
    """
    if _has_stray_at(url.partition("://")[2]):
        raise _invalid("holds an @ that does not stand before its host")
    parts = _parts(url)
    if parts is None:  # raised here, so that it has no cause that quotes the URL
        raise _invalid("is not a URL that PostgreSQL's client library understands")
    ports = str(parts.get("port") or _DEFAULT_PORT)
    if not all(port.isdecimal() or not port for port in ports.split(",")):
        raise _invalid("has a port that is not a number")
    return f"{parts.get('host') or 'the local socket'}:{ports}"


def words_for(message: str) -> str:
    """Return our description of a message of the client library."""
    return next((words for part, words in _WORDS if part in message), "the connection failed")


def is_refusal(message: str) -> bool:
    """Return whether a message of the client library says that the server lets nobody in with this URL."""
    return any(part in message for part, _ in _REFUSALS)


def _parts(url: str) -> Mapping[str, object] | None:
    try:
        return conninfo_to_dict(url)
    except psycopg.Error:
        return None


def _has_stray_at(rest: str) -> bool:
    """Return whether the library would read an @ as part of the host or the database name."""
    user, at, place = rest.partition("@")
    if not at or "/" in user:
        place = rest
    return "@" in place.partition("?")[0]


def _invalid(what: str) -> InvalidSettings:
    return InvalidSettings((Fault("NOTIFYFLOW_DATABASE_URL", what, _ENCODED),))
