"""The JSON schemas of requests, as the API publishes them: made from the values that ``requests`` reads the bodies into.

The types, and the fields that may be left out, are those of the values. Only the words and the limits are here.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import datetime, timedelta
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from notifyflow.core.delivery.chain import MOST_STEPS
from notifyflow.core.delivery.model import Incident, Recipient, Step
from notifyflow.core.forms import MAX_KEY
from notifyflow.core.intake.requests import Act, DutyChange, NewSilence, PageAgain, Submission
from notifyflow.core.intake.validation import MAX_BODY, MAX_LABELS, MAX_NAME, MAX_TITLE, MAX_URL
from notifyflow.core.limits.silences import LONGEST_REASON, MOST_PATTERNS

Schema = dict[str, Any]

REF = "#/components/schemas/{name}"
"""How a document refers to the schema of a name."""

NEW_INCIDENT = "NewIncident"
ACT = "ActRequest"
PAGE_AGAIN = "PageAgainRequest"
DUTY_CHANGE = "DutyChangeRequest"
NEW_SILENCE = "NewSilenceRequest"


@dataclass(frozen=True, slots=True)
class _Words:
    """The description of a field.

    Attributes:
        most: The largest length of a text, or number of entries; None for no limit.
        may_be_empty: Whether a text or list may be; one that may not cannot be left out, either.
    """

    description: str
    most: int | None = None
    may_be_empty: bool = True


_BY = {"by": _Words("A recipient's id or any other name; by default the API key's name.", MAX_KEY)}
_WORDS: Mapping[type, Mapping[str, _Words]] = {
    Incident: {
        "key": _Words("The dedup key; it names one unresolved incident of the API key's namespace.", MAX_KEY, may_be_empty=False),
        "title": _Words("One line.", MAX_TITLE, may_be_empty=False),
        "body": _Words("More lines, plain text; if left out, a repeated key keeps what is stored.", MAX_BODY),
        "severity": _Words("By default ERROR."),
        "source": _Words("What reported it; if left out, what is stored is kept.", MAX_NAME),
        "url": _Words("A link, http or https; what is stored is kept if left out, removed if empty.", MAX_URL),
        "labels": _Words("Replaced as a whole; if left out, what is stored is kept.", MAX_LABELS),
        "occurred_at": _Words("When it happened; by default now."),
    },
    Submission: {
        "recipients": _Words("Whom to notify; at least one must be reachable.", may_be_empty=False),
        "then": _Words("Who is paged next when nobody acknowledges, or every way to those before has failed.", MOST_STEPS),
        "over_after": _Words(
            "The time of the last step of `then`, after which operations is told, such as `30m`; by default 15m."
        ),
        "policy": _Words("The policy's name: `default`, `insistent`, or one of your own."),
        "strict": _Words("Whether a fault of one recipient refuses the whole request."),
    },
    Recipient: {
        "id": _Words("The recipient's id; opaque, and written to logs.", MAX_KEY, may_be_empty=False),
        "name": _Words("The name used in messages; by default the id."),
        "email": _Words("A mail address."),
        "phone": _Words("A number in international form; gives `sms` and `voice`."),
        "slack": _Words("An incoming webhook's URL, or a channel or user id for the bot."),
        "teams": _Words("A Workflows URL."),
        "push": _Words("An SNS platform endpoint's ARN."),
        "addresses": _Words("Addresses of further channels: channel to address."),
        "timezone": _Words("An IANA name; by default UTC."),
        "quiet": _Words("Quiet hours in that zone, such as `22:00-07:00`, in which only CRITICAL pages."),
        "channels": _Words(
            "Severity to the channels that page them one after another; for CRITICAL they page at the start as well."
        ),
    },
    Step: {
        "to": _Words(
            "Whom it pages: recipients, names of the directory (`@primary` is a schedule), or only `operations`.",
            may_be_empty=False,
        ),
        "after": _Words("How long after the step before it starts, such as `10m`; by default 15m."),
    },
    Act: _BY,
    PageAgain: {**_BY, "recipient": _Words("The recipient's id.")},
    DutyChange: {
        **_BY,
        "people": _Words("Who is to be on duty, by recipient id.", may_be_empty=False),
        "instead_of": _Words("The one person whose duty they take; by default, the whole duty."),
        "begins_at": _Words("From when on; by default, now."),
        "ends_at": _Words("Until when; at most a year later."),
        "with_open": _Words(
            "Whether they are paged for open incidents, too, whose chain has paged those on duty; by default not."
        ),
    },
    NewSilence: {
        **_BY,
        "match": _Words(
            "Matchers, all of which must match: `label=value` (`*` stands for any text), `key=value`, `severity<=ERROR`.",
            MOST_PATTERNS,
            may_be_empty=False,
        ),
        "duration": _Words("For how long, such as `2h`; at most 24h."),
        "reason": _Words("Why; shown with each silenced incident.", LONGEST_REASON, may_be_empty=False),
        "begins_at": _Words("From when on, within 30 days; by default, now."),
        "namespaces": _Words("On whose incidents it acts; by default, on all that the API key reaches."),
    },
}
_NAMES: Mapping[Any, str] = {Recipient: "NewRecipient", Step: "NewStep"}
_SIMPLE: Mapping[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    timedelta: {"type": "string"},
    datetime: {"format": "date-time", "type": "string"},
}
_UNITS = {"string": "Length", "array": "Items", "object": "Properties"}
_EXAMPLE = {
    "key": "db-1",
    "labels": {"team": "orders"},
    "recipients": [{"email": "ada@example.com", "id": "ada", "phone": "+15005550006"}],
    "severity": "CRITICAL",
    "title": "orders db is down",
    "url": "https://grafana.example/d/orders",
}
_SILENCED = {"duration": "2h", "match": ["team=orders", "severity<=ERROR"], "reason": "upgrade"}
_ON_DUTY = {"ends_at": "2026-12-24T18:00:00+01:00", "people": ["ada"]}


def request_schemas() -> dict[str, Schema]:
    """Return the schemas of all bodies and of their parts, by name."""
    incident = {**_properties(Incident), **_properties(Submission)}
    found = (
        _table(ACT, "Who acknowledges or resolves.", _properties(Act), {"by": "ada"}),
        _table(DUTY_CHANGE, "Who is on duty in a schedule for some time.", _properties(DutyChange), _ON_DUTY),
        _table(
            NEW_INCIDENT,
            "An incident to notify about: the fields of an incident file (`notifyflow send`), and how to deliver it.",
            incident,
            _EXAMPLE,
        ),
        _table(
            _NAMES[Recipient],
            "A recipient of an incident; an invalid address is reported as a fault, and everyone else is paged.\n\n"
            "A recipient whom the incident knows already keeps each address, `timezone`, `quiet` and `channels` that "
            "is left out; an empty\none is removed.",
            _properties(Recipient),
        ),
        _table(_NAMES[Step], "A step of a chain.", _properties(Step)),
        _table(NEW_SILENCE, "Which incidents page nobody for a while, and why.", _properties(NewSilence), _SILENCED),
        _table(PAGE_AGAIN, "Which recipient to page again.", _properties(PageAgain), {"recipient": "ada"}),
    )
    return {schema["title"]: schema for schema in found}


def _table(title: str, description: str, properties: Mapping[str, Schema], *examples: object) -> Schema:
    """Return the schema of a table with these fields and no others."""
    required = [name for name, schema in properties.items() if "default" not in schema]
    return {
        "additionalProperties": False,
        "description": description,
        **({"examples": list(examples)} if examples else {}),
        "properties": properties,
        **({"required": required} if required else {}),
        "title": title,
        "type": "object",
    }


def _properties(kind: Any) -> dict[str, Schema]:
    """Return the schemas of the fields of a dataclass."""
    hints, known = get_type_hints(kind), {each.name: each for each in fields(kind)}
    return {name: _property(known[name], hints[name], words) for name, words in _WORDS[kind].items()}


def _property(field: Field[Any], hint: Any, words: _Words) -> Schema:
    """Return the schema of a field; null is the same as leaving it out."""
    schema = _schema(hint)
    schema = schema | _limits(schema.get("type", ""), words)
    about = {"description": words.description, **({} if "$ref" in schema else {"title": field.name.replace("_", " ").title()})}
    if not words.may_be_empty or (field.default is MISSING and field.default_factory is MISSING):
        return dict(sorted({**schema, **about}.items()))
    return {"anyOf": [dict(sorted(schema.items())), {"type": "null"}], "default": None, **about}


def _limits(kind: str, words: _Words) -> Schema:
    unit = _UNITS.get(kind, "")
    return ({} if words.may_be_empty else {f"min{unit}": 1}) | ({} if words.most is None else {f"max{unit}": words.most})


def _schema(hint: Any) -> Schema:
    """Return the schema of a type, by the rules of ``forms.codec_of``."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        schema = _schema(arguments[0])
        return {"anyOf": [schema, _SIMPLE[str]]} if str in arguments[1:] else schema
    if origin is tuple:
        return {"items": _schema(arguments[0]), "type": "array"}
    if origin is Mapping:
        return {"additionalProperties": _schema(arguments[1]), "type": "object"}
    return {"$ref": REF.format(name=_NAMES.get(hint, hint.__name__))}
