"""A megabyte of everything: the bodies that an attacker would try, for every endpoint that takes one."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

SIZE = 1_000_000
KEY = "nf_attacker_key"
"""The placeholder for the attacker's API key in bodies that contain one."""

PROVIDERS = {
    "NOTIFYFLOW_PUBLIC_URL": "https://notify.example",
    "NOTIFYFLOW_SMTP_URL": "smtps://mail.example:465",
    "NOTIFYFLOW_MAIL_FROM": "notifyflow@example.com",
    "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC0",
    "NOTIFYFLOW_TWILIO_AUTH_TOKEN": "token",
    "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550006",
    "NOTIFYFLOW_TWILIO_VOICE_FROM": "+15005550006",
    "NOTIFYFLOW_SLACK_BOT_TOKEN": "xoxb-1",
    "NOTIFYFLOW_SLACK_SIGNING_SECRET": "secret",
    "NOTIFYFLOW_AWS_REGION": "eu-central-1",
    "NOTIFYFLOW_SNS_TOPICS": "arn:aws:sns:eu-central-1:123456789012:receipts",
}
_JSON = {"content-type": "application/json"}
_FORM = {"content-type": "application/x-www-form-urlencoded"}

Make = Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint that bodies are sent to.

    Attributes:
        path: The request's.
        headers: What every request to it says, beside the key.
        bodies: By name.
        stored: The names of those that open very many incidents.
    """

    path: str
    headers: Mapping[str, str]
    bodies: Mapping[str, Make]
    stored: frozenset[str] = field(default_factory=frozenset)


def filled(item: str, *, before: str = "[", between: str = ",", after: str = "]", size: int = SIZE, most: int = SIZE) -> Make:
    """Return a body that repeats one item; ``#`` stands for the item's number."""

    def make() -> bytes:
        parts, length = [], len(before) + len(after)
        while length < size and len(parts) < most:
            part = item.replace("#", str(len(parts)))
            length += len(part.encode("utf-8", "surrogatepass")) + len(between)
            parts.append(part)
        if length > size:
            parts.pop()
        return f"{before}{between.join(parts)}{after}".encode("utf-8", "surrogatepass")

    return make


def anything(size: int = SIZE, before: str = "", after: str = "") -> dict[str, Make]:
    """Return bodies of useless values; with a prefix and suffix each is the value of one field."""
    around = {"before": f"{before}[", "after": f"]{after}", "size": size}
    deep = (size - len(before) - len(after)) // 2
    inside = size - len(before) - len(after) - 2

    def wrapped(value: str) -> bytes:
        return f"{before}{value}{after}".encode()

    return {
        "zeros": filled("0", **around),  # type: ignore[arg-type]
        "empty objects": filled("{}", **around),  # type: ignore[arg-type]
        "empty lists": filled("[]", **around),  # type: ignore[arg-type]
        "numbers of 4,000 digits": filled("9" * 4_000, **around),  # type: ignore[arg-type]
        "floats": filled("1e308", **around),  # type: ignore[arg-type]
        "other strings": filled('"#"', **around),  # type: ignore[arg-type]
        "lists in lists": lambda: wrapped("[" * deep + "]" * deep),
        "objects in objects": lambda: wrapped('{"":' * (deep // 3) + "0" + "}" * (deep // 3)),
        "nesting as deep as can be read": filled("[" * 300 + "]" * 300, **around),  # type: ignore[arg-type]
        "one number": lambda: wrapped("9" * inside),
        "one string": lambda: wrapped(f'"{"x" * inside}"'),
        "one string of another script": lambda: wrapped(f'"{"漢" * (inside // 3)}"'),
        "one string of blanks": lambda: wrapped(f'"{" " * inside}"'),
        "one string of dots": lambda: wrapped(f'"{"." * inside}"'),
        "escapes": lambda: wrapped('"' + "\\u0000" * (inside // 6) + '"'),
        "halves of surrogates": lambda: wrapped('"' + "\\ud800" * (inside // 6) + '"'),
        "marks upon marks": lambda: wrapped('"a' + "\u0301" * (inside // 2 - 1) + '"'),
        "the same field": filled('"a":1', before=f"{before}{{", after=f"}}{after}", size=size),
        "other fields": filled('"#":1', before=f"{before}{{", after=f"}}{after}", size=size),
        "fields with long names": filled(f'"{"x" * 990}#":1', before=f"{before}{{", after=f"}}{after}", size=size),
    }


_OF_A_FIELD = (
    *("zeros", "nesting as deep as can be read", "one string of another script", "one string of dots"),
    *("escapes", "marks upon marks", "other fields"),
)


def any_value(size: int, before: str, after: str) -> dict[str, Make]:
    """Return the costliest values that one field can have."""
    made = anything(size, before, after)
    return {name: made[name] for name in _OF_A_FIELD}


def noise(size: int = SIZE) -> dict[str, Make]:
    """Return bodies that are not JSON."""
    return {
        "blanks": lambda: b" " * size,
        "zero bytes": lambda: b"\0" * size,
        "no UTF-8": lambda: b"\xff" * size,
        "an open string": lambda: b'"' + b"\\" * (size - 1),
        "a form of other fields": filled("#=1", before="", after="", between="&", size=size),
        "a form of one field": filled("a=1", before="", after="", between="&", size=size),
        "a form of nothing": lambda: b"&" * size,
        "a form of escapes": lambda: b"a=" + b"%ff" * ((size - 2) // 3),
        "a form of plus signs": lambda: b"a=" + b"+" * (size - 2),
        "parts": filled(
            '--b\r\nContent-Disposition: form-data; name="#"\r\n\r\n', before="", after="--b--", between="", size=size
        ),
    }


def _incident(**fields: object) -> tuple[str, str]:
    """Return the text of an incident before and after one field."""
    document = json.dumps(
        {"key": "k", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}], "strict": True, **fields}
    )
    before, _, after = document.partition('"#"')
    return before, after


def _incidents() -> dict[str, Make]:
    found = {}
    for name in ("key", "title", "body", "severity", "url", "labels", "occurred_at", "policy"):
        before, after = _incident(**{name: "#"})
        found |= {f"{name}: {what}": make for what, make in any_value(SIZE, before, after).items()}
    before, after = _incident(recipients="#")
    found |= {f"recipients: {what}": make for what, make in any_value(SIZE, before, after).items()}
    fields = ("id", "name", "email", "phone", "slack", "teams", "push", "timezone", "addresses")
    before, after = _incident(recipients=["#"], policy="nobody")
    found |= {
        f"5,000 recipients: {what}": filled(item, before=before, after=after, most=5_000)
        for what, item in {
            "numbers": '{"id":#}',
            "nothing but faults": "{" + ",".join(f'"{each}":#' for each in fields) + "}",
            "unknown fields": '{"id":"#",' + ",".join(f'"x{number}":1' for number in range(20)) + "}",
            "unknown channels": '{"id":"#","addresses":{' + ",".join(f'"x{number}":"1"' for number in range(14)) + "}}",
            "bad addresses": '{"id":"#","email":"a@#","phone":"#","slack":"#","teams":"#","push":"#","timezone":"#"}',
            "bad addresses of all kinds": '{"id":"#","email":"a@b..#","phone":"+1#","slack":"https://#","teams":"http://#","push":"arn:#"}',
            "good addresses": '{"id":"#","email":"a#@example.com","phone":"+49301234#","timezone":"Europe/Berlin"}',
            "good names in another script": '{"id":"#","email":"漢#@例え.テスト","timezone":"Asia/Tokyo"}',
            "the same id": '{"id":"x","email":"a#@example.com"}',
            "long ids": f'{{"id":"#{"x" * 180}"}}',
        }.items()
    }
    for name in ("id", "email", "phone", "slack", "timezone", "addresses"):
        before, after = _incident(recipients=[{"id": "ada", "email": "ada@example.com", name: "#"}])
        found |= {f"a recipient's {name}: {what}": make for what, make in any_value(SIZE, before, after).items()}
    return found


_ALERTS = {"before": '{"alerts":[', "after": "]}"}
_MANY_ALERTS: Mapping[str, Make] = {
    "alerts with a fingerprint": filled('{"fingerprint":"#"}', **_ALERTS),  # type: ignore[arg-type]
    "alerts with a label": filled('{"labels":{"a":#}}', **_ALERTS),  # type: ignore[arg-type]
    "alerts with a summary": filled('{"annotations":{"summary":"#"}}', **_ALERTS),  # type: ignore[arg-type]
    "alerts with everything": filled(
        '{"fingerprint":"#","status":"firing","labels":{"alertname":"A","instance":"#","severity":"critical"},'
        '"annotations":{"summary":"s #","description":"d\\n#"},"startsAt":"2026-11-25T03:14:00Z","generatorURL":"https://g.example/#"}',
        **_ALERTS,  # type: ignore[arg-type]
    ),
    "alerts in another script": filled('{"fingerprint":"漢#","labels":{"字":"#"}}', **_ALERTS),  # type: ignore[arg-type]
}


def _alertmanager() -> dict[str, Make]:
    found = {f"alerts: {what}": make for what, make in any_value(SIZE, '{"alerts":', "}").items()}
    for name in ("fingerprint", "status", "labels", "annotations", "startsAt", "generatorURL"):
        found |= {f"{name}: {what}": make for what, make in any_value(SIZE, f'{{"alerts":[{{"{name}":', "}]}").items()}
    return {**found, **_MANY_ALERTS}


_MANY_EVENTS: Mapping[str, Make] = {
    "events": filled('{"id":"#","source":"s","type":"t"}'),
    "events with data": filled('{"id":"#","source":"s","type":"t","data":{"title":"#","labels":{"a":"#"},"x":#}}'),
}


def _cloudevents() -> dict[str, Make]:
    found = {}
    for name in ("source", "subject", "time", "data", "data_base64", "x"):
        before = f'{{"id":"1","source":"s","type":"t","{name}":'
        found |= {f"{name}: {what}": make for what, make in any_value(SIZE, before, "}").items()}
    for name in ("title", "labels", "x"):
        before = f'{{"id":"1","source":"s","type":"t","data":{{"{name}":'
        found |= {f"data's {name}: {what}": make for what, make in any_value(SIZE, before, "}}").items()}
    return {**found, "events without a type": filled('{"id":"#","source":"s"}'), **_MANY_EVENTS}


def _pagerduty(size: int) -> dict[str, Make]:
    found = {}
    for name in ("dedup_key", "client", "client_url", "links"):
        before = f'{{"routing_key":"{KEY}","event_action":"trigger","dedup_key":"d","payload":{{"summary":"s"}},"{name}":'
        found |= {f"{name}: {what}": make for what, make in any_value(size, before, "}").items()}
    for name in ("summary", "timestamp", "custom_details"):
        before = f'{{"routing_key":"{KEY}","event_action":"trigger","dedup_key":"d","payload":{{"{name}":'
        found |= {f"payload's {name}: {what}": make for what, make in any_value(size, before, "}}").items()}
    links = filled(
        '{"href":"https://#","text":"#"}', before=f'{{"routing_key":"{KEY}","payload":{{"a":1}},"links":[', after="]}", size=size
    )
    return {**found, "links": links}


def _both(size: int) -> dict[str, Make]:
    """Return bodies of a megabyte, which are refused for their length, and the largest accepted ones."""
    whole = {**anything(), **noise()}
    refused = {what: whole[what] for what in ("zeros", "one string", "zero bytes")}  # by their length
    return refused | {f"{what}, {size:,} bytes": make for what, make in {**anything(size), **noise(size)}.items()}


_PAGERDUTY = 512 * 1024 - 200  # where the key that stands in it is longer than its stand-in

ENDPOINTS = (
    Endpoint(path="/v1/incidents", headers=_JSON, bodies={**anything(), **noise(), **_incidents()}),
    Endpoint(
        path="/v1/alertmanager",
        headers=_JSON,
        bodies={**anything(), **noise(), **_alertmanager()},
        stored=frozenset(_MANY_ALERTS),
    ),
    Endpoint(
        path="/v1/cloudevents", headers=_JSON, bodies={**anything(), **noise(), **_cloudevents()}, stored=frozenset(_MANY_EVENTS)
    ),
    Endpoint(
        path="/v1/cloudevents?binary",
        headers={"ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-specversion": "1.0"},
        bodies={**anything(), **noise()},
    ),
    Endpoint(path="/v2/enqueue", headers=_JSON, bodies={**_both(_PAGERDUTY), **_pagerduty(_PAGERDUTY)}),
    *(
        Endpoint(path=f"/v1/incidents/none/{act}", headers=_JSON, bodies=_both(16 * 1024))
        for act in ("acknowledge", "page-again")
    ),
    Endpoint(path="/callbacks/twilio/sms/none", headers=_FORM, bodies=_both(64 * 1024)),
    Endpoint(path="/callbacks/twilio/voice/none/key", headers={**_FORM, "x-twilio-signature": "x"}, bodies=_both(64 * 1024)),
    Endpoint(path="/callbacks/twilio/sms", headers={**_FORM, "x-twilio-signature": "x"}, bodies=_both(64 * 1024)),
    Endpoint(path="/callbacks/slack/actions", headers={**_FORM, "x-slack-signature": "v0=x"}, bodies=_both(64 * 1024)),
    Endpoint(path="/callbacks/sns", headers={"content-type": "text/plain"}, bodies=_both(512 * 1024)),
    Endpoint(path="/a/none", headers=_FORM, bodies=_both(64 * 1024)),
)
