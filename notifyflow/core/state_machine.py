"""One state machine: a table as data, and the shared ``transitions`` machine that is built of it and fired.

A cell of a table (state × event) *moves*, is *late* (nothing happens) or is *illegal* (a bug, raised as an error). The table
names the guards and effects of each move; they are methods of the subject, a small mutable object of the firing module.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from transitions import Event, EventData, Transition
from transitions import Machine as Engine

from notifyflow.errors import IllegalMove


class Cell(StrEnum):
    """The effect of an event in a state."""

    MOVES = "moves"
    LATE = "late"
    ILLEGAL = "illegal"


@dataclass(frozen=True, slots=True)
class MachineEvent:
    """One row of a table: an event with its effect in each state.

    Attributes:
        name: Past tense.
        meaning: What has happened, as a sentence without its full stop.
        moves: From state → possible target states; the guard chooses among several.
        late: The states in which the event changes nothing; in all others it is illegal.
        guard: The method of the subject that allows or refuses a move; empty if every move is made.
        then: The method of the subject that is called after the move and appends its effects.
        is_loop_drawn: Whether diagrams show moves that keep the state; the reST tables list all moves.
    """

    name: str
    meaning: str
    moves: Mapping[str, tuple[str, ...]]
    _: KW_ONLY
    late: tuple[str, ...] = ()
    guard: str = "heads_for"
    then: str = "arrive"
    is_loop_drawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTable:
    """One machine as data.

    Attributes:
        name: ``notification``, ``escalation``, ``incident`` or ``step``.
        states: Each state with its meaning, in reading order.
        initial_states: The states in which a row may start.
        ends: The final states.
        events: All events, in reading order.
    """

    name: str
    states: Mapping[str, str]
    initial_states: tuple[str, ...]
    ends: tuple[str, ...]
    events: tuple[MachineEvent, ...]
    _by_name: Mapping[str, MachineEvent] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {event.name: event for event in self.events})

    def event(self, name: str) -> MachineEvent:
        """Return an event by its name.

        Raises:
            KeyError: When the table has no such event.
        """
        return self._by_name[name]

    def cell(self, state: str, event: str) -> Cell:
        """Return the effect of an event in a state."""
        row = self.event(event)
        if state in row.moves:
            return Cell.MOVES
        return Cell.LATE if state in row.late else Cell.ILLEGAL

    def targets(self, state: str, event: str) -> tuple[str, ...]:
        """Return the states that an event may lead to; empty unless the cell moves."""
        return self.event(event).moves.get(state, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One arrow of a diagram, passed to guards and effects."""

    event: str
    source: str
    target: str


class _Transition(Transition):
    """A transition of a machine without callbacks on states, before moves, or of its own: their lists are empty."""

    def execute(self, event_data: EventData) -> bool:
        """Ask the guard, change the state and call the effect; return whether the guard agreed."""
        if not all(each.func(event_data) for each in self.conditions):  # type: ignore[operator]  # ours are no names
            return False
        subject: Any = event_data.model
        subject.state = self.dest
        for effect in self.after:
            effect(event_data)  # type: ignore[operator]  # as above
        return True


class _Event(Event):
    """An event that is never queued, and that does nothing in a state without transitions."""

    def trigger(self, model: Any) -> bool:
        """Try the transitions from the subject's state in turn; return whether one was made."""
        transitions = self.transitions.get(model.state, ())
        data = EventData(None, self, self.machine, model, (), {})
        return any(each.execute(data) for each in transitions)


class _Engine(Engine):
    """The library's machine; its events and transitions do what our tables can say, and no more.

    The library's own look through ten lists of callbacks at each move, all empty here, and log eleven debug lines: a move takes
    five times as long.
    """

    event_cls = _Event
    transition_cls = _Transition


def _call(name: str, move: Move, data: EventData) -> Any:
    return getattr(data.model, name)(move)


def build(table: MachineTable, kind: type[Engine] = _Engine) -> Engine:
    """Build the library's machine of a table."""
    engine = kind(
        model=None,
        states=[str(state) for state in table.states],
        initial=None,
        auto_transitions=False,
        queued=False,
        send_event=True,
    )
    for event in table.events:
        for source, targets in event.moves.items():
            for target in targets:
                move = Move(event=event.name, source=str(source), target=str(target))
                guard = partial(_call, event.guard, move) if event.guard else None
                engine.add_transition(
                    move.event, move.source, move.target, conditions=guard, after=partial(_call, event.then, move)
                )
    return engine


@dataclass(frozen=True, slots=True)
class Machine:
    """A table that can be fired; one machine serves all subjects and keeps no reference to them.

    A subject has a ``state`` and the methods that the table names as guards and effects; each is called with the :class:`Move`.
    """

    table: MachineTable
    _engine: Engine = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_engine", build(self.table))

    def fire(self, event: str, subject: Any) -> bool:
        """Fire an event.

        Returns:
            True if the subject made a move (also one that keeps its state), False if the event is late.

        Raises:
            IllegalMove: When the table has no such move, or the guard refuses every move.
        """
        if self.offer(event, subject):
            return True
        if self.table.cell(subject.state, event) is Cell.LATE:
            return False
        raise IllegalMove(self.table.name, subject.state, event)

    def offer(self, event: str, subject: Any) -> bool:
        """Fire an event that the guard may refuse; return whether the subject made a move."""
        return bool(self._engine.events[event].trigger(subject))
