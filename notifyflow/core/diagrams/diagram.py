"""Writes the machines as diagrams (Mermaid, Graphviz) and as reST tables, from the tables that run; pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

from notifyflow.core.copies import replace
from notifyflow.core.delivery.machines import ESCALATION, INCIDENT, NOTIFICATION, STEP
from notifyflow.core.delivery.model import EscalationState
from notifyflow.core.delivery.policy import DEFAULT, Failed, Policy, Tier, opening_rules
from notifyflow.core.diagrams.layout import COLOURS, LAYOUTS, PALETTE, EdgeKind, StateColour, View
from notifyflow.core.state_machine import MachineTable

TABLES = (NOTIFICATION, ESCALATION, INCIDENT, STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """An arrow from one state to another, with the words or all the events that lead along it."""

    source: str
    target: str
    labels: tuple[str, ...]
    kind: EdgeKind


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
        is_wide: Whether it is read from left to right, not from top to bottom.
    """

    name: str
    title: str
    states: dict[str, str]
    initial_states: tuple[str, ...]
    ends: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    colours: Mapping[str, StateColour] = field(default_factory=dict)
    is_wide: bool = False


def draw(table: MachineTable) -> Drawing:
    """Return the full diagram of a machine; moves that keep the state are drawn only if the table says so."""
    moves = (
        (str(source), str(target), event.name)
        for event in table.events
        for source, targets in event.moves.items()
        for target in targets
        if source != target or event.is_loop_drawn
    )
    layout = LAYOUTS[table.name]
    return replace(
        draw_simple(table),
        initial_states=table.initial_states,
        ends=table.ends,
        arrows=_merge(moves, lambda source, target: layout.edge(source, target).kind),
        is_wide=False,
    )


def draw_simple(table: MachineTable) -> Drawing:
    """Return the simple diagram of a machine: the usual way, retries, failures and stops."""
    found = LAYOUTS[table.name]
    return Drawing(
        name=table.name,
        title=table.name.capitalize(),
        states={str(state): str(state) for state in table.states},
        initial_states=(table.initial_states[0],),
        ends=(),
        arrows=tuple(
            Arrow(source=str(edge.source), target=str(edge.target), labels=(edge.words,), kind=edge.kind)
            for edge in found.edges
            if edge.is_simple
        ),
        colours={str(state): colour for state, colour in found.colours.items()},
        is_wide=True,
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

    def kind(source: str, target: str) -> EdgeKind:
        usual = steps[-1] if target == EscalationState.REACHED else source
        way_out = LAYOUTS[ESCALATION.name].edge(active, target).kind if source == usual else EdgeKind.STOP
        return EdgeKind.USUAL if target in steps else way_out

    return Drawing(
        name=identifier(f"policy {policy.name}"),
        title=f"Escalation under the policy {policy.name}",
        states={step: f"{active} {number}: {', '.join(tier.channels)}" for number, (step, tier) in enumerate(numbers.items(), 1)}
        | others,
        initial_states=(steps[0],),
        ends=machine.ends,
        arrows=_merge(opened + ways_out, kind),
        colours={**machine.colours, **dict.fromkeys(steps, machine.colours[active])},
    )


def drawings(view: View = View.FULL) -> tuple[Drawing, ...]:
    """Return all diagrams of a view: the four machines; of the full one also the escalation under the policy ``default``."""
    return tuple(map(draw_simple, TABLES)) if view is View.SIMPLE else (*map(draw, TABLES), unroll(DEFAULT))


def mermaid(drawn: Sequence[Drawing] | None = None) -> str:
    """Return diagrams as one Mermaid flowchart, side by side; by default all full ones."""
    drawn = drawings() if drawn is None else drawn
    lines = [f"flowchart {_direction(drawn)}"]
    for drawing in drawn:
        if len(drawn) == 1:
            lines += _mermaid(drawing, "")
        else:
            inner = (f"    {line}" for line in _mermaid(drawing, f"{drawing.name}_"))
            lines += [f"    subgraph {drawing.name} [{_quoted(drawing.title)}]", *inner, "    end"]
    lines += [f"    classDef {name} fill:{PALETTE['sheet']},stroke:{colour},color:{colour}" for name, colour in COLOURS.items()]
    return "\n".join(lines) + "\n"


def dot(drawn: Sequence[Drawing] | None = None) -> str:
    """Return diagrams as one Graphviz graph; by default all full ones."""
    drawn = drawings() if drawn is None else drawn
    lines = [
        "digraph notifyflow {",
        f'    graph [rankdir={_direction(drawn)}, bgcolor=white, fontname="Helvetica", nodesep=0.6, ranksep=0.7];',
        '    node [shape=box, style=rounded, penwidth=1.5, fontname="Helvetica"];',
        '    edge [fontname="Helvetica", fontsize=10];',
    ]
    for drawing in drawn:
        lines += [f"    subgraph cluster_{drawing.name} {{", f"        label={_quoted(drawing.title)};", *_dot(drawing), "    }"]
    return "\n".join([*lines, "}"]) + "\n"


def rst(tables: Iterable[MachineTable] = TABLES, view: View = View.FULL) -> str:
    """Return machines as reST tables: every state; and every event with its meaning and all its moves, or the simple moves."""
    moves = _rst_moves if view is View.SIMPLE else _rst_events
    return "\n".join(line for table in tables for line in (*_rst_states(table), *moves(table))) + "\n"


def _direction(drawn: Sequence[Drawing]) -> str:
    return "LR" if all(drawing.is_wide for drawing in drawn) else "TB"


def _merge(moves: Iterable[tuple[str, str, str]], kind: Callable[[str, str], EdgeKind]) -> tuple[Arrow, ...]:
    """Merge the moves from one state to another into one arrow."""
    labels: dict[tuple[str, str], list[str]] = {}
    for source, target, label in moves:
        labels.setdefault((source, target), []).append(label)
    return tuple(Arrow(source=a, target=b, labels=tuple(each), kind=kind(a, b)) for (a, b), each in labels.items())


def _ways_out(arrow: Arrow) -> tuple[str, ...]:
    """Return the labels of an arrow out of ACTIVE; the many decisions get one label."""
    is_decision = arrow.target in (EscalationState.REACHED, EscalationState.EXHAUSTED)
    return ("nothing pending",) if is_decision else arrow.labels


def _conditions(ahead: Sequence[Tier]) -> Iterator[str]:
    """Yield the conditions that open the first of these tiers, the severities that pass it, and those that never reach it."""
    tier, *behind = ahead
    for rule in opening_rules(ahead):
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


def identifier(name: str) -> str:
    """Return a name with every character replaced that an identifier must not have."""
    return "".join(char if char.isalnum() and char.isascii() else "_" for char in name)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"'


_MERMAID: Mapping[EdgeKind, str] = {
    EdgeKind.USUAL: "==>",
    EdgeKind.RETRY: "-->",
    EdgeKind.FAILURE: "-->",
    EdgeKind.STOP: "-->",
    EdgeKind.LATE: "-.->",
}
_DOT: Mapping[EdgeKind, str] = {
    EdgeKind.USUAL: "penwidth=2.5, weight=9",
    EdgeKind.RETRY: "constraint=false",
    EdgeKind.FAILURE: f'color="{PALETTE["soft"]}"',
    EdgeKind.STOP: f'color="{PALETTE["soft"]}"',
    EdgeKind.LATE: f'style=dashed, penwidth=0.7, color="{PALETTE["soft"]}", fontcolor="{PALETTE["soft"]}"',
}


def _mermaid(drawing: Drawing, prefix: str) -> Iterator[str]:
    for state, text in drawing.states.items():
        box = f"([{_quoted(text)}])" if state in drawing.ends else f"[{_quoted(text)}]"
        colour = f":::{drawing.colours[state]}" if state in drawing.colours else ""
        yield f"    {prefix}{state}{box}{colour}"
    for number, state in enumerate(drawing.initial_states):
        yield f'    {prefix}start_{number}((" ")) --> {prefix}{state}'
    for arrow in drawing.arrows:
        label = f"|{_quoted('<br/>'.join(arrow.labels))}|" if arrow.labels else ""
        yield f"    {prefix}{arrow.source} {_MERMAID[arrow.kind]}{label} {prefix}{arrow.target}"


def _dot(drawing: Drawing) -> Iterator[str]:
    prefix = drawing.name
    if drawing.initial_states:
        yield f'        {prefix} [shape=point, width=0.15, label="", group={prefix}];'
    usual = {state for arrow in drawing.arrows if arrow.kind is EdgeKind.USUAL for state in (arrow.source, arrow.target)}
    for state, text in drawing.states.items():
        colour = f', color="{COLOURS[drawing.colours[state]]}"' if state in drawing.colours else ""
        border = ", peripheries=2" if state in drawing.ends else ""
        place = f", group={prefix}" if state in usual else ""
        yield f"        {prefix}_{state} [label={_quoted(text)}{colour}{border}{place}];"
    for state in drawing.initial_states:
        yield f"        {prefix} -> {prefix}_{state};"
    for arrow in drawing.arrows:
        label = _quoted("\\n".join(arrow.labels))
        yield f"        {prefix}_{arrow.source} -> {prefix}_{arrow.target} [label={label}, {_DOT[arrow.kind]}];"


def _rst_states(table: MachineTable) -> Iterator[str]:
    yield from _list_table(
        f"States of the {table.name} machine",
        ("State", "Meaning"),
        ((f"``{state}``", f"{meaning}.") for state, meaning in table.states.items()),
    )


def _rst_moves(table: MachineTable) -> Iterator[str]:
    yield from _list_table(
        f"The usual moves of the {table.name} machine",
        ("From", "To", "When", "What it is"),
        (
            (f"``{edge.source}``", f"``{edge.target}``", edge.words, str(edge.kind))
            for edge in LAYOUTS[table.name].edges
            if edge.is_simple
        ),
    )


def _rst_events(table: MachineTable) -> Iterator[str]:
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
