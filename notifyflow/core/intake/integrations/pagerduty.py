"""PagerDuty's Events API v2, for senders that use it.

Source: PagerDuty developer documentation, "Events API v2 Overview" (responses, 512 KB) and "Send an Alert Event" (fields,
actions, what a missing ``dedup_key`` means).
"""

from collections.abc import Mapping

from notifyflow.core.delivery.model import Incident, Via
from notifyflow.core.intake.integrations.inbound import (
    Action,
    InboundRequest,
    clean,
    incident,
    labels_of,
    lines,
    refusal,
    say,
    table,
    web_addresses,
)

NAME = Via.PAGERDUTY
BODY_LIMIT_BYTES = 512 * 1024

_FACTS = ("source", "component", "group", "class", "severity")


def routing_key(document: object) -> str:
    """Return the routing key that identifies the sender; empty without one."""
    return say(table(document).get("routing_key"))


def read(document: object, *, new_key: str) -> tuple[InboundRequest, str]:
    """Read an event; return its request, and the dedup key for the response.

    A trigger without a dedup key gets the new one, and so always opens an incident.

    Raises:
        UnreadableIncident: When an unknown action has no payload, or an acknowledgement or resolution has no dedup key.
    """
    event = table(document)
    payload = table(event.get("payload"))
    dedup_key = say(event.get("dedup_key"))
    action = _action(event, payload)
    if action is not Action.NOTIFY and not dedup_key:
        raise refusal("dedup_key", "it is missing", "Send the dedup_key of the trigger")
    key = dedup_key or new_key
    labels = {name: payload[name] for name in _FACTS if payload.get(name) is not None}
    if event.get("client"):
        labels["client"] = event["client"]
    made = _incident(event, payload, key, labels)
    return InboundRequest(action=action, incident=made, labels={**clean(_more_labels(payload)), **labels_of(made, labels)}), key


def _more_labels(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Return the short values of the details: some senders put their labels only there."""
    details = table(payload.get("custom_details"))
    return {name: value for name, value in details.items() if isinstance(value, str | int | float)}


def _action(event: Mapping[str, object], payload: Mapping[str, object]) -> Action:
    """Return the action; an unknown action with a payload is a trigger, so that someone is paged."""
    match event.get("event_action"):
        case "acknowledge":
            return Action.ACKNOWLEDGE
        case "resolve":
            return Action.RESOLVE
        case "trigger":
            return Action.NOTIFY
        case _ if payload:
            return Action.NOTIFY
        case _:
            raise refusal("event_action", "it is missing or unknown", "Send trigger, acknowledge or resolve")


def _incident(event: Mapping[str, object], payload: Mapping[str, object], key: str, labels: Mapping[str, object]) -> Incident:
    details = payload.get("custom_details")
    listed = event.get("links")
    hrefs = [table(link).get("href") for link in listed] if isinstance(listed, list) else []
    links = web_addresses(_links(listed) | dict(table(details)), labels)
    return incident(
        NAME,
        key=key,
        title=payload.get("summary"),
        body=(
            _details(details, links),
            "\n".join(say(href) for href in hrefs if href not in links.values()) if isinstance(listed, list) else None,
        ),
        severity=payload.get("severity"),
        source=payload.get("source"),
        urls=(event.get("client_url"), *hrefs),
        labels=labels or None,
        links=links,
        occurred_at=payload.get("timestamp"),
    )


def _links(listed: object) -> dict[str, object]:
    links = [table(link) for link in listed] if isinstance(listed, list) else []
    return {say(link.get("text")) or "link": link.get("href") for link in reversed(links)}


def _details(details: object, links: Mapping[str, object]) -> str | None:
    if details is None:
        return None
    return (
        lines({name: value for name, value in details.items() if name not in links})
        if isinstance(details, dict)
        else say(details)
    )
