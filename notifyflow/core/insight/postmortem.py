"""An incident as a Markdown document for the post-mortem: its facts, people, requests and events; no addresses."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from notifyflow.core import text
from notifyflow.core.delivery.model import EscalationState, Kind
from notifyflow.core.insight import chain_words, inbound_words, timeline_words
from notifyflow.core.insight.timeline import TimelineEntry
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.messages import failures
from notifyflow.core.messages.ways import way

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")
_ENDED: Mapping[EscalationState, str] = {
    EscalationState.ACTIVE: "being paged",
    EscalationState.REACHED: "reached",
    EscalationState.EXHAUSTED: "not reached",
    EscalationState.ACKNOWLEDGED: "no longer paged: acknowledged",
    EscalationState.CANCELLED: "no longer paged",
}
_UTC = Times(UTC, None)

Here = Callable[[datetime], str]
"""Writes a time in the reader's zone."""


def markdown(status: IncidentStatus, entries: Sequence[TimelineEntry], *, here: Here) -> str:
    """Return the document; it ends with a line feed.

    Args:
        status: The incident.
        entries: Its entries, by time.
        here: Writes a time in the reader's zone, with its name; the document has each time in UTC, too.
    """
    parts = [
        f"# {_plain(status.content.title)}",
        "\n".join(f"- {name}: {value}" for name, value in _facts(status, here)),
        "## Who was paged",
        _table(("Recipient", "Round", "Outcome", "Messages"), map(_paged, status.escalations)),
        *_chain(status),
        *_arrived(status, here),
        "## Timeline",
        _table(("UTC", "Local time", "What happened"), _happened(status, entries, here)),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(status: IncidentStatus, here: Here) -> Iterator[tuple[str, str]]:
    facts, content = status.facts, status.content
    yield "Key", _plain(facts.key)
    for name, value in (("Namespace", facts.namespace), ("Source", content.source), ("Link", content.url)):
        if value:
            yield name, _plain(value)
    yield "Severity", facts.severity
    yield "Policy", _plain(facts.policy.name)
    if content.labels:
        yield "Labels", ", ".join(f"{_plain(name)}={_plain(value)}" for name, value in content.labels.items())
    yield "Opened", _both(facts.opened_at, here)
    if facts.times_seen > 1:
        yield "Reported", f"{facts.times_seen:,} times"
    if facts.acknowledged_at is not None:
        yield "Acknowledged", _ended(status, facts.acknowledged_at, facts.acknowledged_by, here)
    if facts.resolved_at is not None:
        yield "Resolved", _ended(status, facts.resolved_at, facts.resolved_by, here)


def _ended(status: IncidentStatus, at: datetime, by: str, here: Here) -> str:
    after = text.duration(max(at - status.facts.opened_at, timedelta()))
    return f"{_both(at, here)} by {_plain(status.name_of(by))}, {after} after it was opened"


def _paged(escalation: EscalationStatus) -> tuple[str, ...]:
    facts = escalation.facts
    outcome = _ENDED[facts.state] + (f", a {failures.critical_failure(escalation.critical_reason)}" if facts.critical_at else "")
    pages = [
        f"{way(row.channel)}: {row.state.lower()}{f' ({_plain(row.reason)})' if row.reason else ''}"
        for row in escalation.notifications
        if row.kind is Kind.PAGE
    ]
    return _plain(escalation.contact.name), str(facts.round), outcome, "; ".join(pages) or _plain(facts.reason)


def _chain(status: IncidentStatus) -> Iterator[str]:
    """Yield the chain, run by run, if there is one."""
    if status.steps:
        name = status.name_of
        yield "## Its chain"
        rows = (
            (
                str(each.run_number),
                str(each.number),
                _plain(chain_words.who(each, name=name)),
                _plain(chain_words.status_text(status, each, brief=_in_utc)),
            )
            for each in status.steps
        )
        yield _table(("Run", "Step", "Who", "How it went"), rows)


def _arrived(status: IncidentStatus, here: Here) -> Iterator[str]:
    if status.arrivals:
        yield "## What came in"
        rows = ((*_times(each.first_at, here), _plain(inbound_words.sentence(each, brief=_in_utc))) for each in status.arrivals)
        yield _table(("UTC", "Local time", "Request"), rows)


def _happened(status: IncidentStatus, entries: Sequence[TimelineEntry], here: Here) -> Iterator[tuple[str, ...]]:
    name = status.name_of
    for each in entries:
        if not each.is_minor:
            yield *_times(each.at, here), _plain(timeline_words.sentence(each, name=name, brief=_in_utc))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _times(at: datetime, here: Here) -> tuple[str, str]:
    return _UTC.brief(at), here(at)


def _both(at: datetime, here: Here) -> str:
    return f"{_in_utc(at)} ({here(at)})"


def _in_utc(at: datetime) -> str:
    return _UTC.full(at)


def _plain(value: str) -> str:
    """Return text as one line that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", text.one_line(value))
