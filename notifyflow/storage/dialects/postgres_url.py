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
    # a pattern of the client's message, our description
    ("password authentication failed|SASL authentication failed", "the server refuses the user or the password"),
    ("no password supplied", "the server wants a password"),
    ("pg_hba.conf", "the server does not let this user in from this host (pg_hba.conf)"),
    ('role ".*" does not exist|no such user', "the server has no such user"),
    ("not permitted to log in", "the server's role for this user may not log in"),
    ('database ".*" does not exist|no such database', "the server has no such database"),
    ("permission denied for database", "the user may not connect to this database"),
    ("certificate file|private key file", "a certificate's file that sslmode needs cannot be read"),
    ("server does not support SSL|server refused SSL", "the server offers no TLS, which sslmode wants"),
    ("certificate", "the server's certificate is not accepted"),
)
LET_IN_ALONE = "timeout expired after the login"
_FULL = (
    ("too many connections for (role|database)", r"the server has no connection left: raise the CONNECTION LIMIT of the \1"),
    ("too many clients|remaining connection slots", "the server has no connection left: raise its max_connections"),
    (r"(max_\w+)", r"the pooler has no connection left: raise its \1"),
    ("query_wait_timeout", "the pooler had no connection left: raise its default_pool_size"),
    (LET_IN_ALONE, "timeout after the login: behind a pooler, raise its default_pool_size"),
)
_WORDS = (
    *_REFUSALS,
    *_FULL,
    ("session is read-only", "the server is a standby, which takes no writes"),
    ("the database system is", "the server is starting up or shutting down"),
    ("Connection refused", "connection refused"),
    ("timeout expired", "timeout"),
    ("server closed the connection|terminating connection", "the server closed the connection"),
    ("the connection is closed", "the connection is closed"),
    ("the connection is lost", "the connection is lost"),
    ("translate host name|resolve host", "the name of the host cannot be resolved"),
    ("No route to host|unreachable", "the host cannot be reached"),
    ("server login has been failing", "the pooler cannot connect to the server"),
    ("unsupported startup parameter", "the pooler refuses a parameter of the URL"),
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
    return "; ".join(dict.fromkeys(map(_describe, _by_server(message))))


def is_refusal(message: str) -> bool:
    """Return whether a message of the client library says that the server, or each of several, lets nobody in with this URL."""
    return all(any(re.search(part, each) for part, _ in _REFUSALS) for each in _by_server(message))


def is_answer(message: str) -> bool:
    """Return whether a message says that a server lets nobody in, or nobody else."""
    return any(re.search(part, message) for part, _ in (*_REFUSALS, *_FULL))


def _describe(message: str) -> str:
    found = ((re.search(part, message), words) for part, words in _WORDS)
    return next((match.expand(words) for match, words in found if match), "the connection failed")


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
