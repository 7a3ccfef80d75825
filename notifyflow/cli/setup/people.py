"""The first person: their entry in a new directory, and that they can be reached."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from notifyflow.channels.base import Channel
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.oncall.reach import reach
from notifyflow.errors import Fault, InvalidDirectory

ADDRESSES = ("email", "phone", "slack", "teams")
FIELDS = ("id", "name", *ADDRESSES, "timezone")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPerson:
    """Somebody to page.

    Attributes:
        id: Their id, which appears in logs.
        fields: Their other fields in a directory, without empty ones.
        addresses: Channel to address, where no field says it.
    """

    id: str
    fields: Mapping[str, str]
    addresses: Mapping[str, str] = FrozenDict()

    @property
    def operations(self) -> str:
        """The value of ``NOTIFYFLOW_OPS_RECIPIENTS`` with which they are told as well that somebody was not reached."""
        addresses = {"addresses": dict(self.addresses)} if self.addresses else {}
        return json.dumps([{"id": self.id, **self.fields, **addresses}], ensure_ascii=False)

    @property
    def directory(self) -> str:
        """A directory in which all alerts go to them."""
        key = self.id if _BARE.fullmatch(self.id) else json.dumps(self.id)
        fields = {**self.fields, **{f"addresses.{channel}": address for channel, address in self.addresses.items()}}
        lines = "".join(f"{name} = {json.dumps(text, ensure_ascii=False)}\n" for name, text in fields.items())
        return (
            "# Who there is, and who is paged for which alert; `notifyflow directory check` checks it.\n\n"
            f"[recipients.{key}]\n{lines}\n"
            f"# Alerts that match no route of their own.\n[default]\nto = [{json.dumps(self.id)}]\n"
        )


def id_of(name: str) -> str:
    """Return an id made of a name: ``ada-lovelace``; empty without a letter or a digit."""
    return _BETWEEN_WORDS.sub("-", name.lower()).strip("-")


def named(fields: Mapping[str, str]) -> FirstPerson:
    """Return the person that some fields describe; an id that is not given is made of the name.

    Raises:
        InvalidDirectory: When there is neither.
    """
    given = {name: text for name, text in fields.items() if text}
    found = given.pop("id", id_of(given.get("name", "")))
    if not found:
        raise InvalidDirectory((Fault("person.name", "is missing, and so is an id", "Name the person to page"),))
    return FirstPerson(id=found, fields=given)


def reachable(fields: Mapping[str, str], channels: Mapping[str, Channel], policies: Mapping[str, Policy]) -> FirstPerson:
    """Return the person that some fields describe, who can be reached on all their channels.

    Raises:
        InvalidDirectory: With every fault, by the field's name: ``person.email``.
    """
    carried = [name for name, channel in channels.items() if channel.providers]
    person = _without_calls(named(fields)) if "voice" not in carried else named(fields)
    found = reach(
        person.directory, lambda channel, address: channels[channel].check_address(address), channels, carried, policies
    )
    own = f"recipients.{person.id}"
    faults = [replace(each, where=each.where.replace(own, "person").replace("addresses.sms", "phone")) for each in found.faults]
    about_them = [each for each in faults if each.where.startswith("person")]  # the route to them repeats it
    if faults:
        raise InvalidDirectory(about_them or faults)
    return person


def _without_calls(person: FirstPerson) -> FirstPerson:
    """Return somebody whose number gets texts only, since no provider calls."""
    others = {name: text for name, text in person.fields.items() if name != "phone"}
    addresses = {"sms": person.fields["phone"]} if "phone" in person.fields else {}
    return replace(person, fields=others, addresses=addresses)
