"""Rehearses the policies in force with the people of the directory, for the commands that check."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from notifyflow.channels.channel_models import calling_of, models_of
from notifyflow.core.delivery.model import Contact
from notifyflow.core.intake.validation import check_recipients
from notifyflow.core.oncall.reach import carried_to
from notifyflow.errors import InvalidInput
from notifyflow.service.oncall.directory import read_file
from notifyflow.service.rehearsals import rehearsed
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from notifyflow.app.configuration import Configuration
    from notifyflow.channels.base import Channel
    from notifyflow.core.upkeep.rehearsal import RehearsalFinding


def findings(
    configuration: "Configuration", people: Collection[Contact], channels: "Mapping[str, Channel]"
) -> "tuple[RehearsalFinding, ...]":
    """Return the dangers of a page that wakes nobody, for each policy, severity and person."""
    models, calling = models_of(channels), calling_of(channels)
    return rehearsed(configuration.policies, people, configuration.operations, models, calling)


def people_of(settings: Settings, configuration: "Configuration", channels: "Mapping[str, Channel]") -> Collection[Contact]:
    """Return the people of the directory at the addresses that a provider carries; nobody without a usable one."""
    if settings.directory is None:
        return ()
    try:
        directory = read_file(settings.directory, configuration.policies)
    except InvalidInput:  # a fault reports it
        return ()
    carried = frozenset(name for name, channel in channels.items() if channel.providers)
    recipients = list(directory.recipients.values())
    contacts, _ = check_recipients(recipients, lambda channel, address: channels[channel].check_address(address), channels)
    return [carried_to(each, carried) for each in contacts]
