"""Figures measured in turn, round after round."""

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

OURS_NAME = "notifyflow"
BUDGET_S = 60.0
Measured = Mapping[str, float]
"""What was measured (with its unit, as in ``p50, ms``) to its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One figure of one contestant.

    Attributes:
        scenario: The scenario's name.
        what: What is measured, with its unit.
        who: The contestant.
        values: The value of each round.
    """

    scenario: str
    what: str
    who: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def in_turn(
    scenario: str, rounds: int, measures: Mapping[str, Callable[[], Measured]], *, budget_s: float = BUDGET_S
) -> list[Series]:
    """Measure all, one after the other, and that so many times, or as often as can be begun in the time, which is a minute.

    A measurement that fails is said and left out, so that the others go on.
    """
    began = time.monotonic()
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(rounds):
        if number and time.monotonic() - began > budget_s:
            break
        for who, measure in measures.items():
            try:
                measured = measure()
            except (AssertionError, TimeoutError) as error:
                say(f"{scenario}, round {number + 1}: {who} failed: {str(error).strip().splitlines()[-1]}\n")
                continue
            for what, value in measured.items():
                found[what, who].append(value)
            shown = "; ".join(f"{value:,.4g} {what}" for what, value in measured.items())
            say(f"{scenario}, round {number + 1}: {who}: {shown}\n")
    return [Series(scenario=scenario, what=what, who=who, values=values) for (what, who), values in found.items()]


def percentile(values: Sequence[float], share: float) -> float:
    """Return a quantile."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def ratios(one: Series, other: Series) -> list[float]:
    """Return the ratio of each round."""
    return [mine / theirs for mine, theirs in zip(one.values, other.values, strict=False) if theirs]


def say(text: str) -> None:
    """Write to standard error, at once; standard output is for the result."""
    sys.stderr.write(text)
    sys.stderr.flush()
