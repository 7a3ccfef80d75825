"""The directory: people, schedules, routes and watched jobs, read from TOML with all faults; ``reach`` checks addresses."""

import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from notifyflow.core.delivery.chain import LAST_STEP as LAST_STEP
from notifyflow.core.delivery.chain import MOST_STEPS
from notifyflow.core.delivery.chain import OPERATIONS as OPERATIONS
from notifyflow.core.delivery.model import Recipient
from notifyflow.core.delivery.policy import INSISTENT, Acknowledgement, Policy
from notifyflow.core.faults import Faults
from notifyflow.core.forms import (
    DURATION,
    TEXT,
    Codec,
    Node,
    UnreadableValue,
    add_new,
    id_faults,
    listed,
    mapped,
    record,
    unknown,
)
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.intake.chains import time_faults
from notifyflow.core.intake.documents import RECIPIENT_FIELDS, unreadable
from notifyflow.core.intake.validation import CheckAddress
from notifyflow.core.oncall.schedule_forms import MARK, no_schedule, schedule_codec, schedule_faults
from notifyflow.core.oncall.schedules import Schedule
from notifyflow.core.oncall.watched_job_forms import DeclaredJob, job_codec, job_faults, no_job
from notifyflow.core.patterns import fits
from notifyflow.errors import Fault, InvalidDirectory

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """A later step of a chain.

    Attributes:
        after: Time since the start of the step before; the step starts sooner if every way to them has failed.
        to: Names of recipients, groups and, with ``@``, schedules; or just ``operations``, in the last step.
    """

    after: timedelta
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A rule that sends matching alerts to recipients.

    Attributes:
        to: Names of recipients, groups and, with ``@``, schedules.
        match: Label to patterns; its value must match one of them (``*`` stands for any characters). All labels must match.
        keys: Patterns; the name of the sender's API key must match one of them. Empty for any key.
        policy: The name of the policy; by default recipients are paged until someone acknowledges.
        then: The later steps of a chain, which page while nobody acknowledges.
        over_after: The time of the chain's last step.
    """

    to: tuple[str, ...]
    match: Mapping[str, tuple[str, ...]] = FrozenDict()
    keys: tuple[str, ...] = ()
    policy: str = INSISTENT.name
    then: tuple[Then, ...] = ()
    over_after: timedelta = LAST_STEP

    @property
    def names(self) -> tuple[str, ...]:
        """The names in all of its steps."""
        return (*self.to, *(name for step in self.then for name in step.to))

    def fits(self, labels: Mapping[str, str], key: str) -> bool:
        """Return whether the route matches an alert with these labels, sent with this API key."""
        is_meant = not self.keys or fits(self.keys, key)
        return is_meant and all(name in labels and fits(patterns, labels[name]) for name, patterns in self.match.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Recipients, groups, schedules and routes.

    Attributes:
        recipients: Id to recipient.
        groups: Name to the ids of the members, who may be missing.
        schedules: Name, without ``@``, to schedule.
        routes: The routes; the first match counts.
        heartbeats: Name to watched job.
        default: The route of all other alerts.
    """

    recipients: Mapping[str, Recipient] = FrozenDict()
    groups: Mapping[str, tuple[str, ...]] = FrozenDict()
    schedules: Mapping[str, Schedule] = FrozenDict()
    routes: tuple[Route, ...] = ()
    heartbeats: Mapping[str, DeclaredJob] = FrozenDict()
    default: Route

    @property
    def names(self) -> Collection[str]:
        """The names that a route or a step may use: of recipients, groups and, with ``@``, schedules."""
        return dict.fromkeys([*self.recipients, *self.groups, *(f"{MARK}{name}" for name in self.schedules)])

    def route(self, labels: Mapping[str, str], key: str) -> Route:
        """Return the route of an alert with these labels, sent with the API key of this name."""
        return next((route for route in self.routes if route.fits(labels, key)), self.default)

    def route_of(self, job: DeclaredJob) -> Route:
        """Return the route of a watched job: its own, or the one for its labels."""
        return job.route or self.route(job.all_labels, "")

    def place(self, route: Route) -> str:
        """Return the place of one of its routes, as ``routes`` does."""
        return next(where for where, each in routes(self) if each is route)

    def policies_for(self, recipient_id: str) -> tuple[str, ...]:
        """Return the policies of the routes that may page a recipient, in any step; ``insistent`` without one."""
        found = (route.policy for _, route in routes(self) if any(recipient_id in self._ids(name) for name in route.names))
        return tuple(dict.fromkeys(found)) or (INSISTENT.name,)

    def at(self, route: Route) -> tuple[Recipient, ...]:
        """Return the recipients that a route pages at once, each once; an empty group becomes a recipient without an address."""
        ids = dict.fromkeys(each for name in route.to for each in self.groups.get(name) or (name,))
        return tuple(self.recipients.get(each) or Recipient(id=each) for each in ids)

    def everybody(self, names: Iterable[str]) -> tuple[Recipient, ...]:
        """Return the recipients that some names may page at any time, each once; the people of operations are left out."""
        ids = dict.fromkeys(each for name in names if name != OPERATIONS for each in self._ids(name))
        return tuple(self.recipients.get(each) or Recipient(id=each) for each in ids)

    def _ids(self, name: str) -> Iterable[str]:
        if not name.startswith(MARK):
            return self.groups.get(name) or (name,)
        schedule = self.schedules.get(name.removeprefix(MARK))
        if schedule is None:
            return (name,)
        if schedule.ical is not None:
            return self.recipients  # its calendar may name anybody
        return (each for layer in schedule.layers for turn in layer.who for each in turn)

    def numbers(self, check: CheckAddress, channels: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return, for each number, the ids of the recipients reached by any route who are texted there on one of the channels."""
        found: dict[str, dict[str, None]] = {}
        for person in self._reached():
            for channel, address in _checked(person, check):
                if channel in channels:
                    found.setdefault(address, {})[person.id] = None
        return {number: tuple(ids) for number, ids in found.items()}

    def people(self, check: CheckAddress) -> Mapping[str, frozenset[str]]:
        """Return, for each recipient reached by any route, the channels with a valid address."""
        return {person.id: frozenset(channel for channel, _ in _checked(person, check)) for person in self._reached()}

    def _reached(self) -> tuple[Recipient, ...]:
        return self.everybody(name for _, route in routes(self) for name in route.names)

    def addresses(self, check: CheckAddress) -> frozenset[str]:
        """Return all of its valid addresses, normalised."""
        return frozenset(address for person in self.recipients.values() for _, address in _checked(person, check))


def _checked(person: Recipient, check: CheckAddress) -> Iterator[tuple[str, str]]:
    """Yield each usable channel and address; an unknown channel, or a malformed address, is left out."""
    for channel, address in person.ways.items():
        with suppress(ValueError, LookupError):
            yield channel, check(channel, address)


NOBODY = Directory(default=Route(to=("no-directory",), policy="default"))
"""Used if the directory cannot be read: every alert is stored and reaches no one, so that operations is paged."""


def read_directory(document: str, policies: Mapping[str, Policy]) -> Directory:
    """Read a directory file.

    Raises:
        InvalidDirectory: With all faults of its form. Addresses are validated by ``reach``, since a bad one must not refuse the
            file.
    """
    directory, faults = read_leniently(document, policies)
    if faults:
        raise InvalidDirectory(faults)
    return directory


def read_leniently(document: str, policies: Mapping[str, Policy]) -> tuple[Directory, Faults]:
    """Read a directory file as far as possible, with the faults of its form.

    Raises:
        InvalidDirectory: When it is not valid TOML.
    """
    faults = Faults(most=None)  # the operator's own file: all its faults are named
    try:
        tables = tomllib.loads(document)
    except (ValueError, RecursionError) as wrong:
        raise InvalidDirectory((unreadable("TOML", wrong),)) from None
    directory = _DIRECTORY.read(Node("", tables, faults))
    faults.add_all(_validate(directory, policies, {fault.where for fault in faults}))
    add_new(faults, list(_validate_duty(directory, policies)))
    return directory, faults


def _read_patterns(node: Node) -> tuple[str, ...]:
    return (TEXT.read(node),) if isinstance(node.value, str) else listed(TEXT).read(node)


def _named(make: Callable[[str], Codec[T]], placeholder: Callable[[str], T]) -> Codec[dict[str, T]]:
    """Return a codec of a table; a refused value gets a stand-in, so that references to its name are not refused, too."""

    def read(node: Node) -> dict[str, T]:
        values: dict[str, T] = {}
        for name, value in node.fields().items():
            values[name] = placeholder(name)
            with suppress(UnreadableValue):
                values[name] = make(name).read(node.field(name, value))
        return values

    return Codec(read, dict)


_PATTERNS: Codec[tuple[str, ...]] = Codec(_read_patterns, list)
_REFUSED_STEP = Then(after=timedelta(minutes=1), to=())
_THEN = record(Then, {"after": DURATION, "to": listed(TEXT)}, placeholders={"after": _REFUSED_STEP.after, "to": _REFUSED_STEP.to})
_DEFAULT: Mapping[str, Codec[Any]] = {
    "to": listed(TEXT),
    "policy": TEXT,
    "then": listed(_THEN, placeholder=_REFUSED_STEP),
    "over_after": DURATION,
}
_ROUTE: Mapping[str, Codec[Any]] = {"match": mapped(_PATTERNS), "keys": _PATTERNS, **_DEFAULT}
_OWN_ROUTE = record(Route, _DEFAULT, placeholders={"to": ()})
_DIRECTORY = record(
    Directory,
    {
        "recipients": _named(
            lambda name: record(partial(Recipient, id=name), RECIPIENT_FIELDS, {}), lambda name: Recipient(id=name)
        ),
        "groups": _named(lambda _: listed(TEXT), lambda _: ()),
        "schedules": _named(schedule_codec, no_schedule),
        "routes": listed(record(Route, _ROUTE, placeholders={"to": ()}), placeholder=Route(to=())),
        "heartbeats": _named(lambda name: job_codec(name, _OWN_ROUTE), no_job),
        "default": _OWN_ROUTE,
    },
    placeholders={"default": Route(to=())},
)


def routes(directory: Directory) -> Iterator[tuple[str, Route]]:
    """Yield its routes with their places: ``routes[0]``, ``heartbeats.nightly-backup.route``, ``default``."""
    yield from ((f"routes[{index}]", route) for index, route in enumerate(directory.routes))
    yield from ((f"heartbeats.{name}.route", job.route) for name, job in directory.heartbeats.items() if job.route)
    yield "default", directory.default


def _validate(directory: Directory, policies: Collection[str], refused: Collection[str]) -> Iterator[Fault]:
    """Yield references to unknown names; values that could not be read are skipped."""
    for name in directory.recipients:
        yield from id_faults(f"recipients.{name}", name)
        yield from _reserved(f"recipients.{name}", name)
    for name, members in directory.groups.items():
        yield from id_faults(f"groups.{name}", name)
        yield from _reserved(f"groups.{name}", name)
        if name in directory.recipients:
            yield Fault(f"groups.{name}", "a recipient has this name, too", "Rename one of them")
        yield from _strangers(f"groups.{name}", "recipient", members, directory.recipients)
    for name in directory.schedules:
        yield from id_faults(f"schedules.{name}", name)
        yield from _reserved(f"schedules.{name}", name)
    for name, job in directory.heartbeats.items():
        yield from () if any(each.startswith(f"heartbeats.{name}") for each in refused) else job_faults(f"heartbeats.{name}", job)
    for where, route in routes(directory):
        yield from _validate_route(where, route, refused)
        yield from _unknown_names(f"{where}.to", directory, route.to)
        if route.policy not in policies:
            yield unknown(f"{where}.policy", "policy", route.policy, policies)


def _validate_route(where: str, route: Route, refused: Collection[str]) -> Iterator[Fault]:
    def is_read(place: str) -> bool:
        return not any(each == where or each.startswith(place) for each in refused)

    if not route.to and is_read(f"{where}.to"):
        yield Fault(f"{where}.to", "it is empty", "Name recipients, groups or schedules")
    if where.startswith("routes") and not (route.match or route.keys) and is_read(f"{where}.match") and is_read(f"{where}.keys"):
        yield Fault(
            f"{where}.match", "it matches every alert and hides the routes after it", "Name labels, or make it the default route"
        )
    for label, patterns in route.match.items():
        if not patterns and is_read(f"{where}.match.{label}"):
            yield Fault(f"{where}.match.{label}", "it matches nothing", "Give at least one pattern")


def _strangers(where: str, kind: str, names: Collection[str], known: Collection[str]) -> Iterator[Fault]:
    yield from (unknown(where, kind, name, known) for name in names if name not in known)


def _reserved(where: str, name: str) -> Iterator[Fault]:
    if name == OPERATIONS:
        yield Fault(where, "its name is the one of the people of operations", "Choose another name")
    elif name.startswith(MARK):
        yield Fault(where, f"its name begins with {MARK}", f"Leave the {MARK} out; it marks a schedule where a route names one")


def _unknown_names(where: str, directory: Directory, names: Collection[str]) -> Iterator[Fault]:
    known = directory.names
    for name in names:
        if name not in known and name != OPERATIONS:
            yield unknown(where, "schedule" if name.startswith(MARK) else "recipient or group", name, known)


def _validate_duty(directory: Directory, policies: Mapping[str, Policy]) -> Iterator[Fault]:
    """Yield the faults of schedules and chains, also those that follow from a value that could not be read."""
    for name, schedule in directory.schedules.items():
        yield from schedule_faults(f"schedules.{name}", schedule, directory.recipients, directory.groups)
    for where, route in routes(directory):
        if OPERATIONS in route.to:
            yield Fault(f"{where}.to", f"{OPERATIONS} can only be the last step of a chain", "Name whom to page first")
        for index, step in enumerate(route.then):
            yield from _step_faults(f"{where}.then[{index}]", directory, step, is_last=index == len(route.then) - 1)
        yield from _chain_faults(where, route, policies.get(route.policy))


def _step_faults(where: str, directory: Directory, step: Then, *, is_last: bool) -> Iterator[Fault]:
    yield from time_faults(f"{where}.after", step.after)
    if not step.to:
        yield Fault(f"{where}.to", "it is empty", f"Name recipients, groups, schedules or {OPERATIONS}")
    if OPERATIONS in step.to and not (is_last and len(step.to) == 1):
        remedy = "Make it the last step, alone, or leave it out: a chain that ends unacknowledged pages them anyway"
        yield Fault(f"{where}.to", f"{OPERATIONS} stands beside others or before the last step", remedy)
    yield from _unknown_names(f"{where}.to", directory, step.to)


def _chain_faults(where: str, route: Route, policy: Policy | None) -> Iterator[Fault]:
    yield from time_faults(f"{where}.over_after", route.over_after)
    if len(route.then) > MOST_STEPS:
        yield Fault(f"{where}.then", f"it has {len(route.then)} steps, {MOST_STEPS} are allowed", "Page more people in one step")
    if not route.then and route.over_after != LAST_STEP:
        yield Fault(
            f"{where}.over_after", "it is the time of the last step, and there is no `then`", "Add steps, or leave it out"
        )
    if route.then and policy is not None and policy.acknowledgement is Acknowledgement.EACH:
        what = f"the policy {policy.name} wants an acknowledgement of each recipient, so that nothing is handed on"
        yield Fault(f"{where}.then", what, "Leave it out, or choose a policy that one acknowledgement ends")
