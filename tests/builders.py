"""Builders of incidents, recipients and contacts, a manual clock and predictable ids."""

from datetime import UTC, datetime, timedelta
from itertools import count

from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import Contact, Evidence, Incident, Recipient, Result, Severity

START = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
CHANNELS = ("email", "slack", "teams", "push", "sms", "voice")
REPORTING = frozenset({"sms", "voice"})
KEY = "db-1"
ALL_SCOPES = frozenset(KeyScope) - {KeyScope.PING}
"""All scopes of a key but that of pings, which stands alone."""
BAD = "bad"
"""An address that every channel refuses."""

ACCEPTED = Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED)
BUSY = Outcome(result=Result.TEMPORARY_FAILURE, code="503", reason="the provider is busy")
REFUSED = Outcome(result=Result.PERMANENT_FAILURE, code="404", reason="there is no such address")
REFUSED_US = Outcome(
    result=Result.TEMPORARY_FAILURE, code="401", reason="the provider refuses our credentials", is_our_fault=True
)
UNKNOWN = Outcome(result=Result.IN_DOUBT, code="timeout", reason="no answer came")


class HandClock:
    """A clock that tests move."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def pass_time(self, span: timedelta) -> None:
        self.at += span


class CountingIds:
    """Counts up ids, and puts waits in the middle of their jitter."""

    def __init__(self, first: int = 1) -> None:
        self._numbers = count(first)

    def new(self) -> str:
        return f"{next(self._numbers):032x}"

    def fraction(self) -> float:
        return 0.5


def an_incident(
    key: str = KEY, *, severity: Severity = Severity.ERROR, title: str = "orders db is down", body: str = ""
) -> Incident:
    return Incident(key=key, title=title, severity=severity, body=body)


def a_recipient(who: str, *channels: str, **addresses: str) -> Recipient:
    """Return a recipient with made-up addresses on some channels, and the addresses in keywords."""
    return Recipient(id=who, name=who.title(), addresses={channel: f"{who}@{channel}" for channel in channels} | addresses)


def a_contact(who: str, *channels: str) -> Contact:
    return Contact(recipient_id=who, name=who.title(), addresses=a_recipient(who, *channels).addresses)


def check_address(channel: str, address: str) -> str:
    if address == BAD:
        raise ValueError(f"is no address of {channel}")
    return address
