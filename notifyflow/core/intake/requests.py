"""Reads incident files and API requests (JSON).

A submission is read as far as possible; its faults are reported with those that ``validation`` finds in the rest.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Incident, Recipient, Step
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.faults import Faults
from notifyflow.core.forms import DURATION, FLAG, MAX_KEY, TEXT, Codec, Node, UnreadableValue, codec_of, length_faults, record
from notifyflow.core.intake.documents import INCIDENT_FIELDS, RECIPIENTS, STEPS, parsed
from notifyflow.errors import Fault, InvalidIncident, InvalidRequest

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A request to notify.

    Attributes:
        then: The steps that page further people while nobody acknowledges.
        over_after: The time of the last step; None for the default.
        policy: The policy, by name or as a value.
        strict: Whether a fault of one recipient refuses the whole request.
        unread: Faults found while reading it; any of them refuses the request.
    """

    incident: Incident
    recipients: tuple[Recipient, ...] = ()
    then: tuple[Step, ...] = ()
    over_after: timedelta | None = None
    policy: str | Policy = "default"
    strict: bool = False
    unread: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A request to acknowledge or resolve an incident.

    Attributes:
        by: The person; empty for the holder of the API key.
    """

    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAgain(Act):
    """A request to page a recipient again, by the recipient's id."""

    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyChange(Act):
    """A temporary change of a schedule's duty.

    Attributes:
        people: The people to be on duty, by recipient id.
        instead_of: The one person whose duty they take; empty for the whole duty.
        begins_at: None means now.
        with_open: Whether they are paged for open incidents, too.
    """

    people: tuple[str, ...]
    instead_of: str = ""
    begins_at: datetime | None = None
    ends_at: datetime
    with_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSilence(Act):
    """A request to silence incidents.

    Attributes:
        match: The matchers, as the command line takes them.
        duration: For how long.
        reason: Why.
        begins_at: None means now.
        namespaces: The namespaces on whose incidents it acts; empty for all that the API key reaches.
    """

    match: tuple[str, ...]
    duration: timedelta
    reason: str
    begins_at: datetime | None = None
    namespaces: tuple[str, ...] = ()


_WHOM: Mapping[str, Codec[Any]] = {"recipients": RECIPIENTS, "then": STEPS, "over_after": DURATION}
OPTIONS: Mapping[str, Codec[Any]] = {**_WHOM, "policy": TEXT, "strict": FLAG}


def _submission(**values: Any) -> Submission:
    options = {name: values.pop(name) for name in OPTIONS if name in values}
    return Submission(incident=Incident(**values), **options)


_INCIDENT_FILE = record(_submission, {**INCIDENT_FIELDS, **_WHOM}, placeholders={"key": "", "title": ""})
_SUBMISSION = record(_submission, {**INCIDENT_FIELDS, **OPTIONS}, placeholders={"key": "", "title": ""})
_ACT: Codec[Act] = codec_of(Act)
_PAGE_AGAIN: Codec[PageAgain] = codec_of(PageAgain)
_DUTY_CHANGE: Codec[DutyChange] = codec_of(DutyChange)
_NEW_SILENCE: Codec[NewSilence] = codec_of(NewSilence)


def read_incident(document: str) -> Submission:
    """Read an incident file: the incident's fields, and optionally ``recipients`` and the later steps in ``then``.

    Raises:
        UnreadableIncident: When it is not valid JSON.
        InvalidIncident: When it is not a table.
    """
    return _read(_INCIDENT_FILE, document)


def read_submission(document: str, *, most_recipients: int | None = None) -> Submission:
    """Read an incident file that may also have ``policy`` and ``strict``.

    Raises:
        UnreadableIncident: When it is not valid JSON.
        InvalidIncident: When it is not a table, or names more than ``most_recipients``, which are then not read.
    """
    return _read(_SUBMISSION, document, most_recipients)


def add_recipients(submission: Submission, document: str) -> Submission:
    """Read a JSON list of further recipients, numbered after those of the submission.

    Raises:
        UnreadableIncident: When it is not valid JSON.
    """
    faults = Faults()
    recipients = submission.recipients
    with suppress(UnreadableValue):
        recipients += RECIPIENTS.read(Node("recipients", parsed(document), faults, first=len(recipients)))
    return replace(submission, recipients=recipients, unread=(*submission.unread, *faults))


def _read(codec: Codec[Submission], document: str, most_recipients: int | None = None) -> Submission:
    faults = Faults()
    content = parsed(document)
    count = _count(content) if isinstance(content, dict) else 0
    if most_recipients is not None and count > most_recipients:
        what = f"there are {count:,}, {most_recipients:,} are allowed in one request"
        raise InvalidIncident((Fault("recipients", what, "Send the others in further requests, under the same key"),))
    with suppress(UnreadableValue):
        submission = codec.read(Node("", content, faults))
        return replace(submission, unread=tuple(faults))
    raise InvalidIncident(faults)


def _count(content: Mapping[str, object]) -> int:
    """Count the recipients of a submission, also those of its later steps."""
    then = content.get("then")
    steps = [each["to"] for each in then if isinstance(each, dict) and "to" in each] if isinstance(then, list) else []
    return sum(len(each) for each in (content.get("recipients"), *steps) if isinstance(each, list))


def read_act(document: str) -> Act:
    """Read a request to acknowledge or resolve; an empty document is allowed.

    Raises:
        UnreadableIncident: When it is not valid JSON.
        InvalidRequest: With all its faults.
    """
    return _act(_ACT, document or "{}")


def read_page_again(document: str) -> PageAgain:
    """Read a request to page again.

    Raises:
        UnreadableIncident: When it is not valid JSON.
        InvalidRequest: With all its faults.
    """
    return _act(_PAGE_AGAIN, document)


def read_duty_change(document: str) -> DutyChange:
    """Read a request to change the duty of a schedule.

    Raises:
        UnreadableIncident: When it is not valid JSON.
        InvalidRequest: With all its faults.
    """
    change = _act(_DUTY_CHANGE, document)
    _insist_on_offsets(begins_at=change.begins_at, ends_at=change.ends_at)
    return change


def read_new_silence(document: str) -> NewSilence:
    """Read a request to silence incidents.

    Raises:
        UnreadableIncident: When it is not valid JSON.
        InvalidRequest: With all its faults.
    """
    silence = _act(_NEW_SILENCE, document)
    _insist_on_offsets(begins_at=silence.begins_at)
    return silence


def _insist_on_offsets(**instants: datetime | None) -> None:
    faults = tuple(
        Fault(name, "it has no offset from UTC", "Add one, as in 2026-11-25T03:14:00+01:00")
        for name, at in instants.items()
        if at is not None and at.tzinfo is None
    )
    if faults:
        raise InvalidRequest(faults)


def _act(codec: Codec[T], document: str) -> T:
    faults = Faults()
    with suppress(UnreadableValue):
        act = codec.read(Node("", parsed(document), faults))
        faults.add_all(length_faults("by", getattr(act, "by", ""), MAX_KEY, "Shorten it"))
    if faults:
        raise InvalidRequest(faults)
    return act
