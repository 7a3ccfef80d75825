"""Subscribers, and the incident events sent to them; pure.

Subscribers are other systems: they are never paged, nothing escalates for them, and their events are never cancelled.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from notifyflow.core import text
from notifyflow.core.delivery.machines import INCIDENT
from notifyflow.core.delivery.model import IncidentState, Severity

OPENED = "opened"
AMENDED = "amended"
ROUND_DUE = "round_due"
EVENTS: tuple[str, ...] = (OPENED, AMENDED, *(event.name for event in INCIDENT.events if event.name != "repeated"), ROUND_DUE)
"""``opened``, ``amended`` (new words), every event of the incident's machine but ``repeated``, and ``round_due`` (nobody has
acknowledged in time)."""

_LONGEST_NAME = 100
_FIELDS = ("url", "secrets", "events")
_PREFIX = "whsec_"
_FEWEST_BYTES, _MOST_BYTES = 24, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """Another system that is sent incident events.

    Attributes:
        name: Our name for it, which is stored and logged instead of the URL.
        url: The URL to which events are posted; secret.
        secrets: The secrets that sign the messages, ``whsec_…``; each of several signs, so that one can be exchanged.
        events: The events it subscribes to; empty for all.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    events: frozenset[str] = frozenset()

    def wants(self, event: str) -> bool:
        """Return whether it subscribes to an event."""
        return not self.events or event in self.events


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentEvent:
    """One event of an incident, for one subscriber; nothing personal.

    Attributes:
        subscriber: The subscriber's name.
        event: The event: one of ``EVENTS``.
        state: The incident's state after the event.
        severity: The incident's severity after the event.
        version: Grows with every event of the incident, so that a late event can be recognised.
        by: Who caused it, if a person did.
        via: How: a ``Via``, or the channel of a reply; empty if no person caused it.
    """

    subscriber: str
    event: str
    incident_id: str
    at: datetime
    state: IncidentState
    severity: Severity
    version: int
    by: str = ""
    via: str = ""


def key_of(secret: str) -> bytes:
    """Extract the key from a secret (Standard Webhooks 1.0.0, "Signature scheme").

    Raises:
        ValueError: When the secret has a wrong form; the error does not repeat it.
    """
    with suppress(ValueError):  # binascii.Error is one
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        if secret.startswith(_PREFIX) and _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
            return key
    raise ValueError(f"is not {_PREFIX} and {_FEWEST_BYTES} to {_MOST_BYTES} bytes in base64")


def read_subscribers(document: str) -> tuple[Subscriber, ...]:
    """Read ``{"NAME": {"url": "https://…", "secrets": ["whsec_…"], "events": ["acknowledged"]}}``, JSON.

    Raises:
        ValueError: With all faults in one sentence; the error repeats no URL and no secret.
    """
    try:
        tables = json.loads(document)
    except (ValueError, RecursionError):
        raise ValueError("is not valid JSON") from None
    if not isinstance(tables, dict):
        raise ValueError("is not a table of webhooks by their names")
    faults = [f"{text.quoted(name)} {what}" for name, table in tables.items() for what in _faults(name, table)]
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(
        Subscriber(name=name, url=table["url"], secrets=tuple(table["secrets"]), events=frozenset(table.get("events", ())))
        for name, table in tables.items()
    )


def _faults(name: str, table: object) -> Iterator[str]:
    if not name or name != text.one_line(name) or len(name) > _LONGEST_NAME:
        yield f"needs a name of 1 to {_LONGEST_NAME} characters in one line"
    if not isinstance(table, dict):
        yield f"is not a table of {', '.join(_FIELDS)}"
        return
    yield from (f"has a field {text.quoted(each)}, and may have {', '.join(_FIELDS)}" for each in table if each not in _FIELDS)
    if not isinstance(table.get("url"), str):
        yield "has no url"
    yield from _secret_faults(table.get("secrets"))
    events = table.get("events", [])
    if not isinstance(events, list):
        yield "has events that are no list"
    elif unknown := [text.quoted(each) for each in events if each not in EVENTS]:
        yield f"names {', '.join(unknown)} among its events, and may name {', '.join(EVENTS)}"


def _secret_faults(secrets: object) -> Iterator[str]:
    if not isinstance(secrets, list) or not secrets:
        yield "has no list of secrets"
        return
    for number, secret in enumerate(secrets, start=1):
        try:
            key_of(secret if isinstance(secret, str) else "")
        except ValueError as wrong:
            yield f"has a secret, number {number}, that {wrong}"
