"""Writes the machines as diagrams (Mermaid, Graphviz) and as reST tables, from the tables that run; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from notifyflow.core.machines import ESCALATION, INCIDENT, NOTIFICATION, Table
from notifyflow.core.model import EscalationState
from notifyflow.core.policy import DEFAULT, Failed, Policy, Tier

_TABLES = (NOTIFICATION, ESCALATION, INCIDENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """An arrow from one state to another, with all events that lead along it."""

    source: str
    target: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A diagram: states in reading order, and the arrows between them.

    Attributes:
        name: An identifier.
        title: The title that readers see.
        states: Identifier to the text in the box.
        initial_states: The states to which arrows lead from the start.
        ends: The final states.
        arrows: The arrows, at most one for each pair of states.
    """

    name: str
    title: str
    states: dict[str, str]
    initial_states: tuple[str, ...]
    ends: tuple[str, ...]
    arrows: tuple[Arrow, ...]


def draw(table: Table) -> Drawing:
    """Return the diagram of a machine; moves that keep the state are drawn only if the table says so."""
    return Drawing(
        name=table.name,
        title=table.name.capitalize(),
        states={str(state): str(state) for state in table.states},
        initial_states=table.initial_states,
        ends=table.ends,
        arrows=_merge(
            (str(source), str(target), event.name)
            for event in table.events
            for source, targets in event.moves.items()
            for target in targets
            if source != target or event.is_loop_drawn
        ),
    )


def unroll(policy: Policy) -> Drawing:
    """Return the diagram of an escalation under a policy: ACTIVE is unrolled into the policy's tiers."""
    active = str(EscalationState.ACTIVE)
    numbers = {f"{active}_{number}": tier for number, tier in enumerate(policy.tiers, start=1)}
    steps = list(numbers)
    machine = draw(ESCALATION)
    opened = [
        (source, target, label)
        for source, target in pairwise(steps)
        for label in _conditions(policy.tiers[steps.index(target) :])
    ]
    ways_out = [
        (step, arrow.target, label)
        for step in steps
        for arrow in machine.arrows
        if arrow.source == active != arrow.target
        for label in _ways_out(arrow)
    ]
    others = {state: text for state, text in machine.states.items() if state != active}
    return Drawing(
        name=_id(f"policy {policy.name}"),
        title=f"Escalation under the policy {policy.name}",
        states={step: f"{active} {number}: {', '.join(tier.channels)}" for number, (step, tier) in enumerate(numbers.items(), 1)}
        | others,
        initial_states=(steps[0],),
        ends=machine.ends,
        arrows=_merge(opened + ways_out),
    )


def drawings() -> tuple[Drawing, ...]:
    """Return all diagrams: the three machines, and the escalation under the policy ``default``."""
    return (*map(draw, _TABLES), unroll(DEFAULT))


def mermaid(drawn: Sequence[Drawing] | None = None) -> str:
    """Return diagrams as one Mermaid state diagram, side by side; by default all of them."""
    drawn = drawings() if drawn is None else drawn
    lines = ["stateDiagram-v2"]
    for drawing in drawn:
        if len(drawn) == 1:
            lines += _mermaid(drawing, "")
        else:
            inner = (f"    {line}" for line in _mermaid(drawing, f"{drawing.name}_"))
            lines += [f"    state {_quoted(drawing.title)} as {drawing.name} {{", *inner, "    }"]
    return "\n".join(lines) + "\n"


def dot(drawn: Sequence[Drawing] | None = None) -> str:
    """Return diagrams as one Graphviz graph; by default all of them."""
    drawn = drawings() if drawn is None else drawn
    lines = [
        "digraph notifyflow {",
        '    graph [rankdir=TB, bgcolor=white, fontname="Helvetica", nodesep=0.6, ranksep=0.7];',
        '    node [shape=box, style=rounded, fontname="Helvetica"];',
        '    edge [fontname="Helvetica", fontsize=10];',
    ]
    for drawing in drawn:
        lines += [f"    subgraph cluster_{drawing.name} {{", f"        label={_quoted(drawing.title)};", *_dot(drawing), "    }"]
    return "\n".join([*lines, "}"]) + "\n"


def rst(tables: Iterable[Table] = _TABLES) -> str:
    """Return machines as reST tables: every state and every event, with its meaning and all its moves."""
    return "\n".join(line for table in tables for line in _rst(table)) + "\n"


def _merge(moves: Iterable[tuple[str, str, str]]) -> tuple[Arrow, ...]:
    """Merge the moves from one state to another into one arrow."""
    labels: dict[tuple[str, str], list[str]] = {}
    for source, target, label in moves:
        labels.setdefault((source, target), []).append(label)
    return tuple(Arrow(source=source, target=target, labels=tuple(each)) for (source, target), each in labels.items())


def _ways_out(arrow: Arrow) -> tuple[str, ...]:
    """Return the labels of an arrow out of ACTIVE; the many decisions get one label."""
    is_decision = arrow.target in (EscalationState.REACHED, EscalationState.EXHAUSTED)
    return ("nothing pending",) if is_decision else arrow.labels


def _conditions(ahead: Sequence[Tier]) -> Iterator[str]:
    """Yield what opens the first of these tiers, the severities that pass it at once, and those that never reach it."""
    tier, *behind = ahead
    for rule in tier.rules:
        yield f"{rule.at_least} failed" if isinstance(rule, Failed) else f"unacknowledged after {_span(rule.after)}"
    last = [each for each in tier.shut_for if all(each in later.shut_for for later in behind)]
    passed = [each for each in tier.shut_for if each not in last]
    if passed:
        yield f"passed at once for {', '.join(passed)}"
    if last:
        yield f"never for {', '.join(last)}"


def _span(span: timedelta) -> str:
    minutes, seconds = divmod(span.total_seconds(), 60)
    return f"{minutes:g} min" if not seconds else f"{span.total_seconds():g} s"


def _id(name: str) -> str:
    return "".join(char if char.isalnum() and char.isascii() else "_" for char in name)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"'


def _mermaid(drawing: Drawing, prefix: str) -> Iterator[str]:
    for state, text in drawing.states.items():
        yield f"    state {_quoted(text)} as {prefix}{state}"
    for state in drawing.initial_states:
        yield f"    [*] --> {prefix}{state}"
    for arrow in drawing.arrows:
        yield f"    {prefix}{arrow.source} --> {prefix}{arrow.target}: {'<br/>'.join(arrow.labels)}"
    for state in drawing.ends:
        yield f"    {prefix}{state} --> [*]"


def _dot(drawing: Drawing) -> Iterator[str]:
    prefix = drawing.name
    yield f'        {prefix} [shape=point, width=0.15, label=""];'
    for state, text in drawing.states.items():
        border = ", peripheries=2" if state in drawing.ends else ""
        yield f"        {prefix}_{state} [label={_quoted(text)}{border}];"
    for state in drawing.initial_states:
        yield f"        {prefix} -> {prefix}_{state};"
    for arrow in drawing.arrows:
        label = _quoted("\\n".join(arrow.labels))
        yield f"        {prefix}_{arrow.source} -> {prefix}_{arrow.target} [label={label}];"


def _rst(table: Table) -> Iterator[str]:
    yield from _list_table(
        f"States of the {table.name} machine",
        ("State", "Meaning"),
        ((f"``{state}``", f"{meaning}.") for state, meaning in table.states.items()),
    )
    yield from _list_table(
        f"Events of the {table.name} machine",
        ("Event", "Meaning", "Moves", "Late in"),
        (
            (
                f"``{event.name}``",
                f"{event.meaning}.",
                "; ".join(f"{source} → {' or '.join(targets)}" for source, targets in event.moves.items()),
                ", ".join(event.late) or "never",
            )
            for event in table.events
        ),
    )


def _list_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from (f".. list-table:: {title}", "   :header-rows: 1", "")
    for row in (head, *rows):
        for number, text in enumerate(row):
            yield f"   {'* -' if number == 0 else '  -'} {text}"
    yield ""
