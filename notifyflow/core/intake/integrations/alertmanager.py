"""Prometheus Alertmanager's webhook, version 4; Grafana's has the same shape and more fields.

Source: Prometheus documentation, "Configuration", section ``<webhook_config>``, and ``notify/webhook/webhook.go`` of Alertmanager
0.28; it repeats a request that is answered with 5xx, and gives one up that is answered with 4xx. Grafana documentation,
"Configure the webhook notifier for Alerting".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quote

from notifyflow.core.intake.integrations.inbound import (
    Action,
    InboundRequest,
    digest,
    incident,
    labels_of,
    lines,
    read_each,
    refusal,
    say,
    table,
)
from notifyflow.core.model import Via
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
class _Group:
    """What a group says of each of its alerts.

    Attributes:
        status: Theirs, where they have none.
        source: Alertmanager's own address.
        links: The same, as the last place to look; empty if it is missing.
        left_out: A paragraph on the alerts that the sender left out; None where there are none.
    """

    status: object
    source: object
    links: list[object]
    left_out: str | None


def read(document: object) -> tuple[tuple[InboundRequest, ...], tuple[Fault, ...]]:
    """Read a group of alerts: each is an incident of its own, known by its fingerprint.

    Args:
        document: What was sent, as JSON was loaded.

    Returns:
        The requests, and what in the group is no alert.

    Raises:
        UnreadableIncident: When it is no group, or there is no alert in it.
    """
    body = table(document)
    alerts = body.get("alerts")
    if not isinstance(alerts, list) or not alerts:
        raise refusal("alerts", "there are none", _REMEDY)
    source = body.get("externalURL")
    links = [] if source is None else [source]
    group = _Group(status=body.get("status"), source=source, links=links, left_out=_left_out(body.get("truncatedAlerts")))
    return read_each("alerts", map(_known, alerts), lambda alert: _read(alert, group))


def _known(alert: object) -> object:
    """Leave out of an alert what nobody reads, so that what says the same is the same."""
    if not isinstance(alert, dict):
        return alert
    known = {each: alert[each] for each in _FIELDS if each in alert}
    if known.get("status"):
        known["status"] = _OVER if known["status"] == _OVER else "firing"
    return known


def _read(alert: object, group: _Group) -> InboundRequest:
    if not isinstance(alert, dict):
        raise refusal("", "it is not an alert", _REMEDY)
    labels = table(alert.get("labels"))
    title, body = _said(notes) if (notes := table(alert.get("annotations"))) else (None, ())
    said = incident(
        NAME,
        key=say(alert.get("fingerprint")) or digest(_canonical(labels)),
        title=title or _named(labels),
        body=body if group.left_out is None else (*body, group.left_out),
        severity=labels.get("severity"),
        source=group.source,
        urls=[alert[each] for each in _LINKS if each in alert] + group.links,
        labels=None if alert.get("labels") is None else labels,
        occurred_at=alert.get("startsAt"),
    )
    is_over = (alert.get("status") or group.status) == _OVER
    return InboundRequest(action=Action.RESOLVE if is_over else Action.NOTIFY, incident=said, labels=labels_of(said, labels))


def _said(notes: Mapping[str, object]) -> tuple[str | None, tuple[str | None, ...]]:
    """Find a title, None if there is none, and the paragraphs that the annotations make."""
    others = {each: value for each, value in notes.items() if each not in (*_TITLES, *_BODIES)}
    return _first(notes, _TITLES), (_first(notes, _BODIES), lines(others) if others else None)


def _named(labels: Mapping[str, object]) -> str:
    """Make a title of what an alert is called, and where it is."""
    name = say(labels.get("alertname"))
    place = say(labels.get("instance")) if name else ""
    return f"{name} on {place}" if place else name


def _canonical(labels: Mapping[str, object]) -> str:
    """Write labels as JSON in the order of their names; by hand where they are plain, which takes a third of the time."""
    pairs = []
    for name, value in sorted(labels.items()):
        if type(value) is str:
            pairs.append(f"{_quote(name)}: {_quote(value)}")
        elif type(value) is int:
            pairs.append(f"{_quote(name)}: {value}")
        else:
            return _encode(labels)
    return f"{{{', '.join(pairs)}}}"


def _first(notes: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    """Find the first annotation that says something; empty if all of them are empty, None if there is none."""
    texts = [say(notes[name]).strip() for name in names if notes.get(name) is not None]
    return next(filter(None, texts), "" if texts else None)


def _left_out(count: object) -> str | None:
    is_some = isinstance(count, int) and count > 0
    return f"({count} more alerts of its group were left out: max_alerts is set.)" if is_some else None
