"""Worlds full of faults, and the faulty variants of the product that they have to catch."""

import re
from pathlib import Path

import pytest

from notifyflow.core.delivery import lifecycle
from tests.deep import examples, sliced
from tests.simulation.__main__ import explain
from tests.simulation.calm import simulate_calm
from tests.simulation.clock_changes import simulate_clock_changes
from tests.simulation.crash_loops import simulate_crash_loop
from tests.simulation.damage import simulate_damage
from tests.simulation.database import SimulatedUnitOfWork
from tests.simulation.heartbeats import simulate_heartbeats
from tests.simulation.mutants import LAST_DEFENCE, MUTANTS, Mutant, swapped
from tests.simulation.pressure import simulate_pressure
from tests.simulation.scenario import Variant, simulate
from tests.simulation.silences import simulate_silences

pytestmark = pytest.mark.timeout(3600)  # steps bound a world: how long it takes is up to what else the machine does
MOST_SEEDS = 200
SEEDS = examples(40, deep=MOST_SEEDS)
CALM_SEEDS = examples(4, deep=20)
CALM_CHUNK = 2
CHUNK = 10
LOOP_SEEDS = examples(3, deep=10)
DAMAGED_SEEDS = examples(3, deep=10)
PRESSED_SEEDS = examples(2, deep=5)
WATCHING_SEEDS = examples(1, deep=3)
CHANGING_SEEDS = examples(1, deep=3)
SILENCED_SEEDS = examples(3, deep=8)
SLICE = 5


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_nothing_is_lost_whatever_breaks(first: int) -> None:
    failed = [result for seed in range(first, first + CHUNK) if (result := simulate(seed)).violation]
    assert not failed, "\n\n".join(explain(result, lines=40) for result in failed)


@pytest.mark.parametrize("first", range(0, CALM_SEEDS, CALM_CHUNK))
def test_what_explain_says_and_what_is_said_to_come_next_happens(first: int) -> None:
    failed = [result for seed in range(first, first + CALM_CHUNK) if (result := simulate_calm(seed)).violation]
    assert not failed, "\n\n".join(explain(result, lines=40) for result in failed)


def test_phones_ring_though_no_worker_lives_for_long() -> None:
    failed = [result for seed in range(LOOP_SEEDS) if (result := simulate_crash_loop(seed)).violation]
    assert not failed, "\n\n".join(explain(result, lines=40) for result in failed)


def test_damaged_rows_hold_up_nobody_and_somebody_learns_of_each() -> None:
    failed = [result for seed in range(DAMAGED_SEEDS) if (result := simulate_damage(seed)).violation]
    assert not failed, "\n\n".join(explain(result, lines=40) for result in failed)


def test_nobody_waits_for_long_while_others_are_in_the_way() -> None:
    failed = [result for seed in range(PRESSED_SEEDS) if (result := simulate_pressure(seed)).violation]
    assert not failed, "\n\n".join(explain(result, lines=40) for result in failed)


def test_no_miss_is_told_that_was_none_and_none_is_left_out() -> None:
    failed = [result for seed in range(WATCHING_SEEDS) if (result := simulate_heartbeats(seed)).violation]
    assert not failed, "\n\n".join(explain(result, lines=40) for result in failed)


def test_no_miss_is_told_that_was_none_where_clocks_change_and_processes_have_their_own() -> None:
    failed = [result for seed in range(CHANGING_SEEDS) if (result := simulate_clock_changes(seed)).violation]
    assert not failed, "\n\n".join(explain(result, lines=40) for result in failed)


def test_silences_let_nothing_through_and_lose_nothing() -> None:
    failed = [result for seed in range(SILENCED_SEEDS) if (result := simulate_silences(seed)).violation]
    assert not failed, "\n\n".join(explain(result, lines=40) for result in failed)


def test_the_same_seed_tells_the_same_story() -> None:
    once, again = simulate(7), simulate(7)
    assert once.trace == again.trace
    assert once.trace_hash == again.trace_hash != simulate(8).trace_hash


@pytest.mark.parametrize("mutant", sliced(MUTANTS, SLICE, reason="one in five runs every day"), ids=lambda mutant: mutant.name)
def test_a_wrong_product_is_caught(mutant: Mutant) -> None:
    caught = mutant.catch(range(MOST_SEEDS))
    assert caught, f"no seed below {MOST_SEEDS} catches: {mutant.name}"
    assert caught.seed == mutant.known, f"seed {mutant.known} catches it no more; name {caught.seed}, on the page, too"


def test_the_page_names_every_mutant_and_the_seed_that_catches_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "simulation.rst").read_text()
    rows = re.findall(r"^   \* - (.+)\n     - (\d+)$", page, re.MULTILINE)
    assert sorted(rows) == sorted((mutant.name, str(mutant.known)) for mutant in MUTANTS)


def test_the_constraint_alone_keeps_a_tier_from_opening_twice() -> None:
    violations = {LAST_DEFENCE.simulate(seed).violation for seed in range(examples(10, deep=20))}
    assert not [each for each in violations if "times" in each]


def test_a_mutant_that_would_change_nothing_is_refused() -> None:
    with pytest.raises(AssertionError, match="overrides methods that do not exist: no_such_method"):
        type("Misnamed", (SimulatedUnitOfWork,), {"no_such_method": lambda self: None})
    with pytest.raises(AssertionError, match="overrides nothing"):
        type("Empty", (SimulatedUnitOfWork,), {})
    with pytest.raises(AssertionError, match="mark_rung takes other arguments"):
        type("Outdated", (SimulatedUnitOfWork,), {"mark_rung": lambda self, ids: None})
    with pytest.raises(AttributeError), swapped(lifecycle, "no_such_function", None):
        pass
    with pytest.raises(AssertionError, match="0 times what a mutant leaves out"):
        simulate(0, Variant(without=(("no such constraint", ""),)))
