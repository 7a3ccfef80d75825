"""The command that says what a policy would do for a recipient, before it has to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from notifyflow.channels.registry import load
from notifyflow.cli import files, screen
from notifyflow.cli.options import AsJson
from notifyflow.core.forecast import Carrier
from notifyflow.core.forecast_document import ForecastDocument
from notifyflow.core.intake.documents import read_recipients
from notifyflow.core.intake.forms import unknown
from notifyflow.core.intake.validation import admit_recipients
from notifyflow.core.model import Recipient, Severity
from notifyflow.core.policy import Policy
from notifyflow.errors import Fault, InvalidInput
from notifyflow.service.directory import read_file
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from notifyflow.channels.base import Channel

app = typer.Typer()
_DEFAULT = "default"


@app.command()
def explain(
    recipient: Annotated[
        str | None, typer.Argument(metavar="RECIPIENT", help="A recipient of the directory.", show_default=False)
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=VALUE", help="A label of an alert, which a route matches.", show_default=False),
    ] = None,
    recipients: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file with a list of recipients.", show_default=False)
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="The policy; by default, the route's, or else default.", show_default=False)
    ] = None,
    severity: Annotated[Severity, typer.Option(help="The severity.", case_sensitive=False)] = Severity.CRITICAL,
    as_json: AsJson = False,
) -> None:
    """Show what a policy would do: who is paged how and when, and what cannot happen; nothing is sent."""
    from notifyflow.app import configuration

    if (recipient is not None) + bool(labels) + (recipients is not None) != 1:
        raise typer.BadParameter("give one of these: a recipient of the directory, --label, or --recipients")
    settings = Settings()
    channels = load(settings)
    policies = configuration.read(settings, channels).policies
    people, name = _whom(settings, policies, recipient, labels or [], recipients)
    found = _documents(settings, channels, people, _policy(policies, policy or name), severity)
    if as_json:
        screen.print_json({"forecasts": [each.as_json() for each in found]})
        return
    for each in found:
        _show(each)


def _whom(
    settings: Settings, policies: Mapping[str, Policy], recipient: str | None, labels: Sequence[str], file: str | None
) -> tuple[Sequence[Recipient], str]:
    """Return who is paged, and the name of the policy."""
    if file is not None:
        return read_recipients(files.text(file)), _DEFAULT
    if settings.directory is None:
        raise InvalidInput((Fault("NOTIFYFLOW_DIRECTORY", "is not set", "Set it, or give a file with --recipients"),))
    directory = read_file(Path(settings.directory), policies)
    if recipient is not None:
        if recipient not in directory.recipients:
            raise InvalidInput((unknown("RECIPIENT", "recipient", recipient, directory.recipients),))
        return (directory.recipients[recipient],), _DEFAULT
    pairs = [each.partition("=") for each in labels]
    if wrong := next((name for name, sign, _ in pairs if not (name and sign)), None):
        raise typer.BadParameter(f"{wrong!r} is not a label: write NAME=VALUE, such as team=orders")
    route = directory.route({name: value for name, _, value in pairs}, "")
    return directory.at(route), route.policy


def _policy(policies: Mapping[str, Policy], name: str) -> Policy:
    if name not in policies:
        raise InvalidInput((unknown("--policy", "policy", name, policies),))
    return policies[name]


def _documents(
    settings: Settings, channels: "Mapping[str, Channel]", people: Sequence[Recipient], policy: Policy, severity: Severity
) -> list[ForecastDocument]:
    contacts, faults = admit_recipients(people, lambda channel, address: channels[channel].check_address(address), channels)
    screen.show_faults(faults, style="yellow")
    carriers = {
        name: Carrier(
            providers=tuple(each.name for each in channel.providers),
            has_receipts=bool(channel.providers) and channel.providers[0].capabilities.has_receipts,
        )
        for name, channel in channels.items()
    }
    calling = frozenset(name for name, channel in channels.items() if channel.traits.is_call)
    has_links = bool(settings.public_url and settings.secret_key)
    return [
        ForecastDocument.of_recipient(each, policy, severity, carriers, calling=calling, has_links=has_links) for each in contacts
    ]


def _show(found: ForecastDocument) -> None:
    for line in found.lines():
        screen.out.print(screen.plain(line), markup=False, soft_wrap=True)
