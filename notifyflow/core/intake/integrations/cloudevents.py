"""CloudEvents over HTTP: structured, batched and binary.

Source: "CloudEvents - Version 1.0.2" (attributes), "JSON Event Format for CloudEvents - Version 1.0.2" (sections 2 and 4.3: null
is absent, a batch may be empty) and "HTTP Protocol Binding for CloudEvents - Version 1.0.2" (sections 3.1 to 3.3: modes, header
names, how header values are unescaped).
"""

import base64
import json
import re
from collections.abc import Mapping
from functools import cache
from urllib.parse import unquote

from notifyflow.core.delivery.model import Via
from notifyflow.core.intake.documents import parsed
from notifyflow.core.intake.integrations.inbound import (
    Action,
    InboundRequest,
    first,
    incident,
    labels_of,
    lines,
    read_each,
    refusal,
    say,
    table,
)
from notifyflow.errors import Fault, UnreadableIncident

NAME = Via.CLOUDEVENTS

_HEADER = "ce-"
_REQUIRED = ("id", "source", "type")
_NO_LABELS = frozenset(("id", "time", "specversion", "datacontenttype", "dataschema", "data", "data_base64"))
_MAPPED = frozenset(("title", "summary", "body", "description", "severity", "url", "labels"))
_ACTIONS: Mapping[str, Action] = {
    **dict.fromkeys(("resolve", "resolved"), Action.RESOLVE),
    **dict.fromkeys(("acknowledge", "acknowledged"), Action.ACKNOWLEDGE),
}


def read(headers: Mapping[str, str], body: bytes) -> tuple[tuple[InboundRequest, ...], tuple[Fault, ...]]:
    """Read one event, or a batch, which may be empty; items of the batch that are no events have faults.

    The names of the headers are in lower case.

    Raises:
        UnreadableIncident: When the body is neither, or no item of the batch is an event.
    """
    content_type = headers.get("content-type", "").lower()
    if not content_type.startswith("application/cloudevents") and "ce-id" in headers:
        return (_read(_binary(headers, content_type, body)),), ()
    document = parsed(body)
    return read_each("", document, _read) if isinstance(document, list) else ((_read(document),), ())


def _binary(headers: Mapping[str, str], content_type: str, body: bytes) -> Mapping[str, object]:
    event: dict[str, object] = {
        name.removeprefix(_HEADER): _unescape(name, value) for name, value in headers.items() if name.startswith(_HEADER)
    }
    return {**event, "data": _data(body, content_type)}


def _unescape(name: str, value: str) -> str:
    """Undo double quotes with their backslashes, then percent-encoding; the binding requires that invalid UTF-8 is rejected."""
    quoted = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', value)
    plain = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    try:
        return unquote(plain, errors="strict")
    except UnicodeDecodeError:
        raise refusal(name, "it is not valid UTF-8", "Percent-encode it as the HTTP binding says") from None


def _data(body: bytes, content_type: str) -> object:
    """Parse the data as JSON if its media type is JSON, or if it has none and is an object or a list; otherwise as text."""
    text = body.decode("utf-8", "replace")
    media_type = content_type.partition(";")[0].strip()
    if media_type and not media_type.endswith("json"):
        return text
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return text
    return value if media_type or isinstance(value, dict | list) else text


def _read(document: object) -> InboundRequest:
    envelope = table(document)
    # rendered as text only once: each of them may be as long as a body
    event = {**envelope, **{name: say(envelope[name]) for name in (*_REQUIRED, "subject") if envelope.get(name) is not None}}
    missing = tuple(name for name in _REQUIRED if not event.get(name))
    if missing:
        raise UnreadableIncident(_missing(missing))
    data = _decoded(event)
    fields = table(data)
    about = str(event.get("subject") or event["id"])
    others = {name: value for name, value in fields.items() if name not in _MAPPED}
    extensions = {name: value for name, value in event.items() if name not in _NO_LABELS and value is not None}
    labels = {**table(fields.get("labels")), **extensions}
    made = incident(
        NAME,
        key=f"{event['source']}/{about}",
        title=fields.get("title") or fields.get("summary") or f"{event['type']}: {about}",
        body=(first(fields, ("body", "description")), _rest(data, others)),
        severity=fields.get("severity") or event.get("severitytext") or event.get("severity"),
        source=event["source"],
        urls=(fields.get("url"), event["source"]),
        labels=labels,
        occurred_at=event.get("time"),
    )
    action = _ACTIONS.get(str(event["type"]).rpartition(".")[2].lower(), Action.NOTIFY)
    return InboundRequest(action=action, incident=made, labels=labels_of(made, labels))


@cache
def _missing(names: tuple[str, ...]) -> tuple[Fault, ...]:
    return tuple(Fault(name, "it is missing", "Send a CloudEvent with its id, source and type") for name in names)


def _rest(data: object, others: Mapping[str, object]) -> str | None:
    """Return the rest of the data as text; None without data, or if an object has no other fields."""
    if isinstance(data, dict):
        return lines(others) if others else None
    return None if data is None else say(data)


def _decoded(event: Mapping[str, object]) -> object:
    """Return the event's data, decoded if it is sent as base64."""
    encoded = event.get("data_base64")
    if not isinstance(encoded, str):
        return event.get("data")
    try:
        return _data(base64.b64decode(encoded), say(event.get("datacontenttype")) or "application/json")
    except ValueError:
        return encoded
