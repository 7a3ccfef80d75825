"""The command that says what a policy would do for a recipient, before it has to."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from notifyflow.channels.registry import load
from notifyflow.cli import screen
from notifyflow.cli.audience import Labels, OneRecipient, PolicyName, RecipientsFile, SeverityName, audiences, policy_of
from notifyflow.cli.options import AsJson
from notifyflow.core.forecast import Carrier
from notifyflow.core.forecast_document import ForecastDocument
from notifyflow.core.intake.validation import admit_recipients
from notifyflow.core.model import Recipient, Severity
from notifyflow.core.policy import Policy
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from notifyflow.channels.base import Channel

app = typer.Typer()


@app.command()
def explain(
    recipient: OneRecipient = None,
    labels: Labels = None,
    recipients: RecipientsFile = None,
    policy: PolicyName = None,
    severity: SeverityName = Severity.CRITICAL,
    as_json: AsJson = False,
) -> None:
    """Show what a policy would do: who is paged how and when, and what cannot happen; nothing is sent."""
    from notifyflow.app import configuration

    settings = Settings()
    channels = load(settings)
    policies = configuration.read(settings, channels).policies
    (audience,) = audiences(settings, policies, recipient, labels or [], recipients)
    found = _documents(settings, channels, audience.people, policy_of(policies, policy or audience.policy), severity)
    if as_json:
        screen.print_json({"forecasts": [each.as_json() for each in found]})
        return
    for each in found:
        _show(each)


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
