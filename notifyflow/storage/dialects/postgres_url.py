"""Checks the URL of a PostgreSQL server, and describes in our own words why connecting failed.

Such a URL holds a password, and a character in it that is not encoded makes parts of it look like a host, a port or a database.
So nothing of the URL is repeated before it is known to be well formed, and the driver's messages, which quote it, are not shown.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict

from notifyflow.errors import Fault, InvalidSettings

_ENCODED = "Percent-encode special characters in the user name and password: % as %25, @ as %40, / as %2F, : as %3A"
_DEFAULT_PORT = "5432"
_EACH_OF_SEVERAL_S = 2
"""The shortest time that libpq knows: if one of two servers is unreachable, ``notify()`` has time for the other."""

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
    ("session is read-only", "the server is a standby, which takes no writes"),
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


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a database.

    Attributes:
        name: The servers, for messages: ``host:port``.
        connect_timeout_s: How long one server, or one address of it, may take to connect; None for as long as there is time.
    """

    name: str
    connect_timeout_s: int | None


def check(url: str) -> Place:
    """Check a URL.

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
    hosts = str(parts.get("host") or parts.get("hostaddr") or "the local socket")
    given = str(parts.get("connect_timeout") or "")
    given_s = int(given) if given.isdecimal() else 0
    return Place(f"{hosts}:{ports}", given_s or (_EACH_OF_SEVERAL_S if "," in hosts else None))


def words_for(message: str) -> str:
    """Return our description of a message of the client library; of several servers, what each said."""
    said = (next((words for part, words in _WORDS if part in each), "the connection failed") for each in _by_server(message))
    return "; ".join(dict.fromkeys(said))


def is_refusal(message: str) -> bool:
    """Return whether a message of the client library says that the server, or each of several, lets nobody in with this URL."""
    return all(any(part in each for part, _ in _REFUSALS) for each in _by_server(message))


def _by_server(message: str) -> Sequence[str]:
    """Return the errors of the servers that were tried; psycopg lists those of several addresses after the last one."""
    servers: dict[str, str] = {}
    for each in re.split(r"^- host: ", message, flags=re.MULTILINE)[1:]:
        server, _, said = each.partition(", hostaddr: ")
        servers[server] = servers.get(server, "") + said
    return list(servers.values()) or [message]


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
