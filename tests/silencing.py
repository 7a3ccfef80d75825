"""Starts and ends silences: on a driver, and for the tests of doors, which need one to name."""

from dataclasses import replace
from datetime import timedelta

from notifyflow.app import NotifyFlow
from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.limits.silences import Author, AuthorKind, Silence, read_matchers
from notifyflow.pipeline.delivery.silences import silencing
from tests.builders import an_incident
from tests.driver import Driver

GRACE = Author(name="Grace")


def orders(key: str = "db-1", *, severity: Severity = Severity.ERROR, **labels: str) -> Incident:
    """Return an incident of the team whose incidents the silences cover."""
    return replace(an_incident(key, severity=severity), labels={"team": "orders"} | labels)


def silence(
    driver: Driver,
    *matchers: str,
    span: timedelta = timedelta(hours=2),
    after: timedelta = timedelta(),
    namespaces: frozenset[str] | None = None,
    author: tuple[AuthorKind, str] = (AuthorKind.COMMAND, ""),
) -> Silence:
    """Start a silence, of all that the team has unless matchers are given."""
    now = driver.clock.now()
    wanted = Silence(
        id=driver.deps.ids.new(),
        matchers=read_matchers(matchers or ("team=orders",)),
        reason="upgrade",
        begins_at=now + after,
        ends_at=now + after + span,
        created_at=now,
        author_kind=author[0],
        author_id=author[1],
        author="Grace",
        namespaces=namespaces,
    )
    driver._note(silencing.start(driver.deps, wanted))
    return wanted


def end(driver: Driver, started: Silence) -> bool:
    """End a silence early; return whether it was not over."""
    value, follow_ups = silencing.end(driver.deps, started.id, by="Grace")
    driver._note(follow_ups)
    return value


def a_silence(flow: NotifyFlow, *matchers: str) -> str:
    """Start a silence of two hours, and return its id."""
    wanted = read_matchers(matchers or ("team=nobody",))
    return flow.silences.start(wanted, span=timedelta(hours=2), why="upgrade", by=GRACE).id
