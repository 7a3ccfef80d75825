"""The command that says what a policy would do for a recipient, before it has to."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

import notifyflow
from notifyflow.app.clock_and_ids import system_now
from notifyflow.app.database import is_there
from notifyflow.channels.registry import load
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.audience import (
    Labels,
    OneRecipient,
    PolicyName,
    RecipientsFile,
    SeverityName,
    audiences,
    policy_of,
    usable_contacts,
)
from notifyflow.cli.frame.options import AsJson, label_pairs
from notifyflow.cli.silences import documents
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.insight import silence_words
from notifyflow.core.insight.times import Times
from notifyflow.core.limits.silences import Silence
from notifyflow.errors import StorageError
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from notifyflow.channels.base import Channel
    from notifyflow.core.upkeep.forecast import Obstacles
    from notifyflow.core.upkeep.forecast_document import ForecastDocument

app = typer.Typer()


@app.command()
def explain(
    recipient: OneRecipient = None,
    labels: Labels = None,
    recipients: RecipientsFile = None,
    policy: PolicyName = None,
    severity: SeverityName = None,
    as_json: AsJson = False,
) -> None:
    """Show what a policy or a chain would do: who is paged how and when, and what cannot happen; nothing is sent."""
    from notifyflow.app import configuration
    from notifyflow.cli.upkeep.expected import chain_of
    from notifyflow.core.upkeep.chain_document import ExpectedChainDocument

    settings = Settings()
    channels = load(settings)
    read = configuration.read(settings, channels)
    found: list[ForecastDocument] = []
    chain = None
    who = audiences(settings, read.policies, recipient, labels or [], recipients, policy=policy)
    for each in who:
        chosen, how = policy_of(read.policies, policy or each.policy), severity or each.severity
        expected = chain_of(each, chosen, how, channels, read.operations)
        contacts = usable_contacts(each.people, channels) if expected is None else expected.contacts
        found += _documents(settings, channels, contacts, chosen, how, is_in_chain=expected is not None)
        chain = None if expected is None else ExpectedChainDocument.of_chain(expected, chosen, how)
    held = _silences(settings, label_pairs(labels or ()))
    if as_json:
        shown = {"forecasts": [document.as_json() for document in found], "chain": chain and chain.as_json()}
        screen.print_json({**shown, "silences": documents(held)})
        return
    _show(f"! {silence_words.forecast(each, at=Times(None, system_now()).local)}" for each in held)
    _show(() if chain is None else chain.lines(who[0].name))
    for document in found:
        _show(document.lines())


def _documents(
    settings: Settings,
    channels: "Mapping[str, Channel]",
    contacts: Sequence[Contact],
    policy: Policy,
    severity: Severity,
    *,
    is_in_chain: bool,
) -> "list[ForecastDocument]":
    from notifyflow.channels.channel_models import calling_of, models_of
    from notifyflow.core.upkeep.forecast_document import NOTHING, ForecastDocument

    obstacles = _obstacles(settings, channels, contacts)
    models, calling = models_of(channels), calling_of(channels)
    has_links = bool(settings.public_url and settings.secret_key)
    return [
        ForecastDocument.of_recipient(
            each,
            policy,
            severity,
            models,
            calling=calling,
            has_links=has_links,
            is_bundling=settings.bundling,
            obstacles=obstacles.get(each.recipient_id, NOTHING),
            is_in_chain=is_in_chain,
        )
        for each in contacts
    ]


def _obstacles(settings: Settings, channels: "Mapping[str, Channel]", contacts: Sequence[Contact]) -> "Mapping[str, Obstacles]":
    """Return what stands in the way of messages to each recipient, from the database, if there is one."""
    from notifyflow.core.upkeep.forecast import Obstacles

    if not is_there(settings.database_url.get_secret_value()):
        return {}
    try:
        with notifyflow.NotifyFlow(settings) as flow:
            pauses = flow.pauses.in_force()
            opt_outs = flow.overview.opt_outs({address for each in contacts for address in each.addresses.values()})
    except StorageError as error:
        screen.warn(f"Pauses, silences and STOP are not considered: {error}")
        return {}
    return {
        each.recipient_id: Obstacles(pauses=pauses, opted_out=frozenset(_opted_out(each, channels, opt_outs)))
        for each in contacts
    }


def _silences(settings: Settings, labels: Mapping[str, str]) -> Sequence[Silence]:
    """Return the silences in force whose labels an alert has, from the database, if there is one."""
    if not labels or not is_there(settings.database_url.get_secret_value()):
        return ()
    try:
        with notifyflow.NotifyFlow(settings) as flow:
            found = flow.silences.in_force()
    except StorageError:  # pauses are read from the same database, and the warning is shown there
        return ()
    return [each for each in found if each.matchers.match_labels(labels)]


def _opted_out(contact: Contact, channels: "Mapping[str, Channel]", opt_outs: Collection[tuple[str, str]]) -> Iterator[str]:
    """Yield the channels on which a recipient has sent STOP to every number of ours."""
    for name, address in contact.addresses.items():
        senders = [provider.sender for provider in channels[name].providers]
        if channels[name].capabilities.has_text_replies and senders and all((address, each) in opt_outs for each in senders):
            yield name


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        screen.out.print(screen.plain(line), markup=False, soft_wrap=True)
