"""Prometheus Alertmanager's webhook, version 4; Grafana's has the same shape and more fields.

Source: Prometheus documentation, "Configuration", section ``<webhook_config>``, and ``notify/webhook/webhook.go`` of Alertmanager
0.28; it repeats a request that is answered with 5xx, and gives one up that is answered with 4xx. Grafana documentation,
"Configure the webhook notifier for Alerting".
"""

import json
from collections.abc import Mapping

from notifyflow.core.intake.integrations.inbound import (
    Action,
    Asked,
    digest,
    incident,
    labels_of,
    lines,
    read_each,
    refusal,
    say,
    table,
)
from notifyflow.errors import Fault

DOOR = "alertmanager"

_TITLES = ("summary", "title", "message")
_BODIES = ("description",)
_LINKS = ("panelURL", "dashboardURL", "generatorURL")
_FIELDS = ("fingerprint", "status", "labels", "annotations", "startsAt", *_LINKS)
_encode = json.JSONEncoder(sort_keys=True).encode
_OVER = "resolved"
_REMEDY = "Send what Alertmanager's webhook sends, version 4"


def read(document: object) -> tuple[tuple[Asked, ...], tuple[Fault, ...]]:
    """Read a group of alerts: each is an incident of its own, known by its fingerprint.

    Args:
        document: What was sent, as JSON was loaded.

    Returns:
        What is asked, and what in the group is no alert.

    Raises:
        UnreadableIncident: When it is no group, or there is no alert in it.
    """
    group = table(document)
    alerts = group.get("alerts")
    if not isinstance(alerts, list) or not alerts:
        raise refusal("alerts", "there are none", _REMEDY)
    return read_each("alerts", map(_known, alerts), lambda alert: _read(alert, group))


def _known(alert: object) -> object:
    """Leave out of an alert what nobody reads, so that what says the same is the same."""
    if not isinstance(alert, dict):
        return alert
    known = {each: alert[each] for each in _FIELDS if each in alert}
    if known.get("status"):
        known["status"] = _OVER if known["status"] == _OVER else "firing"
    return known


def _read(alert: object, group: Mapping[str, object]) -> Asked:
    if not isinstance(alert, dict):
        raise refusal("", "it is no alert", _REMEDY)
    labels, notes = table(alert.get("labels")), table(alert.get("annotations"))
    name = say(labels.get("alertname"))
    place = say(labels.get("instance"))
    others = {each: value for each, value in notes.items() if each not in (*_TITLES, *_BODIES)}
    said = incident(
        DOOR,
        key=say(alert.get("fingerprint")) or digest(_encode(labels)),
        title=_first(notes, _TITLES) or (f"{name} on {place}" if name and place else name),
        body=(_first(notes, _BODIES), lines(others) if others else None, _left_out(group.get("truncatedAlerts"))),
        severity=labels.get("severity"),
        source=group.get("externalURL"),
        urls=[alert.get(each) for each in _LINKS] + [group.get("externalURL")],
        labels=None if alert.get("labels") is None else labels,
        occurred_at=alert.get("startsAt"),
    )
    is_over = (alert.get("status") or group.get("status")) == _OVER
    return Asked(action=Action.RESOLVE if is_over else Action.NOTIFY, incident=said, labels=labels_of(said, labels))


def _first(notes: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    """Find the first annotation that says something; empty where all that are given are, None where none is given."""
    given = [say(notes[name]).strip() for name in names if notes.get(name) is not None]
    return next(filter(None, given), "" if given else None)


def _left_out(count: object) -> str | None:
    is_some = isinstance(count, int) and count > 0
    return f"({count} more alerts of its group were left out: max_alerts is set.)" if is_some else None
