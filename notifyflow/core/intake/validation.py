"""Validates incidents, which are accepted or refused whole, and recipients: a faulty one never silences the others."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from zoneinfo import available_timezones

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.chain import Chain
from notifyflow.core.delivery.model import DETAILS, Contact, Incident, Recipient, Severity
from notifyflow.core.delivery.repeated_key import Given
from notifyflow.core.faults import Faults
from notifyflow.core.forms import add_new, either, id_faults, length_faults, unknown
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.limits.quiet import read_quiet
from notifyflow.core.messages import addresses as links
from notifyflow.core.messages.content import clean
from notifyflow.errors import Fault, InvalidIncident

T = TypeVar("T")

OPERATIONS_KEY = "notifyflow/operations"
"""The key of operations incidents; reserved."""

HEARTBEAT_KEYS = "heartbeat/"
"""Begins the keys of the incidents of watched jobs; reserved."""

MAX_NAME = 255
MAX_TITLE = 1_000
MAX_BODY = 65_536
MAX_URL = links.LONGEST
MAX_LABELS = 50
MAX_LABEL_NAME = 100
MAX_LABEL_VALUE = 1_000
_EMPTIABLE = ("email", "phone", "slack", "teams", "push", "timezone", "quiet")
_FIRST_YEAR, _LAST_YEAR = 1970, 9998

CheckAddress = Callable[[str, str], str]
"""Returns a channel's address, normalised; raises ValueError with its fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedIncident:
    """A validated incident with its recipients.

    Attributes:
        incident: The incident, without characters that a database or a channel cannot carry.
        contacts: The recipients in their order; one that cannot be reached has no addresses.
        faults: Faults of single recipients.
        chain: The chain of later steps, or None.
        is_routed: Whether the recipients come from a route, with complete contacts.
        given: The fields of each recipient's contact in the submission; empty if the contacts are complete.
    """

    incident: Incident
    contacts: tuple[Contact, ...]
    faults: tuple[Fault, ...]
    chain: Chain | None = None
    is_routed: bool = False
    given: tuple[Given, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedChain:
    """The result of validating a chain.

    Attributes:
        chain: The chain; None if there is none, or if it is malformed.
        refusals: Faults that refuse the whole submission.
        faults: Faults of single recipients.
    """

    chain: Chain | None = None
    refusals: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()


NO_CHAIN = CheckedChain()


def check_incident(
    incident: Incident,
    recipients: Sequence[Recipient],
    check: CheckAddress,
    channels: Collection[str],
    *,
    is_strict: bool = False,
    unread: Sequence[Fault] = (),
    most_faults: int | None = None,
    chain: CheckedChain = NO_CHAIN,
) -> CheckedIncident:
    """Validate the arguments of ``notify()``; return the incident and recipients to store, with the faults of single recipients.

    Faults that were found while reading the document (``unread``) refuse it. Of the faults of single recipients, the first
    ``most_faults`` are named and the others counted; None names all.

    Raises:
        InvalidIncident: With every fault, when the incident or its document is of bad form, when nothing can reach any
            recipient, or when ``is_strict`` and a recipient has a fault.
    """
    refusals = [*validate_incident(incident), *chain.refusals]
    contacts, faults = check_recipients(recipients, check, channels, most_faults=most_faults, may_be_empty=True)
    faults = (*faults, *chain.faults)
    if not any(contact.addresses for contact in contacts):
        what = "none of them has an address that anything can reach" if recipients else "there are none"
        refusals.append(Fault("recipients", what, f"Give at least one a good address for {either(sorted(channels))}"))
    if unread or refusals or (is_strict and faults):
        reported = Faults()
        reported.add_all(unread)
        add_new(reported, (*refusals, *faults))
        raise InvalidIncident(reported)
    given = _given(recipients, contacts)
    return CheckedIncident(incident=clean(incident), contacts=contacts, faults=faults, chain=chain.chain, given=given)


def listed(where: str, given: Any, kind: type[T]) -> tuple[T, ...]:
    """Return a caller's list; its items are validated later.

    Raises:
        InvalidIncident: When it is not a list, but a single value or a dict.
    """
    name = kind.__name__
    if isinstance(given, kind):
        raise InvalidIncident((Fault(where, f"it is one {name}, not a list", f"Put it in a list: [{name}(…)]"),))
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise InvalidIncident((Fault(where, f"it is {type(given).__name__}, not a list", f"Give a list: [{name}(…)]"),))
    return tuple(given)


def validate_incident(incident: Incident) -> tuple[Fault, ...]:
    """Return all faults of an incident's form."""
    return tuple(_type_faults("", incident, Incident)) or tuple(_incident_faults(incident))


def check_recipients(
    recipients: Sequence[Recipient],
    check: CheckAddress,
    channels: Collection[str],
    *,
    most_faults: int | None = None,
    may_be_empty: bool = False,
) -> tuple[tuple[Contact, ...], tuple[Fault, ...]]:
    """Return recipients as contacts, without unusable addresses, and their faults.

    Of a repeated id the first recipient counts. The first ``most_faults`` faults are named, the others counted; None names all.
    An empty text is a fault unless it ``may_be_empty``: in a submission it removes what is stored.
    """
    contacts: dict[str, Contact] = {}
    faults = Faults(most_faults)
    known = sorted(channels)
    for index, recipient in enumerate(recipients):
        where = f"recipients[{index}]"
        if wrong := tuple(_type_faults(f"{where}.", recipient, Recipient)):
            faults.add_all(wrong)
        elif recipient.id in contacts:
            faults.note(partial(_repeated, f"{where}.id", recipient.id))
        else:
            misnamed = tuple(id_faults(f"{where}.id", recipient.id))
            faults.add_all(misnamed)
            contact = _contact(where, _filled(recipient) if may_be_empty else recipient, check, known, faults)
            if not misnamed:
                contacts[recipient.id] = contact
    return tuple(contacts.values()), tuple(faults)


def _filled(recipient: Recipient) -> Recipient:
    """Return a recipient without the fields that it removes."""
    emptied: dict[str, Any] = {field: None for field in _EMPTIABLE if getattr(recipient, field) == ""}
    addresses = {channel: address for channel, address in recipient.addresses.items() if address}
    has_more = emptied or len(addresses) < len(recipient.addresses)
    return replace(recipient, addresses=addresses, **emptied) if has_more else recipient


def _given(recipients: Sequence[Recipient], contacts: Sequence[Contact]) -> tuple[Given, ...]:
    """Return the contact fields that some recipients give; faulty ones are left out."""
    first = {each.id: each for each in reversed(recipients) if isinstance(each, Recipient)}
    return tuple(_given_of(first[each.recipient_id], each) for each in contacts)


def _given_of(recipient: Recipient, contact: Contact) -> Given:
    fields = {
        "timezone": recipient.timezone == "" or is_time_zone(recipient.timezone or ""),
        "quiet": recipient.quiet == "" or contact.quiet is not None,
        "channels": recipient.channels == {} or contact.channels is not None,
    }
    emptied = tuple(channel for channel, address in recipient.ways.items() if address == "")
    return Given(recipient_id=recipient.id, fields=tuple(name for name, is_given in fields.items() if is_given), emptied=emptied)


def _repeated(where: str, value: str) -> Fault:
    return Fault(where, f"{text.quoted(value)} is repeated", "Name each recipient once; the first one counts")


def _contact(where: str, recipient: Recipient, check: CheckAddress, channels: Sequence[str], faults: Faults) -> Contact:
    addresses: dict[str, str] = {}
    reported: set[tuple[str, str]] = set()  # a phone number is reported once, although two channels use it
    who = text.cut(text.one_line(recipient.id), MAX_NAME) or "the recipient"
    for channel, address in recipient.ways.items():
        field = address_field(where, recipient, channel)
        if channel not in channels:
            faults.note(partial(unknown, field, "channel", channel, channels))
            continue
        try:
            addresses[channel] = check(channel, address)
        except ValueError as error:
            wrong = str(error)
            if (field, wrong) not in reported:
                reported.add((field, wrong))
                faults.note(partial(_bad_address, field, address, wrong, who))
    if not recipient.ways:
        faults.add(Fault(where, f"{who} has no address", f"Give one for {either(channels)}"))
    return Contact(
        recipient_id=recipient.id,
        name=text.cut(text.one_line(recipient.name), MAX_NAME) or recipient.id,
        addresses=addresses,
        timezone=_timezone(f"{where}.timezone", recipient.timezone, faults),
        quiet=_quiet(f"{where}.quiet", recipient.quiet, faults),
        channels=_channels(f"{where}.channels", recipient.channels, addresses, faults),
    )


def _bad_address(where: str, address: str, wrong: str, who: str) -> Fault:
    what = f"{text.masked(address)} {wrong.rstrip('.')}" if address.strip() else "it is empty"
    return Fault(where, what, f"Correct the address; {who} is not notified there")


def address_field(where: str, recipient: Recipient, channel: str) -> str:
    """Return the field that holds a recipient's address on a channel, as faults name it."""
    if channel in recipient.addresses:
        return f"{where}.addresses.{channel}"
    return f"{where}.{'phone' if channel in ('sms', 'voice') else channel}"


def _timezone(where: str, name: str | None, faults: Faults) -> str:
    if name is None:
        return "UTC"
    if is_time_zone(name):
        return name
    faults.note(partial(_no_zone, where, name))
    return "UTC"


def is_time_zone(name: str) -> bool:
    """Return whether a name is that of a time zone."""
    return name in _zones()


def _quiet(where: str, written: str | None, faults: Faults) -> str | None:
    if written is None:
        return None
    try:
        return str(read_quiet(written))
    except ValueError as error:
        remedy = "Write when they begin and end, such as 22:00-07:00; until then pages come at any time"
        faults.add(Fault(where, f"{text.quoted(written)} {error}", remedy))
        return None


def _channels(
    where: str, preferred: Mapping[str, tuple[str, ...]] | None, addresses: Collection[str], faults: Faults
) -> Mapping[str, tuple[str, ...]] | None:
    """Return the preferred channels that have an address, by severity; None if there are none."""
    found: dict[str, tuple[str, ...]] = {}
    for written, names in (preferred or {}).items():
        try:
            severity = Severity(written)
        except ValueError:
            faults.add(unknown(where, "severity", written, list(Severity)))
            continue
        for name in names:
            if name not in addresses:
                remedy = "Give one, or leave the channel out; it is skipped"
                faults.add(Fault(f"{where}.{severity}", f"there is no address for {text.quoted(name)}", remedy))
        if usable := tuple(dict.fromkeys(name for name in names if name in addresses)):
            found[severity] = usable
        else:
            faults.add(Fault(f"{where}.{severity}", "no channel is left", "Name one with an address; the policy's are used"))
    return FrozenDict(found) or None


@cache
def _zones() -> frozenset[str]:
    """Return all time zones, read once: looking up an unknown one reads several files."""
    return frozenset(available_timezones())


def _no_zone(where: str, name: str) -> Fault:
    remedy = "Use an IANA name such as Europe/Berlin; times are shown in UTC"
    return Fault(where, f"{text.quoted(name)} is not a time zone", remedy)


@cache
def _types(kind: type) -> Mapping[str, tuple[type, ...]]:
    """Return the types that each field may have; severities are validated as text."""
    hints = {name: get_args(hint) if isinstance(hint, UnionType) else (hint,) for name, hint in get_type_hints(kind).items()}
    return {name: tuple(str if each is Severity else get_origin(each) or each for each in of) for name, of in hints.items()}


def _type_faults(where: str, subject: object, kind: type) -> Iterator[Fault]:
    """Yield values of the wrong type; nothing else can be validated until they are corrected."""
    if not isinstance(subject, kind):
        name = kind.__name__
        remedy = f"Give {name}(…); from a dict with the same names it is {name}(**values)"
        yield Fault(where.removesuffix(".") or name.lower(), f"it is {type(subject).__name__}, not {name}", remedy)
        return
    for field, expected in _types(kind).items():
        value = getattr(subject, field)
        if not isinstance(value, expected):
            what = f"it is {type(value).__name__}, not {expected[0].__name__}"
            yield Fault(f"{where}{field}", what, "Give it as the reference says")
        elif isinstance(value, Mapping):
            for name, item in value.items():
                if field == "channels":
                    yield from _list_faults(f"{where}{field}", name, item)
                elif not isinstance(name, str) or not isinstance(item, str):
                    yield Fault(f"{where}{field}", f"{text.quoted(name)} is not text with text", "Put both in quotes")


def _list_faults(where: str, name: object, items: object) -> Iterator[Fault]:
    if not isinstance(name, str) or not isinstance(items, tuple) or not all(isinstance(each, str) for each in items):
        yield Fault(where, f"{text.quoted(name)} is not text with a list of texts", "Give a list of channels")


def _incident_faults(incident: Incident) -> Iterator[Fault]:
    yield from id_faults("key", incident.key)
    if incident.key == OPERATIONS_KEY:
        yield Fault("key", "it belongs to notifyflow's own incidents", "Choose another key")
    if incident.key.startswith(HEARTBEAT_KEYS):
        yield Fault("key", f"what begins with {HEARTBEAT_KEYS} belongs to the incidents of watched jobs", "Choose another key")
    if not text.one_line(incident.title):
        yield Fault("title", "it is empty", "Say in one line what happened")
    yield from length_faults("title", incident.title, MAX_TITLE, "Shorten it, and say the rest in the body")
    yield from length_faults("body", incident.body or "", MAX_BODY, "Shorten it, and put the rest where url points")
    for detail in DETAILS:
        yield from length_faults(detail, getattr(incident, detail) or "", MAX_NAME, "Shorten it")
    if incident.severity not in list(Severity):
        yield unknown("severity", "severity", incident.severity, list(Severity))
    if incident.url:
        yield from _url(incident.url)
    yield from _labels(incident.labels or {})
    if incident.occurred_at is not None:
        yield from instant_faults(incident.occurred_at)


def _url(url: str) -> Iterator[Fault]:
    if len(url) > MAX_URL:
        yield from length_faults("url", url, MAX_URL, "Shorten it")
    elif not links.is_web_address(url):
        yield Fault(
            "url", f"{text.masked(url)} is not a web address", "Give one that begins with https:// or http://, or leave it out"
        )


def _labels(labels: Mapping[str, str]) -> Iterator[Fault]:
    if len(labels) > MAX_LABELS:
        yield Fault("labels", f"there are {len(labels):,}, {MAX_LABELS} are allowed", "Remove those that are not needed")
    for name, value in labels.items():
        where = f"labels.{text.cut(text.one_line(name), MAX_LABEL_NAME)}"
        if not text.one_line(name):
            yield Fault("labels", "one has an empty name", "Give it a name or leave it out")
        yield from length_faults(where, name, MAX_LABEL_NAME, "Shorten the name")
        yield from length_faults(where, value, MAX_LABEL_VALUE, "Shorten it, or say it in the body")


def is_plausible(at: datetime) -> bool:
    """Return whether every zone can show a time."""
    return _FIRST_YEAR <= at.year <= _LAST_YEAR


def instant_faults(at: datetime) -> Iterator[Fault]:
    """Yield the faults of the time of an incident."""
    if at.utcoffset() is None:
        yield Fault("occurred_at", f"{at.isoformat()} has no time zone", "Say which one, as in 2026-11-25T03:14:00+01:00")
    if not is_plausible(at):
        yield Fault("occurred_at", f"{at.isoformat()} is not a plausible time", "Say when it happened, or leave it out")
