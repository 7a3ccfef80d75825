"""The command that rehearses incidents while providers fail, for a person or for continuous integration; nothing leaves."""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from notifyflow.app import log_output
from notifyflow.app.clock_and_ids import system_now
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
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.frame.options import AsJson
from notifyflow.core.delivery.chain import OPERATIONS
from notifyflow.core.forms import unknown
from notifyflow.core.local_times import read_time
from notifyflow.errors import InvalidInput
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from notifyflow.channels.base import Channel
    from notifyflow.core.delivery.model import Contact
    from notifyflow.core.oncall.directory import Route
    from notifyflow.core.upkeep.chain_forecast import ExpectedChain
    from notifyflow.core.upkeep.drill_document import DrillDocument
    from notifyflow.testing.drill import Later

app = typer.Typer()
_TIME = "as in 03:00, '2026-12-24 03:00'; in UTC unless it has an offset"


@app.command()
def drill(
    recipient: OneRecipient = None,
    labels: Labels = None,
    recipients: RecipientsFile = None,
    fail: Annotated[
        str, typer.Option(metavar="NAMES", help="Providers and channels that fail: twilio,slack.", show_default=False)
    ] = "",
    script: Annotated[
        str, typer.Option(metavar="TEXT", help="More faults, as a script of the sandbox.", show_default=False)
    ] = "",
    policy: PolicyName = None,
    severity: SeverityName = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help=f"When it begins, {_TIME}; then quiet hours count, too.", show_default=False),
    ] = None,
    storm: Annotated[
        int | None,
        typer.Option("--storm", metavar="NUMBER", min=2, max=50, help="Rehearse so many incidents at once.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rehearse an incident on a virtual clock while providers fail: is everybody reached, or operations told? Nothing is sent."""
    from notifyflow.app import configuration
    from notifyflow.cli.upkeep.expected import chain_of
    from notifyflow.core.upkeep.drill_document import DrillDocument
    from notifyflow.testing.drill import Rehearsal

    settings = Settings()
    channels = load(settings)
    found = configuration.read(settings, channels)
    begins_at = None if at is None else read_time(at, ZoneInfo("UTC"), where="--at", after=system_now())
    failing = [name for each in fail.split(",") if (name := each.strip())]
    _check_names(failing, channels)
    who = audiences(settings, found.policies, recipient, labels or [], recipients, policy=policy, is_one=False, at=begins_at)
    rehearsal = Rehearsal(settings, channels, found.operations, failing=failing, script=script, begins_at=begins_at, storm=storm)
    drilled = []
    with log_output.only_to(logging.NullHandler()):
        for each in who:
            chosen, how = policy_of(found.policies, policy or each.policy), severity or each.severity
            expected = chain_of(each, chosen, how, channels, found.operations, has_quiet_hours=at is not None)
            if each.route is None or expected is None:
                drilled.append(rehearsal.run(each.name, usable_contacts(each.people, channels), chosen, how))
                continue
            people, then = _steps(each.route, expected)
            drilled.append(rehearsal.run(each.name, people, chosen, how, then, over_after=each.route.over_after))
    is_passed = all(each.is_passed for each in drilled)
    document = DrillDocument(is_passed=is_passed, failing=failing, incidents=drilled, warnings=list(rehearsal.warnings()))
    _show(document, as_json=as_json)
    if not is_passed:
        raise typer.Exit(Exit.FAILED)


def _steps(route: "Route", chain: "ExpectedChain") -> "tuple[Sequence[Contact], Sequence[Later]]":
    """Return the people that a chain pages at once, and its later steps; a step without people is skipped at once."""
    from notifyflow.testing.drill import Later

    contacts = {each.recipient_id: each for each in chain.contacts}
    then: list[Later] = []
    passed: timedelta | None = None
    for step, found in zip(route.then, chain.steps[1:], strict=True):
        after = step.after if passed is None else passed
        if not found.people:
            passed = after
            continue
        people = None if step.to == (OPERATIONS,) else [contacts[each] for each in found.people]
        then.append(Later(after=after, people=people))
        passed = None
    return [contacts[each] for each in chain.steps[0].people], then


def _check_names(names: Collection[str], channels: "Mapping[str, Channel]") -> None:
    known = sorted({*channels, *(name for channel in channels.values() for name in channel.provider_names)})
    faults = tuple(unknown("--fail", "provider or channel", name, known) for name in names if name not in known)
    if faults:
        raise InvalidInput(faults)


def _show(document: "DrillDocument", *, as_json: bool) -> None:
    if as_json:
        screen.print_json(document)
        return
    for line in document.lines():
        screen.out.print(screen.plain(line), markup=False, soft_wrap=True)
