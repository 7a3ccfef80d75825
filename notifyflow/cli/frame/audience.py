"""The people of a command before an incident: a recipient of the directory, an alert's route, a file, or every route."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

import notifyflow
from notifyflow.app.clock_and_ids import system_now
from notifyflow.app.database import is_there
from notifyflow.cli.frame import completion, files, screen
from notifyflow.cli.frame.options import label_pairs
from notifyflow.core.delivery.model import Contact, Recipient, Severity
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.forms import unknown
from notifyflow.core.intake.documents import read_recipients
from notifyflow.core.intake.integrations.inbound import most_severe
from notifyflow.core.intake.validation import check_recipients
from notifyflow.core.oncall.directory import Directory, Route
from notifyflow.core.oncall.roster import EMPTY, Roster
from notifyflow.errors import Fault, InvalidInput, StorageError
from notifyflow.service.oncall.directory import read_file
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from notifyflow.channels.base import Channel

_DEFAULT = "default"

OneRecipient = Annotated[
    str | None,
    typer.Argument(
        metavar="RECIPIENT", help="A recipient of the directory.", show_default=False, autocompletion=completion.people
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="A label of an alert, which a route matches.", show_default=False),
]
RecipientsFile = Annotated[
    str | None, typer.Option("--recipients", metavar="FILE", help="A file with a list of recipients.", show_default=False)
]
PolicyName = Annotated[
    str | None, typer.Option("--policy", help="The policy; by default, the route's, or else default.", show_default=False)
]
SeverityName = Annotated[
    Severity | None,
    typer.Option("--severity", help="The severity.", case_sensitive=False, show_default="of the route, or else CRITICAL"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """The people of one incident.

    Attributes:
        name: Who they are, in words.
        people: The recipients who are paged at once.
        severity: The severity; the highest that the route's alerts can have, if it asks for some.
        route: The route that pages them; None if no route does.
        roster: Who is on duty, by the directory that the route stands in.
    """

    name: str
    people: Sequence[Recipient]
    policy: str
    severity: Severity = Severity.CRITICAL
    route: Route | None = None
    roster: Roster = EMPTY
    begins_at: datetime = field(default_factory=system_now)

    @property
    def has_chain(self) -> bool:
        """Whether somebody else is paged when nobody acknowledges."""
        return self.route is not None and bool(self.route.then)


def audiences(
    settings: Settings,
    policies: Mapping[str, Policy],
    recipient: str | None,
    labels: Sequence[str],
    file: str | None,
    *,
    policy: str | None = None,
    is_one: bool = True,
    at: datetime | None = None,
) -> list[Audience]:
    """Return the audience that is named; if none is, those of all routes unless ``is_one``.

    A recipient is as many audiences as the routes to them have policies, unless one was chosen. Their incidents begin ``at`` an
    instant; None for now.

    Raises:
        InvalidInput: When the directory or the file cannot be used, or has no such recipient.
    """
    named = (recipient is not None) + bool(labels) + (file is not None)
    if named > 1 or (is_one and not named):
        raise typer.BadParameter("give one of these: a recipient of the directory, --label, or --recipients")
    if file is not None:
        return [Audience(name=file, people=read_recipients(files.text(file)), policy=_DEFAULT)]
    if settings.directory is None:
        raise InvalidInput((Fault("NOTIFYFLOW_DIRECTORY", "is not set", "Set it, or give a file with --recipients"),))
    directory = read_file(settings.directory, policies)
    if recipient is not None:
        if recipient not in directory.recipients:
            raise InvalidInput((unknown("RECIPIENT", "recipient", recipient, directory.recipients),))
        people, used = (directory.recipients[recipient],), (policy,) if policy else directory.policies_for(recipient)
        return [Audience(name=recipient, people=people, policy=each) for each in used]
    roster, begins_at = _roster(settings, directory), at or system_now()
    if labels:
        pairs = label_pairs(labels)
        found = _of_route(roster, directory.route(pairs, ""), ", ".join(labels), begins_at)
        return [replace(found, severity=most_severe([pairs["severity"]])) if "severity" in pairs else found]
    routes = [(route, _words(route)) for route in directory.routes]
    return [_of_route(roster, route, name, begins_at) for route, name in (*routes, (directory.default, "any other alert"))]


def usable_contacts(people: Sequence[Recipient], channels: "Mapping[str, Channel]") -> tuple[Contact, ...]:
    """Return the people who can be paged, with their usable addresses; show the faults of the others."""
    contacts, faults = check_recipients(people, lambda channel, address: channels[channel].check_address(address), channels)
    screen.show_faults(faults, style="yellow")
    return contacts


def policy_of(policies: Mapping[str, Policy], name: str) -> Policy:
    """Return a policy by its name.

    Raises:
        InvalidInput: When there is none, with the most similar name.
    """
    if name not in policies:
        raise InvalidInput((unknown("--policy", "policy", name, policies),))
    return policies[name]


def stored_roster(settings: Settings, directory: Directory) -> Roster | None:
    """Return a directory with the overrides and calendars of the database; None without a database that answers."""
    if not is_there(settings.database_url.get_secret_value()):
        return None
    try:
        with notifyflow.NotifyFlow(settings.model_copy(update={"directory": None})) as flow:
            return flow.oncall.roster().of_file(directory)
    except StorageError as error:
        screen.warn(f"Overrides and calendars are not considered: {error}")
        return None


def _roster(settings: Settings, directory: Directory) -> Roster:
    return stored_roster(settings, directory) or Roster(directory=directory)


def _of_route(roster: Roster, route: Route, name: str, begins_at: datetime) -> Audience:
    return Audience(
        name=name,
        people=roster.people(route.to, begins_at).recipients,
        policy=route.policy,
        severity=most_severe(route.match["severity"]) if "severity" in route.match else Severity.CRITICAL,
        route=route,
        roster=roster,
        begins_at=begins_at,
    )


def _words(route: Route) -> str:
    """Return the conditions of a route, in words."""
    labels = ", ".join(f"{name}={' or '.join(patterns)}" for name, patterns in route.match.items())
    keys = f"key {' or '.join(route.keys)}" if route.keys else ""
    return ", ".join(filter(None, [labels, keys])) or "any alert"
