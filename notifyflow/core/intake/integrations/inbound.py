"""Inbound requests, which integrations return, and the making of a valid incident from any document."""

import hashlib
import json
import marshal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import islice

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.faults import Faults
from notifyflow.core.forms import MAX_KEY
from notifyflow.core.intake import validation
from notifyflow.core.messages.addresses import is_web_address
from notifyflow.core.patterns import fits
from notifyflow.errors import Fault, UnreadableIncident

_SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(("critical", "crit", "fatal", "emergency", "emerg", "alert", "page", "disaster"), Severity.CRITICAL),
    **dict.fromkeys(("error", "err", "high", "major"), Severity.ERROR),
    **dict.fromkeys(("warning", "warn", "average", "minor"), Severity.WARNING),
    **dict.fromkeys(("info", "information", "informational", "notice", "low", "none", "debug"), Severity.INFO),
}
"""The severity names of syslog (RFC 5424, section 6.2.1), Prometheus, PagerDuty, Zabbix and OpenTelemetry."""

_LONGEST_WORD = 100
_NAMELESS = "An alert without a title"
_NOTHING: Mapping[str, object] = {}


class Action(StrEnum):
    """The action that a request asks for."""

    NOTIFY = "notify"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRequest:
    """One request of an integration.

    Attributes:
        incident: The incident; always valid. For any action but NOTIFY only its key counts.
        labels: All labels that were sent, used for routing; may be more than the incident can hold.
        times: How many times in a row the same request was sent; at least 1.
    """

    action: Action
    incident: Incident
    labels: Mapping[str, str]
    times: int = 1


def refusal(where: str, what: str, remedy: str) -> UnreadableIncident:
    """Return an error with one fault."""
    return UnreadableIncident((Fault(where, what, remedy),))


def read_each(
    where: str, items: Iterable[object], read: Callable[[object], InboundRequest]
) -> tuple[tuple[InboundRequest, ...], tuple[Fault, ...]]:
    """Read the items of a batch, whose path is ``where``; one that cannot be read has a fault, and does not stop the others.

    Raises:
        UnreadableIncident: When there are items and none of them could be read.
    """
    reading = _Reading(where)
    for index, item in enumerate(items):
        reading.add(index, item, read)
    if reading.faults and not reading.requests:
        raise UnreadableIncident(reading.faults)
    times = reading.times
    requests = (
        request if count == 1 else replace(request, times=count) for request, count in zip(reading.requests, times, strict=True)
    )
    return tuple(requests), tuple(reading.faults)


class _Reading:
    """Reads items one by one; an identical item is not read again, so that a million copies in a body cost little."""

    def __init__(self, where: str) -> None:
        self.requests: list[InboundRequest] = []
        self.times: list[int] = []
        self.faults = Faults()
        self._where = where
        self._read: dict[object, int] = {}
        self._refused: dict[object, int] = {}
        self._newest: dict[str, int] = {}

    def add(self, index: int, item: object, read: Callable[[object], InboundRequest]) -> None:
        """Read an item, count it if it repeats the previous one of its incident, or note why it cannot be read."""
        mark = _mark(index, item)
        at = self._read.get(mark)
        if at is not None and self._newest[self.requests[at].incident.key] == at:
            self.times[at] += 1
        elif mark in self._refused:
            self.faults.count(self._refused[mark])
        else:
            self._read_new(index, mark, item, read)

    def _read_new(self, index: int, mark: object, item: object, read: Callable[[object], InboundRequest]) -> None:
        try:
            request = read(item)
        except UnreadableIncident as wrong:
            self._refused[mark] = len(wrong.faults)
            for fault in wrong.faults:
                self.faults.note(partial(self._placed, index, fault))
        else:
            self._read[mark] = self._newest[request.incident.key] = len(self.requests)
            self.requests.append(request)
            self.times.append(1)

    def _placed(self, index: int, fault: Fault) -> Fault:
        return replace(fault, where=f"{self._where}[{index}].{fault.where}".rstrip("."))


def _mark(index: int, item: object) -> object:
    """Return a value that is equal for equal items; a too deeply nested item equals no other."""
    try:
        return marshal.dumps(item, 2)  # type: ignore[arg-type]  # JSON; later formats write what is equal in more than one way
    except ValueError:
        return index


def table(value: object) -> Mapping[str, object]:
    """Return the value if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def say(value: object) -> str:
    """Return a JSON value as text: strings unchanged, null as an empty string, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "…"


def first(values: Mapping[str, object], names: Iterable[str]) -> str | None:
    """Return the first of these fields as text that is not empty; empty if all of them are, None if none is set."""
    texts = [say(values[name]).strip() for name in names if values.get(name) is not None]
    return next(filter(None, texts), "" if texts else None)


def lines(values: Mapping[str, object]) -> str:
    """Return an object as text, one line per field."""
    return "\n".join(f"{name}: {say(value)}" for name, value in values.items())


def incident(
    integration: str,
    *,
    key: str,
    title: object,
    body: Sequence[str | None] = (),
    severity: object = None,
    source: object = None,
    urls: Sequence[object] = (),
    labels: Mapping[str, object] | None,
    links: Mapping[str, object] = _NOTHING,
    occurred_at: object = None,
) -> Incident:
    """Return a valid incident made of any values; fields that were not sent are None, as in the rest of the intake.

    Args:
        integration: The integration's name; the key begins with it, so that no integration reaches another's incidents, or ours.
        key: The sender's key, the same for every request about the same incident.
        title: What happened; replaced by a default title if it is empty.
        body: Paragraphs; empty ones are left out, and None means not set.
        severity: A severity name; unknown ones become ERROR.
        source: The system that reported it.
        urls: Links for the reader; the first valid web address is used, and None means not set.
        labels: Labels; those beyond the limit are left out and counted in the body. None means not set.
        links: Web addresses that become labels, too, as ``web_addresses`` returns them.
        occurred_at: When it happened, as ISO 8601.
    """
    if links:
        labels = {**(labels or {}), **links}
    kept = clean(labels) if labels else {}
    if len(kept) > validation.MAX_LABELS:
        kept = dict(islice(kept.items(), validation.MAX_LABELS))
    if labels and len(kept) < len(labels):
        body = (*body, f"({len(labels) - len(kept)} more labels were left out.)")
    return Incident(
        key=_key(integration, key),
        title=text.short_line(say(title), validation.MAX_TITLE) or _NAMELESS,
        body=_body(body) if body else None,
        severity=Severity.ERROR if severity is None else _severity(say(severity)),
        source=None if source is None else text.short_line(say(source), validation.MAX_NAME),
        url=_url([say(url) for url in urls if url is not None]) if urls else None,
        labels=None if labels is None else kept,
        occurred_at=None if occurred_at is None else _instant(say(occurred_at)),
    )


def most_severe(patterns: Sequence[str]) -> Severity:
    """Return the highest severity of alerts whose word for it matches a pattern of a route; ERROR if no known word does."""
    folded = [each.casefold() for each in patterns]
    known = [severity for word, severity in _SEVERITIES.items() if fits(folded, word)]
    return min((*known, *(_severity(each) for each in folded if "*" not in each)), key=_rank, default=Severity.ERROR)


def _rank(severity: Severity) -> int:
    return severity.rank


def _severity(word: str) -> Severity:
    return _SEVERITIES.get(word.strip().casefold(), Severity.ERROR) if len(word) <= _LONGEST_WORD else Severity.ERROR


def labels_of(made: Incident, labels: Mapping[str, object]) -> Mapping[str, str]:
    """Return all valid labels for routing: the incident's own, or all that were sent if the incident cannot hold them."""
    return made.labels or {} if len(labels) <= validation.MAX_LABELS else clean(labels)


def clean(labels: Mapping[str, object]) -> dict[str, str]:
    """Return valid labels made of any names and values, without a limit to their number."""
    made: dict[str, str] = {}
    for name, value in labels.items():
        if short := text.short_line(name, validation.MAX_LABEL_NAME):
            made.setdefault(short, text.short_line(say(value), validation.MAX_LABEL_VALUE))
    return made


def web_addresses(values: Mapping[str, object], labels: Mapping[str, object]) -> dict[str, str]:
    """Return the values that are web addresses and can become labels besides the given ones; messages show them as links."""
    limit = validation.MAX_LABEL_VALUE
    return {
        name: value
        for name, value in values.items()
        if name not in labels and isinstance(value, str) and len(value) <= limit and is_web_address(value)
    }


def digest(value: str) -> str:
    """Return a digest of a text that cannot be used as a key itself."""
    return "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def _key(integration: str, value: str) -> str:
    key = f"{integration}/{value}"
    is_valid = value and key == text.short_line(key, MAX_KEY)
    return key if is_valid else f"{integration}/{digest(value)}"


def _body(paragraphs: Iterable[str | None]) -> str | None:
    texts = [paragraph for paragraph in paragraphs if paragraph is not None]
    if not texts:
        return None
    body = text.paragraphs("\n\n".join(filter(None, texts)))
    if len(body) <= validation.MAX_BODY:
        return body
    mark = f"\n\n(Cut here: there were {len(body):,} characters.)"
    return text.cut(body, validation.MAX_BODY - len(mark)) + mark


def _url(urls: Sequence[str]) -> str | None:
    """Return the first valid web address; without one, empty if the first URL is empty, else None, which keeps the stored one."""
    address = next(filter(is_web_address, urls), None)
    return "" if address is None and urls and not urls[0] else address


def _instant(value: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if any(validation.instant_faults(at)) else at
