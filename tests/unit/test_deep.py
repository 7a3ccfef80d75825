"""What the everyday run leaves to the deep one is named with a reason, exists, and is no more than what was meant."""

import os
import subprocess
import sys
from itertools import chain, combinations
from pathlib import Path

from tests import deep

ROOT = Path(__file__).parents[2]
ACTS = "tests/integration/pipeline/delivery/test_damaged_acts.py"
ROUNDS = "tests/integration/pipeline/delivery/test_rounds.py"
LEASES = "tests/integration/pipeline/delivery/test_leases.py"
WORLDS = "tests/simulation/test_simulation.py"


def collected(*arguments: str, has_all: str | None) -> set[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TESTS_DEEP" and not name.startswith("PYTEST")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=environment if has_all is None else {**environment, "TESTS_DEEP": has_all},
        capture_output=True,
        text=True,
        check=True,
    )
    return {line for line in run.stdout.splitlines() if "::" in line}


def of(names: set[str], file: str) -> set[str]:
    return {name for name in names if name.startswith(file)}


def cases(names: set[str], test: str) -> list[list[str]]:
    return [name.partition("[")[2].rstrip("]").split("-") for name in names if f"::{test}[" in name]


def test_what_is_left_to_the_deep_run() -> None:
    whole, everyday = (collected(ACTS, ROUNDS, LEASES, WORLDS, has_all=each) for each in ("cases", None))
    assert everyday < whole
    assert of(everyday, LEASES) == of(whole, LEASES), "on both databases"
    assert of(everyday, ROUNDS) == {name for name in of(whole, ROUNDS) if "postgres" not in name}
    functions = [{name.partition("[")[0] for name in names} for names in (everyday, whole)]
    assert functions[0] == functions[1], "no test of these is left out whole"
    test = "test_what_ends_an_incident_stops_all_that_can_be_written"
    pairs = [{pair for case in cases(names, test) for pair in combinations(enumerate(case), 2)} for names in (everyday, whole)]
    assert pairs[0] == pairs[1], "each two values meet"
    assert len(cases(everyday, test)) < len(cases(whole, test))
    assert len(cases(everyday, "test_a_wrong_product_is_caught")) > 20


def test_a_test_that_is_named_runs() -> None:
    names = collected(ROUNDS, has_all="cases")
    name = min(each for each in names if "postgres" in each)
    assert collected(name, has_all=None) == {name}


def test_every_name_in_the_tables_is_that_of_a_file_or_a_test() -> None:
    for name in (*chain.from_iterable(deep.DEEP.values()), *deep.ON_BOTH, *deep.PAIRS):
        path, _, test = name.partition("::")
        found = list(ROOT.glob(f"{path.rstrip('/')}*"))
        assert found, name
        assert not test or f"def {test.partition('[')[0]}" in found[0].read_text(), name
