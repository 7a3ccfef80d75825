"""The quick form: what a change of pipeline, storage or engine moves, beside bare loops that say how fast the machine is.

Each figure is divided by the yardstick that was measured right before it; only these quotients are compared between two runs.
"""

import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.throughput import delays, rates
from tests.bench.throughput.arena import Arena, arena
from tests.bench.throughput.contestants import OURS
from tests.bench.throughput.series import Measured, in_turn, say

_INSERT = "bare multi-row INSERT"
_UPDATE = "bare: two UPDATEs each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured; the smallest form only shows that everything runs."""

    rounds: int = 3
    recipients: int = 300
    singles: int = 200
    queued_incidents: int = 45
    counted_incidents: int = 17
    lone: int = 100
    updates: int = 1_500
    idle_s: float = 5.0


SMALLEST = Size(rounds=1, recipients=5, singles=6, queued_incidents=1, counted_incidents=1, lone=5, updates=20, idle_s=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of one run.

    Attributes:
        what: What is measured, with its unit.
        values: The value of each round.
        yardstick: What it is compared with in the same round; empty for a count, which does not depend on the machine's speed.
        yards: The yardstick's value of each round.
    """

    what: str
    values: Sequence[float]
    yardstick: str
    yards: Sequence[float]

    @property
    def quotients(self) -> list[float]:
        """The values by the machine's speed: a rate is divided by the yardstick's, a time multiplied; others stay."""
        if self.what.endswith("/s"):
            return [value / yard for value, yard in zip(self.values, self.yards, strict=True)]
        if self.what.endswith(", ms"):
            return [value / 1000 * yard for value, yard in zip(self.values, self.yards, strict=True)]
        return list(self.values)

    @property
    def quotient(self) -> float:
        return statistics.median(self.quotients)


def measure(size: Size) -> list[Figure]:
    """Measure all figures."""
    with arena() as field:
        written = rates.rows_of_ten(field, recipients=max(1, size.recipients // 10))
        queued = rates.queue(field, OURS, incidents=size.queued_incidents)
        counted = rates.queue(field, OURS, incidents=size.counted_incidents)
        insert = lambda: rates.write_rows(field, written)  # noqa: E731
        update = lambda: rates.update_rows(field, count=size.updates)  # noqa: E731
        return [
            *_beside(
                f"accept 1 × {size.recipients} × 3",
                size,
                _INSERT,
                insert,
                lambda: rates.accept_one(field, OURS, recipients=size.recipients),
            ),
            *_beside(
                "accept singles",
                size,
                _UPDATE,
                update,
                lambda: rates.accept_many(field, OURS, incidents=size.singles, callers=10),
            ),
            *_beside("carry", size, _UPDATE, update, lambda: rates.carry(field, OURS, queued)),
            *_beside("alone", size, _UPDATE, update, lambda: _alone(field, size.lone, size.idle_s)),
            *_beside("carry", Size(rounds=1), "", None, lambda: rates.count_statements(field, counted)),
        ]


def _alone(field: Arena, incidents: int, idle_s: float) -> Measured:
    return {
        **delays.notify_alone(field, OURS, incidents=incidents),
        **delays.page_when_idle(field, OURS, incidents=incidents, idle_s=idle_s),
    }


def _beside(
    name: str, size: Size, yardstick: str, bare: Callable[[], Measured] | None, ours: Callable[[], Measured]
) -> list[Figure]:
    measures: Mapping[str, Callable[[], Measured]] = {yardstick: bare, OURS.name: ours} if bare else {OURS.name: ours}
    found = in_turn(name, size.rounds, measures)
    yards = next((each.values for each in found if each.who == yardstick), ())
    return [
        Figure(what=f"{name}: {each.what}", values=each.values, yardstick=yardstick, yards=yards[: len(each.values)])
        for each in found
        if each.who == OURS.name
    ]


def table(figures: Sequence[Figure], before: Sequence[Figure] = ()) -> str:
    """Return the figures as a table, with the change of each quotient in per cent where there is an earlier run."""
    earlier = {figure.what: figure.quotient for figure in before}
    lines = [f"{'':<44} {'median':>10} {'yardstick':>10} {'quotient':>9}  lowest … highest" + "      change" * bool(before)]
    for figure in figures:
        yard = f"{statistics.median(figure.yards):,.0f}" if figure.yards else ""
        low, high = min(figure.quotients), max(figure.quotients)
        line = f"{figure.what:<44} {statistics.median(figure.values):>10,.2f} {yard:>10} {figure.quotient:>9.3g}"
        line += f"  {low:>8.3g} … {high:<8.3g}"
        if was := earlier.get(figure.what):
            line += f"  {100 * (figure.quotient / was - 1):+6.0f} %"
        lines.append(line)
    return "\n".join(lines) + "\n"


def main(*, size: Size, save: Path | None, against: Path | None) -> int:
    """Measure, write the table to standard output, save the figures and compare them with saved ones."""
    before = [Figure(**each) for each in json.loads(against.read_text())] if against else []
    figures = measure(size)
    if save:
        save.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
        say(f"saved as {save}\n")
    sys.stdout.write(table(figures, before))
    return 0
