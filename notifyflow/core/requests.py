"""What the API is asked to do, as documents: JSON in, values out, with everything that is wrong with them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from notifyflow.core.documents import INCIDENT_FIELDS, RECIPIENTS, add_new, parsed
from notifyflow.core.forms import FLAG, TEXT, Codec, Node, Refused, record
from notifyflow.core.intake import MAX_KEY, judge_incident, length_faults
from notifyflow.core.model import Incident, Recipient
from notifyflow.errors import Fault, InvalidIncident, InvalidRequest

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An incident to be taken.

    Attributes:
        incident: What happened.
        recipients: Who has to be told.
        policy: How, by name.
        strict: Whether a fault of one recipient refuses the whole.
    """

    incident: Incident
    recipients: tuple[Recipient, ...] = ()
    policy: str = "default"
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that somebody does with an incident.

    Attributes:
        by: Who does it; empty for whoever holds the API key.
    """

    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Act):
    """Somebody is to be paged again.

    Attributes:
        recipient: Who.
    """

    recipient: str


OPTIONS: Mapping[str, Codec[Any]] = {"recipients": RECIPIENTS, "policy": TEXT, "strict": FLAG}


def _submission(**values: Any) -> Submission:
    options = {name: values.pop(name) for name in OPTIONS if name in values}
    return Submission(incident=Incident(**values), **options)


_SUBMISSION = record(_submission, {**INCIDENT_FIELDS, **OPTIONS}, stand_ins={"key": "", "title": ""})
_ACT = record(Act, {"by": TEXT}, stand_ins={})
_PAGE = record(Page, {"recipient": TEXT, "by": TEXT}, stand_ins={"recipient": ""})


def read_submission(document: str) -> Submission:
    """Read an incident file that may also name a policy and say ``strict``.

    Raises:
        UnreadableIncident: When it is no JSON.
        InvalidIncident: With everything that is wrong with its form; addresses are judged by ``intake``.
    """
    faults: list[Fault] = []
    with suppress(Refused):
        submission = _SUBMISSION.read(Node("", parsed(document), faults))
        add_new(faults, judge_incident(submission.incident))
    if faults:
        raise InvalidIncident(tuple(faults))
    return submission


def read_act(document: str) -> Act:
    """Read who acknowledges or resolves; nothing at all is the holder of the API key.

    Raises:
        UnreadableIncident: When it is no JSON.
        InvalidRequest: With everything that is wrong with it.
    """
    return _act(_ACT, document or "{}")


def read_page(document: str) -> Page:
    """Read who is to be paged again.

    Raises:
        UnreadableIncident: When it is no JSON.
        InvalidRequest: With everything that is wrong with it.
    """
    return _act(_PAGE, document)


def _act(codec: Codec[T], document: str) -> T:
    faults: list[Fault] = []
    with suppress(Refused):
        act = codec.read(Node("", parsed(document), faults))
        faults += length_faults("by", getattr(act, "by", ""), MAX_KEY, "Shorten it")
    if faults:
        raise InvalidRequest(tuple(faults))
    return act
