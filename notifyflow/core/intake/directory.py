"""The directory: recipients, groups and routes, read from TOML with all faults at once.

The caller passes the text of the file, the channels, and a function that validates addresses.
"""

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from notifyflow.core.frozen import FrozenDict
from notifyflow.core.intake.documents import RECIPIENT_FIELDS, unreadable
from notifyflow.core.intake.faults import Faults
from notifyflow.core.intake.forms import TEXT, Codec, Node, Refused, add_new, either, listed, mapped, record, unknown
from notifyflow.core.intake.validation import CheckAddress, address_field, admit_recipients, id_faults
from notifyflow.core.model import Contact, Recipient
from notifyflow.core.policy import Policy
from notifyflow.core.wording import text
from notifyflow.errors import Fault, InvalidDirectory

T = TypeVar("T")

_INSISTENT = "pages on until somebody acknowledges"
_BY_OUTCOME = "goes by the outcome only: an accepted message is the end of it, whether anybody has read it or not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A rule that sends matching alerts to recipients.

    Attributes:
        to: Names of recipients and groups.
        match: Label to patterns, one of which its value must match; ``*`` stands for any characters. All labels must match.
        keys: Patterns, one of which the name of the sender's API key must match; empty for any key.
        policy: The name of the policy; by default recipients are paged until someone acknowledges.
    """

    to: tuple[str, ...]
    match: Mapping[str, tuple[str, ...]] = FrozenDict()
    keys: tuple[str, ...] = ()
    policy: str = "insistent"

    def fits(self, labels: Mapping[str, str], key: str) -> bool:
        """Return whether the route matches an alert with these labels, sent with this API key."""
        is_meant = not self.keys or _fits(self.keys, key)
        return is_meant and all(name in labels and _fits(patterns, labels[name]) for name, patterns in self.match.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Recipients, groups and routes.

    Attributes:
        recipients: Id to recipient.
        groups: Name to the ids of the members, who may be missing.
        routes: The routes; the first match counts.
        default: The route of all other alerts.
    """

    recipients: Mapping[str, Recipient] = FrozenDict()
    groups: Mapping[str, tuple[str, ...]] = FrozenDict()
    routes: tuple[Route, ...] = ()
    default: Route

    def route(self, labels: Mapping[str, str], key: str) -> Route:
        """Return the route of an alert with these labels, sent with the API key of this name."""
        return next((route for route in self.routes if route.fits(labels, key)), self.default)

    def place(self, route: Route) -> str:
        """Return where one of its routes stands: ``routes[0]``, or ``default``."""
        return next(where for where, each in _routes(self) if each is route)

    def at(self, route: Route) -> tuple[Recipient, ...]:
        """Return the recipients of a route, each once; an empty group becomes a recipient without an address."""
        ids = dict.fromkeys(each for name in route.to for each in self.groups.get(name) or (name,))
        return tuple(self.recipients.get(each) or Recipient(id=each) for each in ids)

    def numbers(self, check: CheckAddress, channels: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return for each number the ids of the recipients, reached by any route, who are texted there on one of the channels."""
        found: dict[str, dict[str, None]] = {}
        for person in (each for route in (*self.routes, self.default) for each in self.at(route)):
            for channel, address in _checked(person, check):
                if channel in channels:
                    found.setdefault(address, {})[person.id] = None
        return {number: tuple(ids) for number, ids in found.items()}

    def people(self, check: CheckAddress) -> Mapping[str, frozenset[str]]:
        """Return for each recipient, reached by any route, the channels on which they have a valid address."""
        found = (each for route in (*self.routes, self.default) for each in self.at(route))
        return {person.id: frozenset(channel for channel, _ in _checked(person, check)) for person in found}

    def addresses(self, check: CheckAddress) -> frozenset[str]:
        """Return every valid address in it, normalised."""
        return frozenset(address for person in self.recipients.values() for _, address in _checked(person, check))


def _checked(person: Recipient, check: CheckAddress) -> Iterator[tuple[str, str]]:
    """Yield each channel and address that can be used; an unknown channel, or an address of bad form, is left out."""
    for channel, address in person.ways.items():
        with suppress(ValueError, LookupError):
            yield channel, check(channel, address)


NOBODY = Directory(default=Route(to=("no-directory",), policy="default"))
"""Used if the directory cannot be read: every alert is stored and reaches no one, so that operations is paged."""


def read_directory(document: str, policies: Collection[str]) -> Directory:
    """Read a directory file.

    Raises:
        InvalidDirectory: With all faults of its form. Addresses are validated by ``reach``, since a bad one must not refuse the
            file.
    """
    directory, faults = _read(document, policies)
    if faults:
        raise InvalidDirectory(faults)
    return directory


def _read(document: str, policies: Collection[str]) -> tuple[Directory, Faults]:
    """Read a directory file as far as possible; raise ``InvalidDirectory`` if it is not valid TOML."""
    faults = Faults(most=None)  # the operator's own file: all its faults are named
    try:
        tables = tomllib.loads(document)
    except (ValueError, RecursionError) as wrong:
        raise InvalidDirectory((unreadable("TOML", wrong),)) from None
    directory = _DIRECTORY.read(Node("", tables, faults))
    faults.add_all(_validate(directory, policies, {fault.where for fault in faults}))
    return directory, faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The result of checking a directory.

    Attributes:
        ways: Recipient to the channels on which they can be reached; may be empty.
        faults: All faults: of the file's form, invalid addresses, channels without a provider, empty groups, routes that reach
            nobody.
        is_usable: Whether the file's form has no fault.
        paging: Route to its policy, and what ends its paging, in words.
        warnings: Warnings about addresses that are used nevertheless.
    """

    ways: Mapping[str, tuple[str, ...]]
    faults: tuple[Fault, ...]
    is_usable: bool
    paging: Mapping[str, str] = FrozenDict()
    warnings: tuple[Fault, ...] = ()


def reach(
    document: str,
    check: CheckAddress,
    channels: Collection[str],
    carried: Collection[str],
    policies: Mapping[str, Policy],
    *,
    warn: Callable[[str, str], str] = lambda _channel, _address: "",
) -> Reach:
    """Return all faults of a directory file, and on which channels each recipient can be reached.

    The channels that have a configured provider are ``carried``. ``warn`` returns a warning about an accepted address, or an
    empty text.

    Raises:
        InvalidDirectory: When it is not valid TOML.
    """
    directory, faults = _read(document, policies)
    is_usable = not faults
    found: list[Fault] = []
    ways: dict[str, tuple[str, ...]] = {}
    warnings: dict[Fault, None] = {}
    for name, recipient in directory.recipients.items():
        where = f"recipients.{name}"
        contacts, wrong = admit_recipients([recipient], check, channels)
        found += [Fault(fault.where.replace("recipients[0]", where, 1), fault.what, fault.remedy) for fault in wrong]
        addresses = [channel for contact in contacts for channel in contact.addresses]
        ways[name] = tuple(channel for channel in addresses if channel in carried)
        for channel in addresses:
            if channel not in carried:
                remedy = f"Configure one (`notifyflow config check` says how), or leave the {channel} address out"
                found.append(Fault(where, f"no provider carries {channel}", remedy))
        warnings |= dict.fromkeys(_odd(where, recipient, contacts, warn))
    for name, members in directory.groups.items():
        if not members:
            found.append(Fault(f"groups.{name}", "it has no members", "Name its members; until then its alerts page operations"))
    for where, route in _routes(directory):
        if policy := policies.get(route.policy):
            found += _unreached(where, [each.id for each in directory.at(route)], ways, policy)
    add_new(faults, found)
    return Reach(
        ways=ways, faults=tuple(faults), is_usable=is_usable, paging=paging(directory, policies), warnings=tuple(warnings)
    )


def _odd(where: str, recipient: Recipient, contacts: Sequence[Contact], warn: Callable[[str, str], str]) -> Iterator[Fault]:
    for channel, address in ((channel, address) for contact in contacts for channel, address in contact.addresses.items()):
        if what := warn(channel, address):
            place = address_field(where, recipient, channel)
            yield Fault(place, f"{text.masked(address)} {what}", "Look whether it is mistyped; it is used as it is")


def paging(directory: Directory, policies: Mapping[str, Policy]) -> Mapping[str, str]:
    """Return for each route with a known policy the policy's name and what ends its paging, in words."""
    known = ((where, policies[route.policy]) for where, route in _routes(directory) if route.policy in policies)
    return {where: f"{policy.name}, which {_INSISTENT if policy.is_insistent else _BY_OUTCOME}" for where, policy in known}


def _unreached(where: str, ids: list[str], ways: Mapping[str, tuple[str, ...]], policy: Policy) -> Iterator[Fault]:
    used = {channel for tier in policy.tiers for channel in tier.channels}
    lost = [each for each in ids if used.isdisjoint(ways.get(each, ()))]
    for each in lost:
        if had := ways.get(each):
            what = f"{each} can be reached by {', '.join(had)}, which the policy {policy.name} does not use"
            yield Fault(where, what, f"Give an address for {either(sorted(used))}, or choose another policy")
    if lost == ids:
        yield Fault(where, "none of its recipients can be reached", "Correct an address; until then its alerts page operations")


def _fits(patterns: tuple[str, ...], value: str) -> bool:
    return any(_fits_one(pattern, value) for pattern in patterns)


def _fits_one(pattern: str, value: str) -> bool:
    """Match a pattern from left to right without going back, in linear time."""
    first, *rest = pattern.split("*")
    if not rest:
        return value == first
    *between, last = rest
    at, end = len(first), len(value) - len(last)
    if at > end or not (value.startswith(first) and value.endswith(last)):
        return False
    for part in between:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _read_patterns(node: Node) -> tuple[str, ...]:
    return (TEXT.read(node),) if isinstance(node.value, str) else listed(TEXT).read(node)


def _named(make: Callable[[str], Codec[T]], stand_in: Callable[[str], T]) -> Codec[dict[str, T]]:
    """Return a codec of a table; a refused value gets a stand-in, so that references to its name are not refused, too."""

    def read(node: Node) -> dict[str, T]:
        values: dict[str, T] = {}
        for name, value in node.fields().items():
            values[name] = stand_in(name)
            with suppress(Refused):
                values[name] = make(name).read(node.field(name, value))
        return values

    return Codec(read, dict)


_PATTERNS: Codec[tuple[str, ...]] = Codec(_read_patterns, list)
_DEFAULT: Mapping[str, Codec[Any]] = {"to": listed(TEXT), "policy": TEXT}
_ROUTE: Mapping[str, Codec[Any]] = {"match": mapped(_PATTERNS), "keys": _PATTERNS, **_DEFAULT}
_DIRECTORY = record(
    Directory,
    {
        "recipients": _named(
            lambda name: record(partial(Recipient, id=name), RECIPIENT_FIELDS, {}), lambda name: Recipient(id=name)
        ),
        "groups": _named(lambda _: listed(TEXT), lambda _: ()),
        "routes": listed(record(Route, _ROUTE, stand_ins={"to": ()}), stand_in=Route(to=())),
        "default": record(Route, _DEFAULT, stand_ins={"to": ()}),
    },
    stand_ins={"default": Route(to=())},
)


def _routes(directory: Directory) -> Iterator[tuple[str, Route]]:
    yield from ((f"routes[{index}]", route) for index, route in enumerate(directory.routes))
    yield "default", directory.default


def _validate(directory: Directory, policies: Collection[str], refused: Collection[str]) -> Iterator[Fault]:
    """Yield references to unknown names; values that could not be read are skipped."""
    for name in directory.recipients:
        yield from id_faults(f"recipients.{name}", name)
    for name, members in directory.groups.items():
        yield from id_faults(f"groups.{name}", name)
        if name in directory.recipients:
            yield Fault(f"groups.{name}", "a recipient has this name, too", "Rename one of them")
        yield from _strangers(f"groups.{name}", "recipient", members, directory.recipients)
    for where, route in _routes(directory):
        yield from _validate_route(where, route, refused)
        yield from _strangers(f"{where}.to", "recipient or group", route.to, {**directory.recipients, **directory.groups})
        if route.policy not in policies:
            yield unknown(f"{where}.policy", "policy", route.policy, policies)


def _validate_route(where: str, route: Route, refused: Collection[str]) -> Iterator[Fault]:
    def is_read(place: str) -> bool:
        return not any(each == where or each.startswith(place) for each in refused)

    if not route.to and is_read(f"{where}.to"):
        yield Fault(f"{where}.to", "it is empty", "Name recipients or groups")
    if where != "default" and not (route.match or route.keys) and is_read(f"{where}.match") and is_read(f"{where}.keys"):
        yield Fault(
            f"{where}.match", "it matches every alert and hides the routes after it", "Name labels, or make it the default route"
        )
    for label, patterns in route.match.items():
        if not patterns and is_read(f"{where}.match.{label}"):
            yield Fault(f"{where}.match.{label}", "it matches nothing", "Give at least one pattern")


def _strangers(where: str, kind: str, names: Collection[str], known: Collection[str]) -> Iterator[Fault]:
    yield from (unknown(where, kind, name, known) for name in names if name not in known)
