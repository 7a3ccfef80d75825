"""Reads policies (TOML) and incidents (JSON), and writes policies and other values as JSON.

``policy_validation`` and ``validation`` check the values, so that files and Python values are checked alike.
"""

import gc
import json
import tomllib
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import cache, partial
from typing import Any, TypeVar

from notifyflow.core.delivery.model import Incident, Recipient, Step
from notifyflow.core.delivery.policy import Failed, OpeningRule, Policy, Unacknowledged
from notifyflow.core.faults import Faults
from notifyflow.core.forms import (
    DURATION,
    WHOLE,
    Codec,
    Node,
    UnreadableValue,
    add_new,
    codec_of,
    codecs_of,
    listed,
    record,
    unknown,
)
from notifyflow.core.intake.policy_validation import validate_policy
from notifyflow.errors import Fault, InvalidIncident, InvalidPolicy, UnreadableIncident

T = TypeVar("T")

_RULES: Mapping[str, tuple[Codec[Any], Callable[[Any], OpeningRule]]] = {
    "failed": (WHOLE, lambda at_least: Failed(at_least=at_least)),
    "unacknowledged_after": (DURATION, lambda after: Unacknowledged(after=after)),
}


def _read_rule(node: Node) -> OpeningRule:
    fields = node.fields()
    for name in fields:
        if name not in _RULES:
            node.faults.add(unknown(node.where, "rule", name, list(_RULES)))
            raise UnreadableValue
    if len(fields) != 1:
        raise node.refuse("has to be one rule", "Put each in its own braces")
    ((name, value),) = fields.items()
    codec, make = _RULES[name]
    return make(codec.read(node.field(name, value)))


def _write_rule(rule: OpeningRule) -> dict[str, object]:
    if isinstance(rule, Failed):
        return {"failed": rule.at_least}
    return {"unacknowledged_after": DURATION.write(rule.after)}


_POLICY_FIELDS = codecs_of(Policy, {OpeningRule: Codec(_read_rule, _write_rule)}, without="name")


def _policy(name: str) -> Codec[Policy]:
    return record(partial(Policy, name=name), _POLICY_FIELDS, placeholders={"tiers": ()})


def read_policies(document: str, channels: Collection[str] | None = None) -> dict[str, Policy]:
    """Read a TOML file of policies: one table each, named by its header; ``channels`` is None if they are not known yet.

    Raises:
        InvalidPolicy: With all faults.
    """
    try:
        tables = tomllib.loads(document)
    except (ValueError, RecursionError) as wrong:
        raise InvalidPolicy((unreadable("TOML", wrong),)) from None
    return _policies(tables, lambda policy: validate_policy(policy, channels))


def dump_policy(policy: Policy) -> str:
    """Write a policy as JSON with every value, so that later defaults do not change it."""
    return json.dumps({policy.name: _policy(policy.name).write(policy)}, separators=(",", ":"))


def load_policy(document: str) -> Policy:
    """Read a policy that ``dump_policy`` wrote; it equals the one written.

    Raises:
        InvalidPolicy: When the document is something else.
    """
    try:
        tables = json.loads(document)
    except (ValueError, RecursionError) as wrong:
        raise InvalidPolicy((unreadable("JSON", wrong),)) from None
    if not isinstance(tables, dict) or len(tables) != 1:
        raise InvalidPolicy((Fault("document", "it is not one policy by its name", "Restore it as it was written"),))
    (policy,) = _policies(tables, lambda _: ()).values()
    return policy


def _policies(tables: Mapping[str, object], find: Callable[[Policy], tuple[Fault, ...]]) -> dict[str, Policy]:
    faults = Faults(most=None)  # the operator's own file: all its faults are named
    policies: dict[str, Policy] = {}
    for name, table in tables.items():
        with suppress(UnreadableValue):
            policies[name] = _policy(name).read(Node(name, table, faults))
    add_new(faults, (fault for policy in policies.values() for fault in find(policy)))
    if faults:
        raise InvalidPolicy(faults)
    return policies


def unreadable(language: str, wrong: Exception) -> Fault:
    """Return the fault of a document that cannot be parsed."""
    reason = str(wrong).rstrip(".") if isinstance(wrong, ValueError) else "it is nested too deeply"
    return Fault("document", f"it is not valid {language}: {reason}", f"Correct the {language} there")


INCIDENT_FIELDS = codecs_of(Incident)
RECIPIENT_FIELDS = codecs_of(Recipient, without="id")
RECIPIENT: Codec[Recipient] = codec_of(Recipient)
RECIPIENTS = listed(RECIPIENT, placeholder=Recipient(id=""))
STEPS = listed(codec_of(Step), placeholder=Step(to=()))

_codec: Callable[[Any], Codec[Any]] = cache(codec_of)


def read_recipients(document: str) -> list[Recipient]:
    """Read a file of recipients: JSON, a list.

    Raises:
        InvalidIncident: With all faults of its form.
    """
    faults = Faults()
    recipients: tuple[Recipient, ...] = ()
    with suppress(UnreadableValue):
        recipients = RECIPIENTS.read(Node("recipients", parsed(document), faults))
    if faults:
        raise InvalidIncident(faults)
    return list(recipients)


def dump(value: object) -> str:
    """Write a dataclass value as JSON."""
    return json.dumps(_codec(type(value)).write(value), separators=(",", ":"))


def load(kind: type[T], document: str) -> T:
    """Read a value that ``dump`` wrote; it equals the one written.

    Raises:
        ValueError: When the document is something else.
    """
    faults = Faults()
    with suppress(UnreadableValue):
        value: T = _codec(kind).read(Node("", json.loads(document), faults))
        if not faults:
            return value
    raise ValueError(f"the document is not of the type {kind.__name__}")


def parsed(document: str | bytes) -> object:
    """Parse the JSON document of an incident.

    Raises:
        UnreadableIncident: When it is not valid JSON.
    """
    is_collecting = gc.isenabled()
    gc.disable()  # JSON has no cycles, and collecting would scan a million values again and again
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as wrong:
        raise UnreadableIncident((unreadable("JSON", wrong),)) from None
    finally:
        if is_collecting:
            gc.enable()
