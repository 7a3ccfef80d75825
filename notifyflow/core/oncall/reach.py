"""The reach of a directory: invalid addresses, people without a usable channel, and the end of each route's paging.

The caller passes the text of the file, the channels, and a function that validates addresses.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Contact, Recipient
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.forms import add_new, either
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.intake.validation import CheckAddress, address_field, check_recipients
from notifyflow.core.limits.preferences import reached_for, unreached_for
from notifyflow.core.oncall.directory import NOBODY, Directory, read_leniently, routes
from notifyflow.core.oncall.schedule_forms import MARK
from notifyflow.errors import Fault

_INSISTENT = "pages on until somebody acknowledges"
_BY_OUTCOME = "goes by the outcome only: an accepted message is the end of it, whether anybody has read it or not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The result of checking a directory.

    Attributes:
        people: The recipients with their usable addresses, if any; personal.
        faults: All faults: of the file's form, invalid addresses, channels without a provider, empty groups, routes that reach
            nobody.
        is_usable: Whether the file's form has no fault.
        paging: Route → its policy, and what ends its paging, in words.
        warnings: Warnings about addresses that are used in spite of them.
        directory: The readable part of the file.
    """

    people: Mapping[str, Contact]
    faults: tuple[Fault, ...]
    is_usable: bool
    paging: Mapping[str, str] = FrozenDict()
    warnings: tuple[Fault, ...] = ()
    directory: Directory = NOBODY

    @property
    def ways(self) -> Mapping[str, tuple[str, ...]]:
        """Recipient → usable channels, which may be empty."""
        return {name: tuple(each.addresses) for name, each in self.people.items()}


def reach(
    document: str,
    check: CheckAddress,
    channels: Collection[str],
    carried: Collection[str],
    policies: Mapping[str, Policy],
    *,
    warn: Callable[[str, str], str] = lambda _channel, _address: "",
    showing: Collection[str] | None = None,
) -> Reach:
    """Return all faults of a directory file, and each recipient's usable channels.

    ``carried`` are the channels with a configured provider. ``warn`` returns a warning about an accepted address, or an empty
    text. ``showing`` are the channels that show that a page arrived; None if unknown.

    Raises:
        InvalidDirectory: When it is not valid TOML.
    """
    directory, faults = read_leniently(document, policies)
    is_usable = not faults
    found: list[Fault] = []
    people: dict[str, Contact] = {}
    named = {route.policy for _, route in routes(directory)}
    used = [policy for name, policy in policies.items() if name in named]
    warnings: dict[Fault, None] = {}
    for name, recipient in directory.recipients.items():
        where = f"recipients.{name}"
        contacts, wrong = check_recipients([recipient], check, channels)
        found += [Fault(fault.where.replace("recipients[0]", where, 1), fault.what, fault.remedy) for fault in wrong]
        addresses = [channel for contact in contacts for channel in contact.addresses]
        people[name] = carried_to(contacts[0] if contacts else Contact(recipient_id=name, name=name, addresses={}), carried)
        for channel in addresses:
            if channel not in carried:
                remedy = f"Configure one (`notifyflow config check` says how), or leave the {channel} address out"
                found.append(Fault(where, f"no provider carries {channel}", remedy))
        if lost := unreached_for(people[name], used):
            what = f"{name} cannot be reached for {text.listed(lost)} by the channels that they prefer"
            found.append(Fault(f"{where}.channels", what, "Let them prefer one that a provider carries, too"))
        warnings |= dict.fromkeys(_odd(where, recipient, contacts, warn))
        if showing is not None:
            warnings |= dict.fromkeys(unshown(where, people[name], showing))
    for name, members in directory.groups.items():
        if not members:
            found.append(Fault(f"groups.{name}", "it has no members", "Name its members; until then its alerts page operations"))
    found += _unreached(directory, policies, people)
    add_new(faults, found)
    return Reach(
        people=people,
        faults=tuple(faults),
        is_usable=is_usable,
        paging=paging(directory, policies),
        warnings=tuple(warnings),
        directory=directory,
    )


def carried_to(contact: Contact, carried: Collection[str]) -> Contact:
    """Return a recipient with only the addresses that a provider can reach."""
    addresses = {channel: address for channel, address in contact.addresses.items() if channel in carried}
    return replace(contact, addresses=addresses)


def unshown(where: str, person: Contact, showing: Collection[str]) -> Iterator[Fault]:
    """Yield a warning about a person without a channel that shows that a page arrived."""
    if person.addresses and not person.addresses.keys() & set(showing):
        channels = text.listed(list(person.addresses))
        what = f"nothing shows that a page to {person.recipient_id} arrived, unless they respond: they have {channels} only"
        remedy = (
            "Give an address for mail, chat or texts, too; until then CRITICAL pages without a response are told to operations"
        )
        yield Fault(where, what, remedy)


def _odd(where: str, recipient: Recipient, contacts: Sequence[Contact], warn: Callable[[str, str], str]) -> Iterator[Fault]:
    for channel, address in ((channel, address) for contact in contacts for channel, address in contact.addresses.items()):
        if what := warn(channel, address):
            place = address_field(where, recipient, channel)
            yield Fault(place, f"{text.masked(address)} {what}", "Look whether it is mistyped; it is used as it is")


def paging(directory: Directory, policies: Mapping[str, Policy]) -> Mapping[str, str]:
    """Return, for each route with a known policy, the policy's name and what ends its paging, in words."""
    known = ((where, policies[route.policy]) for where, route in routes(directory) if route.policy in policies)
    return {where: f"{policy.name}, which {_INSISTENT if policy.is_insistent else _BY_OUTCOME}" for where, policy in known}


def _unreached(directory: Directory, policies: Mapping[str, Policy], people: Mapping[str, Contact]) -> Iterator[Fault]:
    """Yield the people that the steps of the routes do not reach; people in calendars are not known here."""
    calendars = {f"{MARK}{name}" for name, schedule in directory.schedules.items() if schedule.ical is not None}
    for where, route in routes(directory):
        policy = policies.get(route.policy)
        places = {where: route.to, **{f"{where}.then[{index}]": step.to for index, step in enumerate(route.then)}}
        for place, names in places.items():
            ids = [each.id for each in directory.everybody(name for name in names if name not in calendars)]
            if policy is not None and ids:
                yield from _unreached_in(place, ids, people, policy)


def _unreached_in(where: str, ids: list[str], people: Mapping[str, Contact], policy: Policy) -> Iterator[Fault]:
    used = {channel for tier in policy.tiers for channel in tier.channels}
    lost = [each for each in ids if each not in people or not reached_for(policy, people[each])]
    for each in lost:
        if each in people and (had := people[each].addresses):
            what = f"{each} can be reached by {', '.join(had)}, which the policy {policy.name} does not use"
            yield Fault(where, what, f"Give an address for {either(sorted(used))}, or choose another policy")
    if lost == ids:
        yield Fault(where, "none of its recipients can be reached", "Correct an address; until then its alerts page operations")
