"""The forecast of an audience before an incident: the chain of its route, with the people who are on duty."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from notifyflow.channels.channel_models import calling_of, models_of
from notifyflow.cli.frame.audience import Audience, usable_contacts
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.upkeep.chain_forecast import ExpectedChain, expected_chain
from notifyflow.core.upkeep.forecast import fresh_escalation

if TYPE_CHECKING:
    from notifyflow.channels.base import Channel


def chain_of(
    audience: Audience,
    policy: Policy,
    severity: Severity,
    channels: "Mapping[str, Channel]",
    operations: Sequence[Contact],
    *,
    has_quiet_hours: bool = False,
) -> ExpectedChain | None:
    """Return the expected course of the route's chain, with its people's quiet hours if asked; None if it has none."""
    if audience.route is None or not audience.has_chain:
        return None
    return expected_chain(
        audience.route,
        audience.roster,
        operations=operations,
        contacts_of=lambda found: usable_contacts(found.recipients, channels),
        fresh=lambda contact: fresh_escalation(contact, policy, severity, calling_of(channels)),
        models=models_of(channels),
        begins_at=audience.begins_at,
        quiet_for=severity if has_quiet_hours else None,
    )
