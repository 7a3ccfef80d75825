"""Prometheus Alertmanager's webhook, version 4; Grafana's has the same shape and more fields.

Source: Prometheus documentation, "Configuration", section ``<webhook_config>``, and ``notify/webhook/webhook.go`` of Alertmanager
0.28, which repeats a request after a 5xx response and gives it up after a 4xx response. Grafana documentation,
"Configure the webhook notifier for Alerting".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from json.encoder import encode_basestring_ascii as _quote

from notifyflow.core.delivery.model import Via
from notifyflow.core.intake.integrations.inbound import (
    Action,
    InboundRequest,
    digest,
    first,
    incident,
    labels_of,
    lines,
    read_each,
    refusal,
    say,
    table,
    web_addresses,
)
from notifyflow.errors import Fault

NAME = Via.ALERTMANAGER

_TITLES = ("summary", "title", "message")
_BODIES = ("description",)
_LINKS = ("panelURL", "dashboardURL", "generatorURL")
_FIELDS = ("fingerprint", "status", "labels", "annotations", "startsAt", *_LINKS)
_encode = json.JSONEncoder(sort_keys=True).encode
_OVER = "resolved"
_REMEDY = "Send what Alertmanager's webhook sends, version 4"


@dataclass(frozen=True, slots=True, kw_only=True)
class _AlertGroup:
    """The fields of a group that apply to each of its alerts; its links stand in for an alert's own."""

    status: object
    source: object
    links: list[object]
    left_out: str | None


def read(document: object) -> tuple[tuple[InboundRequest, ...], tuple[Fault, ...]]:
    """Read a group of alerts: each is an incident of its own, identified by its fingerprint; other items have faults.

    Raises:
        UnreadableIncident: When the document is not a group, or contains no alert.
    """
    body = table(document)
    alerts = body.get("alerts")
    if not isinstance(alerts, list) or not alerts:
        raise refusal("alerts", "it is missing or empty", _REMEDY)
    source, count = body.get("externalURL"), body.get("truncatedAlerts")
    has_more = isinstance(count, int) and count > 0
    left_out = f"({count} more alerts of its group were left out: max_alerts is set.)" if has_more else None
    links = [] if source is None else [source]
    group = _AlertGroup(status=body.get("status"), source=source, links=links, left_out=left_out)
    return read_each("alerts", map(_normalized, alerts), lambda alert: _read(alert, group))


def _normalized(alert: object) -> object:
    """Return the alert with only the fields that are read, so that alerts of the same meaning compare equal."""
    if not isinstance(alert, dict):
        return alert
    fields = {name: alert[name] for name in _FIELDS if name in alert}
    if fields.get("status"):
        fields["status"] = _OVER if fields["status"] == _OVER else "firing"
    return fields


def _read(alert: object, group: _AlertGroup) -> InboundRequest:
    if not isinstance(alert, dict):
        raise refusal("", "it is not an alert", _REMEDY)
    labels = table(alert.get("labels"))
    notes = table(alert.get("annotations"))
    urls = {name: alert[name] for name in _LINKS if name in alert}
    links = {} if alert.get("labels") is None else _links(notes, urls, labels)
    title, body = _texts({name: note for name, note in notes.items() if name not in links}) if notes else (None, ())
    made = incident(
        NAME,
        key=say(alert.get("fingerprint")) or digest(_canonical(labels)),
        title=title or _default_title(labels),
        body=body if group.left_out is None else (*body, group.left_out),
        severity=labels.get("severity"),
        source=group.source,
        urls=[*urls.values(), *group.links],
        labels=None if alert.get("labels") is None else labels,
        links=links,
        occurred_at=alert.get("startsAt"),
    )
    is_over = (alert.get("status") or group.status) == _OVER
    return InboundRequest(action=Action.RESOLVE if is_over else Action.NOTIFY, incident=made, labels=labels_of(made, labels))


def _texts(notes: Mapping[str, object]) -> tuple[str | None, tuple[str | None, ...]]:
    """Return the title, or None, and the paragraphs of the body from an alert's annotations."""
    others = _others(notes)
    return first(notes, _TITLES), (first(notes, _BODIES), lines(others) if others else None)


def _links(notes: Mapping[str, object], urls: Mapping[str, object], labels: Mapping[str, object]) -> Mapping[str, object]:
    """Return the web addresses among the annotations, and among the links but the first, which is the incident's URL."""
    return web_addresses(_others(notes) | dict(islice(web_addresses(urls, {}).items(), 1, None)), labels)


def _others(notes: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in notes.items() if name not in (*_TITLES, *_BODIES)}


def _default_title(labels: Mapping[str, object]) -> str:
    """Return a title made of the labels ``alertname`` and ``instance``; empty without ``alertname``."""
    name = say(labels.get("alertname"))
    place = say(labels.get("instance")) if name else ""
    return f"{name} on {place}" if place else name


def _canonical(labels: Mapping[str, object]) -> str:
    """Return the labels as JSON, sorted by name; plain ones are written by hand, which takes a third of the time."""
    pairs = []
    for name, value in sorted(labels.items()):
        if type(value) is str:
            pairs.append(f"{_quote(name)}: {_quote(value)}")
        elif type(value) is int:
            pairs.append(f"{_quote(name)}: {value}")
        else:
            return _encode(labels)
    return f"{{{', '.join(pairs)}}}"
