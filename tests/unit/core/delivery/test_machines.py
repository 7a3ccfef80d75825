"""The tables are complete on purpose, and the machines do what the tables say."""

import gc
import weakref
from collections.abc import Iterator

import pytest
import transitions
from transitions import MachineError

from notifyflow.core.delivery.machines import ESCALATION, INCIDENT, MACHINES, NOTIFICATION, STEP
from notifyflow.core.state_machine import Cell, Machine, MachineTable, Move, build
from notifyflow.errors import IllegalMove

# One letter a state, in the table's order: moves, late or illegal.
GRIDS = {
    # QUEUED SENDING SENT DELIVERED FAILED CANCELLED
    "notification": """
        claimed              m i l l l l
        deferred            m i i i i i
        postponed           m i i i i i
        accepted             i m i m i l
        refused              i m i m i l
        refused_for_good     i m i m i l
        doubted              i m i m i l
        lease_expired        i m i m i l
        released             i m i m i l
        noted                m m m m m l
        acceptance_reported     m m m m m l
        temporary_failure_reported        m m m m m l
        delivery_reported       m m m m m l
        permanent_failure_reported         m m m m m l
        expired              m i l l l l
        beyond_retry_window  m i l l l l
        no_provider          m i l l l l
        capped               m i l l l l
        opted_out            m i l l l l
        acknowledged         m m m m m l
        resolved             m m m m m l
        replaced             m m m m m l
    """,
    # ACTIVE REACHED EXHAUSTED ACKNOWLEDGED CANCELLED
    "escalation": """
        tier_opened    m m m l l
        recorded       m m m l l
        received       m m m l l
        timer_due      m m m l l
        address_added  m m m l l
        round_due      m m m l l
        acknowledged   m m m l l
        resolved       m m m l l
        replaced       m m m l l
    """,
    # OPEN ACKNOWLEDGED RESOLVED
    "incident": """
        repeated         m m l
        severity_raised  m m l
        paged_again      m m i
        step_due         m l l
        acknowledged     m l l
        resolved         m m l
    """,
    # WAITING STARTED SKIPPED STOPPED
    "step": """
        step_due      m l l l
        chain_over    m i i l
        acknowledged  m m l l
        resolved      m m l l
        restarted     m l l i
    """,
}
LETTERS = {"m": Cell.MOVES, "l": Cell.LATE, "i": Cell.ILLEGAL}
TABLES = (NOTIFICATION, ESCALATION, INCIDENT, STEP)
PLAIN = {table.name: build(table, transitions.Machine) for table in TABLES}


def cells() -> Iterator[tuple[MachineTable, str, str, Cell]]:
    for table in TABLES:
        for line in GRIDS[table.name].split("\n"):
            if line.strip():
                event, *letters = line.split()
                for state, letter in zip(table.states, letters, strict=True):
                    yield table, str(state), event, LETTERS[letter]


CELLS = list(cells())


class Heading:
    """A subject whose guards agree to one target only."""

    def __init__(self, state: str, target: str) -> None:
        self.state = state
        self.target = target
        self.moves: list[Move] = []

    def __getattr__(self, name: str) -> object:
        if name in {"heads_for", "is_rule_met"}:
            return lambda move: move.target == self.target
        return self.moves.append


def test_the_grids_name_every_event_of_every_table() -> None:
    for table in TABLES:
        assert {event for of, _, event, _ in CELLS if of is table} == {event.name for event in table.events}


@pytest.mark.parametrize(("table", "state", "event", "cell"), CELLS, ids=lambda value: getattr(value, "name", value))
def test_a_cell_is_what_it_is_on_purpose(table: MachineTable, state: str, event: str, cell: Cell) -> None:
    assert table.cell(state, event) is cell
    assert bool(table.targets(state, event)) is (cell is Cell.MOVES)


@pytest.mark.parametrize(("table", "state", "event", "cell"), CELLS, ids=lambda value: getattr(value, "name", value))
def test_the_machine_goes_where_the_table_allows_and_nowhere_else(
    table: MachineTable, state: str, event: str, cell: Cell
) -> None:
    machine = MACHINES[table.name]
    is_guarded = bool(table.event(event).guard)
    for target in map(str, table.states):
        subject = Heading(state, target)
        is_allowed = target in table.targets(state, event) or not is_guarded
        if cell is Cell.LATE:
            assert machine.fire(event, subject) is False
        elif cell is Cell.MOVES and is_allowed:
            assert machine.fire(event, subject) is True
            assert subject.moves == [Move(event=event, source=state, target=subject.state)]
            assert subject.state in table.targets(state, event)
            continue
        else:
            with pytest.raises(IllegalMove) as raised:
                machine.fire(event, subject)
            assert (raised.value.machine, raised.value.state, raised.value.event) == (table.name, state, event)
        assert (subject.state, subject.moves) == (state, [])


@pytest.mark.parametrize(("table", "state", "event", "cell"), CELLS, ids=lambda value: getattr(value, "name", value))
def test_an_offer_moves_only_where_the_table_has_an_unguarded_move(
    table: MachineTable, state: str, event: str, cell: Cell
) -> None:
    subject = Heading(state, "nowhere")
    is_moved = cell is Cell.MOVES and not table.event(event).guard
    assert MACHINES[table.name].offer(event, subject) is is_moved
    assert bool(subject.moves) is is_moved


@pytest.mark.parametrize(("table", "state", "event", "cell"), CELLS, ids=lambda value: getattr(value, "name", value))
def test_the_machine_does_what_the_plain_machine_of_the_library_does(
    table: MachineTable, state: str, event: str, cell: Cell
) -> None:
    for target in map(str, table.states):
        ours, plain = Heading(state, target), Heading(state, target)
        is_moved = MACHINES[table.name].offer(event, ours)
        if cell is Cell.MOVES:
            assert PLAIN[table.name].events[event].trigger(plain) is is_moved
        else:
            with pytest.raises(MachineError):
                PLAIN[table.name].events[event].trigger(plain)
            assert not is_moved
        assert vars(ours) == vars(plain)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_what_a_table_says_is_whole(table: MachineTable) -> None:
    assert len({event.name for event in table.events}) == len(table.events)
    for event in table.events:
        assert event.meaning
        assert not event.meaning.endswith(".")
        assert event.moves
        assert not set(event.moves) & set(event.late)
        for targets in event.moves.values():
            assert targets
            assert len(set(targets)) == len(targets)
            assert set(targets) <= set(table.states)
            assert event.guard or len(targets) == 1
    assert all(table.states.values())
    assert set(table.initial_states) <= set(table.states)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_state_can_be_reached_and_only_the_ends_are_not_left(table: MachineTable) -> None:
    arrows = {(source, target) for event in table.events for source, targets in event.moves.items() for target in targets}
    found = set(table.initial_states)
    while more := {target for source, target in arrows if source in found} - found:
        found |= more
    assert found == set(table.states)
    assert {state for state in table.states if not any(source == state != target for source, target in arrows)} == set(table.ends)


def test_a_machine_has_no_other_moves_and_keeps_no_subject() -> None:
    for machine in MACHINES.values():
        assert set(machine._engine.events) == {event.name for event in machine.table.events}
        assert machine._engine.models == []
    subject = Heading("OPEN", "RESOLVED")
    MACHINES["incident"].fire("resolved", subject)
    gone = weakref.ref(subject)
    del subject
    gc.collect()
    assert gone() is None


def test_an_event_that_no_table_has_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Machine(INCIDENT).fire("forgotten", Heading("OPEN", "OPEN"))
