"""The course of a chain if nobody acknowledges: whom each step would page, and when, however providers answer; pure.

A step starts after its time, or sooner when every way to everybody in the step before has failed. Running their escalations shows
how soon that can be (``forecast.ForecastRun``). Nothing here restates a rule.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.delivery import chain
from notifyflow.core.delivery.intervals import moved
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.policy import Acknowledgement, Policy
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.limits import quiet
from notifyflow.core.oncall.directory import OPERATIONS, Route
from notifyflow.core.oncall.roster import Resolved, Roster
from notifyflow.core.upkeep.forecast import ChannelModel, ForecastRun, ProviderBehaviour

_AT_ONCE = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedStep:
    """A step of a chain; its times count from the incident's beginning.

    Attributes:
        number: Its number, from 1.
        after: When it starts if each step before takes its time.
        soonest: When it starts if every message of the steps before is refused for good.
        people: The ids of the people that it would page after its time; empty if nobody is left or on duty.
        duty: Each schedule in it, as ``@primary``, → the ids of the people on duty then.
        known: The ids of the people that an earlier step pages already.
    """

    number: int
    names: tuple[str, ...]
    after: timedelta
    soonest: timedelta
    people: tuple[str, ...] = ()
    duty: Mapping[str, tuple[str, ...]] = FrozenDict()
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedChain:
    """The expected course of a chain.

    Attributes:
        over_after: When operations is told that nobody has acknowledged, if each step takes its time.
        contacts: The people of its steps, in the order of the steps; personal.
    """

    steps: tuple[ExpectedStep, ...]
    over_after: timedelta
    contacts: tuple[Contact, ...]


def expected_chain(
    route: Route,
    roster: Roster,
    *,
    operations: Sequence[Contact],
    contacts_of: Callable[[Resolved], Sequence[Contact]],
    fresh: Callable[[Contact], DecisionContext],
    models: Mapping[str, ChannelModel],
    begins_at: datetime,
    quiet_for: Severity | None = None,
) -> ExpectedChain:
    """Return the expected course of a route's chain.

    Args:
        route: The route; a route without later steps has one step.
        roster: The roster.
        operations: The operations recipients.
        contacts_of: Returns the people with their usable addresses.
        fresh: Returns a fresh escalation to a recipient.
        models: The model of each channel.
        begins_at: When the incident begins.
        quiet_for: The severity for which quiet hours put off steps; None leaves quiet hours out.
    """

    def over_after(after: timedelta, wait: timedelta, people: Sequence[Contact]) -> timedelta:
        since = begins_at + after
        nights = quiet.step_intervals(people, quiet_for, wait, since=since, now=since) if quiet_for else ()
        return moved(since + wait, nights, since=since) - begins_at

    steps: list[ExpectedStep] = []
    paged: dict[str, Contact] = {}
    last: list[Contact] = []
    after = soonest = _AT_ONCE
    for number, (names, wait) in enumerate(((route.to, _AT_ONCE), *((each.to, each.after) for each in route.then)), start=1):
        after = over_after(after, wait, last) if last else after  # one that is passed is followed at once
        soonest += min(wait, max((_spent_after(fresh(each), models, wait) for each in last), default=_AT_ONCE))
        resolved = Resolved(recipients=()) if names == (OPERATIONS,) else roster.people(names, begins_at + after)
        people = list(operations if names == (OPERATIONS,) else contacts_of(resolved))
        last = [each for each in people if each.recipient_id not in paged]
        steps.append(
            ExpectedStep(
                number=number,
                names=names,
                after=after,
                soonest=soonest,
                people=tuple(each.recipient_id for each in last),
                duty=resolved.duty,
                known=tuple(each.recipient_id for each in people if each.recipient_id in paged),
            )
        )
        paged |= {each.recipient_id: each for each in last}
    return ExpectedChain(
        steps=tuple(steps),
        over_after=over_after(after, route.over_after, last) if last else after,
        contacts=tuple(paged.values()),
    )


def chain_warnings(found: ExpectedChain, policy: Policy, severity: Severity) -> Iterator[str]:
    """Yield, in words, what cannot happen in a chain."""
    if policy.acknowledgement is Acknowledgement.EACH:
        yield f"the policy {policy.name} asks everybody to acknowledge, so that it refuses a chain"
    if severity is Severity.INFO:
        yield "INFO starts no later step"
    for step in found.steps:
        nobody = [name for name, people in step.duty.items() if not people]
        if nobody:
            yield f"step {step.number}: nobody is on duty for {' and '.join(nobody)} then"
        if not step.people:
            why = "its people are paged already" if step.known else "none of its people can be paged"
            yield f"step {step.number} pages nobody, and the next one starts at once: {why}"
    if not any(step.people for step in found.steps):
        yield "the chain pages nobody at all"


def _spent_after(fresh: DecisionContext, models: Mapping[str, ChannelModel], wait: timedelta) -> timedelta:
    """Return how soon every way to a recipient can have failed; ``wait`` if that is not before their next round."""
    run = ForecastRun(fresh, models, ProviderBehaviour.REFUSED, takes=timedelta(), fraction=0.0)
    start = fresh.escalation.started_at
    for event in run.events():
        if event.at is not None and chain.has_all_failed(run.context, event.at):
            return event.at - start
    return wait
