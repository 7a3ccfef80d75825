"""pytest finds the plugin where notifyflow is installed, and a project's tests of its own policies pass with it."""

import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
STRICT = "[pytest]\naddopts = --strict-markers --strict-config -p no:cacheprovider\nfilterwarnings = error\n"
NOT_ALONE = """
import pytest

from notifyflow import Incident, NotFound, Recipient


@pytest.mark.parametrize("name", ["ada", "ben"])
def test_another_test_leaves_nothing_behind(notifyflow_driver, name):
    with pytest.raises(NotFound):
        notifyflow_driver.flow.status("db-1")
    notifyflow_driver.sandbox.script("email: 550")
    notifyflow_driver.flow.notify(Incident(key="db-1", title="down"), [Recipient(id=name, email=f"{name}@example.com")])
    notifyflow_driver.run_until_settled()
    (message,) = notifyflow_driver.inbox.messages()
    assert (message.to, message.after_s, message.is_accepted) == (f"{name}@example.com", 0, False)


def test_a_script_ends_with_its_test(notifyflow_driver):
    notifyflow_driver.flow.notify(Incident(key="db-1", title="down"), [Recipient(id="ada", email="ada@example.com")])
    notifyflow_driver.run_until_settled()
    assert [each.is_accepted for each in notifyflow_driver.inbox.messages()] == [True]
"""


def run_pytest(folder: Path, *arguments: str, python: tuple[str, ...] = ()) -> str:
    (folder / "pytest.ini").write_text(STRICT)
    command = [sys.executable, *python, "-m", "pytest", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_examples_pass_on_two_workers_without_a_warning(tmp_path: Path) -> None:
    for name in ("test_policies.py", "policies.toml", "test_directory.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    assert "9 passed" in run_pytest(tmp_path, "-n2")


def test_two_tests_in_a_row_do_not_influence_each_other_and_leave_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "test_project.py").write_text(NOT_ALONE)
    assert "3 passed" in run_pytest(tmp_path, python=("-X", "dev"))


def test_the_fixtures_say_what_they_are_for(tmp_path: Path) -> None:
    listed = run_pytest(tmp_path, "--fixtures", "-q")
    assert "notifyflow_driver" in listed
    assert "notifyflow_settings" in listed
    assert "notifyflow_start_at" in listed
