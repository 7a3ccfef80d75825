"""The settings file: a shell reads what is written as it was meant, and it is replaced as a whole or not at all."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.errors import InvalidSettings
from notifyflow.settings.settings_file import SettingsFile, check_writable, write_private

VALUES = st.text(st.characters(blacklist_categories=["C", "Z"], max_codepoint=0x2FF) | st.sampled_from(" '\"\\$`#;&"), min_size=1)
NOBODY = 65534
TOP = Path(__file__).parents[2]


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


@given(value=VALUES)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    path = tmp_path_factory.mktemp("settings") / "notifyflow.env"
    SettingsFile.read(path).add({"NOTIFYFLOW_NOTICE": value})
    assert SettingsFile.read(path).variables == {"NOTIFYFLOW_NOTICE": value}


def test_a_shell_reads_it_alike(tmp_path: Path) -> None:
    values = ["plain", "it's", 'a "b"', "$HOME `id` \\n", "a;b&c|d", "#x", "a b", "ä€", "{'a': \"$b\"}"]
    variables = {f"NOTIFYFLOW_{number}": value for number, value in enumerate(values)}
    path = tmp_path / "notifyflow.env"
    SettingsFile.read(path).add(variables)
    shown = subprocess.run(["sh", "-c", f"set -a; . {path}; env -0"], env={}, capture_output=True, text=True, check=True).stdout
    assert variables.items() <= dict(each.split("=", 1) for each in shown.split("\0") if each).items()


@pytest.mark.parametrize("path", sorted(TOP.glob("deploy/**/*.env")), ids=lambda path: path.parent.name + "/" + path.name)
def test_the_files_of_a_deployment_are_such_files(path: Path) -> None:
    assert SettingsFile.read(path).variables


def test_what_it_says_stays_above_what_is_added(tmp_path: Path) -> None:
    path = tmp_path / "notifyflow.env"
    path.write_text("# Ours.\n\n  A='b c'\nNOTIFYFLOW_NOTICE=\nB=\"x\\$y\"")
    file = SettingsFile.read(path)
    assert file.variables == {"A": "b c", "B": "x$y"}
    file.add({"NOTIFYFLOW_NOTICE": "drill"})
    assert path.read_text() == f"{file.text}\nNOTIFYFLOW_NOTICE=drill\n"
    assert SettingsFile.read(path).variables["NOTIFYFLOW_NOTICE"] == "drill"


@pytest.mark.parametrize("line", ["export A=b", "A=b c", "A=$HOME", 'A="`id`"', "A='b", 'A=[{"id":"x"}]', "A b", "A='b\\c'"])
def test_a_line_that_systemd_and_a_shell_read_differently_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "notifyflow.env"
    path.write_text(f"# sesame\n{line}\n")
    with pytest.raises(InvalidSettings) as refused:
        SettingsFile.read(path)
    (fault,) = refused.value.faults
    assert fault.place == f"{path} (line 2)"
    assert line not in str(fault)


def test_only_the_owner_may_read_it_and_a_link_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "real.env", tmp_path / "notifyflow.env"
    path.write_text("A=b\n")
    path.chmod(0o644)
    link.symlink_to(path)
    SettingsFile.read(link).add({"B": "c"})
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_to_add_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notifyflow.env"
    SettingsFile.read(path).add({})
    assert not path.exists()


def test_a_write_that_fails_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "notifyflow.env"
    path.write_text("A=b\n")
    file = SettingsFile.read(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(InvalidSettings, match="it cannot be written: File too large"):
            file.add({"B": "c" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "A=b\n"
    assert names(tmp_path) == {path.name}


def test_a_process_that_dies_before_the_end_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "notifyflow.env"
    path.write_text("A=b\n")
    program = f"""
import os, signal
from pathlib import Path
from notifyflow.settings.settings_file import SettingsFile
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
SettingsFile.read(Path({str(path)!r})).add({{"B": "c"}})
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert path.read_text() == "A=b\n"


def test_a_file_that_was_changed_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notifyflow.env"
    file = SettingsFile.read(path)
    path.write_text("A=b\n")
    with pytest.raises(InvalidSettings, match="it was changed meanwhile"):
        file.add({"B": "c"})
    assert path.read_text() == "A=b\n"
    assert names(tmp_path) == {path.name}


def test_a_folder_without_permission_is_named_in_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o500)
    with unprivileged(), pytest.raises(InvalidSettings) as refused:
        check_writable(folder / "notifyflow.env")
    (fault,) = refused.value.faults
    assert (fault.where, fault.what) == (str(folder / "notifyflow.env"), "it cannot be written: Permission denied")
    with unprivileged(), pytest.raises(InvalidSettings, match="it cannot be written: Permission denied"):
        write_private(folder / "notifyflow.env", "A=b\n", over=None)
    assert names(folder) == set()


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while, since root may write everywhere."""
    user = os.geteuid()
    if user:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
