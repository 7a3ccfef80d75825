"""Validates the chain of a submission: the steps that page further people while nobody acknowledges.

``directory`` validates the chains of routes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from notifyflow.core import text
from notifyflow.core.delivery.chain import LAST_STEP, LONGEST_STEP, MOST_STEPS, OPERATIONS, Chain, Planned
from notifyflow.core.delivery.model import Contact, Recipient, Step
from notifyflow.core.delivery.policy import Acknowledgement, Policy
from notifyflow.core.forms import unknown
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.intake.validation import CheckAddress, CheckedChain, check_recipients
from notifyflow.errors import Fault


def check_chain(
    then: Sequence[Step],
    first: Sequence[Recipient],
    check: CheckAddress,
    channels: Collection[str],
    *,
    over_after: timedelta | None = None,
    policy: Policy | None = None,
    names: Collection[str] = (),
) -> CheckedChain:
    """Validate the steps that follow the first one of a submission; without any there is no chain.

    Args:
        then: The steps.
        first: The recipients who are paged at once.
        check: Returns an address, normalised.
        channels: The known channels.
        over_after: The time of the last step; None for the default.
        policy: The policy of the submission; None if it is not known.
        names: The names that the directory knows.
    """
    wrong = tuple(_end_faults(over_after, has_steps=bool(then)))
    if not then:
        return CheckedChain(refusals=wrong)
    to = tuple(dict.fromkeys(each.id for each in first if isinstance(each, Recipient)))
    refusals = [
        *_whole_faults(then, policy),
        *wrong,
        *(fault for index, step in enumerate(then) for fault in _type_faults(index, step)),
    ]
    if refusals:
        return CheckedChain(refusals=tuple(refusals))
    people, faults = _people(then, check, channels)
    known = {*to, *people, *names, OPERATIONS}
    refusals = [fault for index, step in enumerate(then) for fault in _step_faults(index, step, known, is_last=step is then[-1])]
    planned = tuple(Planned(to=_ids(step), after=LAST_STEP if step.after is None else step.after) for step in then)
    later = tuple(contact for who, contact in people.items() if who not in to)
    chain = Chain(to=to, then=planned, people=later, over_after=LAST_STEP if over_after is None else over_after)
    return CheckedChain(chain=chain, refusals=tuple(refusals), faults=faults)


def _people(
    then: Sequence[Step], check: CheckAddress, channels: Collection[str]
) -> tuple[Mapping[str, Contact], tuple[Fault, ...]]:
    """Return the recipients in steps, and their faults; of a recipient in several steps, the first counts."""
    found: dict[str, Contact] = {}
    faults: list[Fault] = []
    for index, step in enumerate(then):
        places = [number for number, each in enumerate(step.to) if isinstance(each, Recipient)]
        contacts, wrong = check_recipients(
            [each for each in step.to if isinstance(each, Recipient)], check, channels, may_be_empty=True
        )
        for fault in wrong:
            number, _, field = fault.where.removeprefix("recipients[").partition("]")
            faults.append(Fault(f"then[{index}].to[{places[int(number)]}]{field}", fault.what, fault.remedy))
        for each in contacts:
            found.setdefault(each.recipient_id, each)
    return FrozenDict(found), tuple(faults)


def _ids(step: Step) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.id if isinstance(each, Recipient) else each for each in step.to))


def _whole_faults(then: Sequence[Step], policy: Policy | None) -> Iterator[Fault]:
    if len(then) > MOST_STEPS:
        yield Fault("then", f"it has {len(then):,} steps, {MOST_STEPS} are allowed", "Page more people in one step")
    if policy is not None and policy.acknowledgement is Acknowledgement.EACH:
        what = f"the policy {policy.name} wants an acknowledgement of each recipient, so that nothing is handed on"
        yield Fault("then", what, "Leave it out, or choose a policy that one acknowledgement ends")


def _end_faults(over_after: Any, *, has_steps: bool) -> Iterator[Fault]:
    if over_after is None:
        return
    if not isinstance(over_after, timedelta):  # the value is not narrowed: callers pass any
        yield Fault("over_after", f"it is {type(over_after).__name__}, not timedelta", "Give it as the reference says")
    elif not has_steps:
        yield Fault("over_after", "it is the time of the last step, and there is no `then`", "Add steps, or leave it out")
    else:
        yield from time_faults("over_after", over_after)


def time_faults(where: str, after: timedelta) -> Iterator[Fault]:
    """Yield the fault of the time of a step."""
    if not timedelta(0) < after <= LONGEST_STEP:
        what = f"{text.duration(after)} is not a valid time of a step"
        yield Fault(where, what, "Give more than 0 and at most 24 h, such as 10m")


def _type_faults(index: int, step: Any) -> Iterator[Fault]:
    """Yield values of the wrong type; nothing else can be validated until they are corrected."""
    remedy = "Give it as the reference says"
    if not issubclass(type(step), Step):  # the values are not narrowed: callers pass any
        yield Fault(f"then[{index}]", f"it is {type(step).__name__}, not Step", remedy)
        return
    if step.after is not None and not isinstance(step.after, timedelta):
        yield Fault(f"then[{index}].after", f"it is {type(step.after).__name__}, not timedelta", remedy)
    for number, each in enumerate(step.to):
        if not isinstance(each, Recipient | str):
            yield Fault(f"then[{index}].to[{number}]", f"it is {type(each).__name__}, not Recipient", remedy)


def _step_faults(index: int, step: Step, known: Collection[str], *, is_last: bool) -> Iterator[Fault]:
    where = f"then[{index}]"
    if step.after is not None:
        yield from time_faults(f"{where}.after", step.after)
    if not step.to:
        yield Fault(f"{where}.to", "it is empty", f"Give recipients, names of the directory or {OPERATIONS}")
    if OPERATIONS in step.to and not (is_last and len(step.to) == 1):
        remedy = "Make it the last step, alone, or leave it out: a chain that ends unacknowledged pages them anyway"
        yield Fault(f"{where}.to", f"{OPERATIONS} stands beside others or before the last step", remedy)
    for number, each in enumerate(step.to):
        if isinstance(each, str) and each not in known:
            yield unknown(f"{where}.to[{number}]", "schedule" if each.startswith("@") else "recipient or group", each, known)
