"""A fork loses nothing that was accepted, whoever closes, writes or dies on either side; a scenario is a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from notifyflow.storage.store import Store
from tests.integration.storage import forking
from tests.integration.storage.samples import begin
from tests.patience import PatientStore
from tests.waiting import wait_until

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("scenario", forking.SCENARIOS)
def test_a_fork_loses_nothing(scenario: str, store: Store, database_url: str, tmp_path: Path) -> None:
    begin(store)
    store.close()
    command = [
        sys.executable,
        "-W",
        "error",
        "-W",
        "ignore::DeprecationWarning",
    ]  # forks beside threads: that is what this is about
    command += ["-m", forking.__name__, scenario, database_url, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    is_killed = scenario == forking.the_parent_is_killed.__name__
    assert (done.returncode, done.stderr) == (-signal.SIGKILL if is_killed else 0, "")
    if is_killed:
        wait_until((tmp_path / "done").exists)
    accepted = {key for file in tmp_path.glob("*.written") for key in file.read_text().split()}
    another = PatientStore(database_url)
    stored = {each.key for each in another.read(lambda reads: reads.incidents(10_000))}
    another.close()
    assert accepted <= stored
