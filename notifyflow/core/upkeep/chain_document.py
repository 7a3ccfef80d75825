"""The forecast of a chain as one document, which ``notifyflow explain`` prints in words or as JSON."""

from collections.abc import Iterator
from typing import Self

from pydantic import Field

from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.document import Document
from notifyflow.core.text import listed
from notifyflow.core.upkeep.chain_forecast import ExpectedChain, ExpectedStep, chain_warnings
from notifyflow.core.upkeep.forecast_document import span


class ExpectedStepDocument(Document):
    """A step of a chain; durations count from the incident's beginning, in seconds."""

    number: int
    to: list[str] = Field(description="Whom it names: recipients, groups, schedules with @, or operations.")
    after_s: float = Field(description="When it starts if each step before takes its time.")
    soonest_s: float = Field(description="When it starts if every message of the steps before is refused for good.")
    people: list[str] = Field(description="The ids of the people it would page after its time; empty if it is skipped.")
    duty: dict[str, list[str]] = Field(description="Each of its schedules, with @, to the ids of the people on duty then.")


class ExpectedChainDocument(Document):
    """What a chain would do if nobody acknowledges."""

    steps: list[ExpectedStepDocument]
    over_after_s: float = Field(description="When operations is told that nobody has acknowledged.")
    names: dict[str, str] = Field(description="The names of its people, by id.")
    warnings: list[str] = Field(description="What cannot happen.")

    @classmethod
    def of_chain(cls, found: ExpectedChain, policy: Policy, severity: Severity) -> Self:
        """Build it from the forecast of a chain, for a policy and a severity."""
        return cls(
            steps=list(map(_step, found.steps)),
            over_after_s=found.over_after.total_seconds(),
            names={each.recipient_id: each.name for each in found.contacts},
            warnings=list(chain_warnings(found, policy, severity)),
        )

    def lines(self, name: str) -> Iterator[str]:
        """Yield the chain in words, a line for each step; the name is that of the alert."""
        yield f"{name}: a chain of {len(self.steps)} steps, unless somebody acknowledges"
        for step in self.steps:
            yield f"  {step.number}. {_when(step)}: {self._who(step)}"
        yield f"  operations is told after {span(self.over_after_s)} that nobody has acknowledged"
        yield from (f"  ! {each}" for each in self.warnings)

    def _who(self, step: ExpectedStepDocument) -> str:
        people = listed([self.names[each] for each in step.people]) or "nobody"
        names = [each for each in step.to if each != people]
        return f"{people} ({listed(names)})" if names and names != step.people else people


def _step(step: ExpectedStep) -> ExpectedStepDocument:
    return ExpectedStepDocument(
        number=step.number,
        to=list(step.names),
        after_s=step.after.total_seconds(),
        soonest_s=step.soonest.total_seconds(),
        people=list(step.people),
        duty={name: list(people) for name, people in step.duty.items()},
    )


def _when(step: ExpectedStepDocument) -> str:
    if not step.after_s:
        return "at once"
    if step.soonest_s >= step.after_s:
        return f"after {span(step.after_s)}"
    soonest = f"after {span(step.soonest_s)}" if step.soonest_s >= 1 else "at once"
    return f"after {span(step.after_s)}, or {soonest} if every message before is refused"
