"""An SQLite file that would be lost with its machine or container is refused where durable files are required."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from notifyflow import NotifyFlow, Settings
from notifyflow.errors import InvalidSettings
from notifyflow.storage.dialects.file_systems import volatile_type
from tests.acceptance.commands import CommandLine
from tests.servers.postgres import Postgres

MEMORY = "/dev/shm"


@pytest.mark.parametrize("folder", [MEMORY, "/", "/proc", str(Path(__file__).parent)])
def test_a_file_system_is_volatile_if_it_is_in_memory_or_a_container_s_own(folder: str) -> None:
    told = subprocess.run(
        ["stat", "--file-system", "--format=%T", folder], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert volatile_type(folder) == {"tmpfs": "tmpfs", "ramfs": "ramfs", "overlayfs": "overlay"}.get(told)


def test_a_folder_that_does_not_exist_is_not_volatile(tmp_path: Path) -> None:
    assert volatile_type(str(tmp_path / "none")) is None


def test_a_file_in_memory_is_refused_if_a_disk_is_required_and_not_otherwise() -> None:
    with TemporaryDirectory(dir=MEMORY) as folder:
        url = f"sqlite:///{folder}/pages.db"
        with pytest.raises(InvalidSettings) as refused:
            NotifyFlow(Settings(database_url=url, require_disk=True))
        (fault,) = refused.value.faults
        assert fault.where == "NOTIFYFLOW_DATABASE_URL"
        assert f"{folder}/pages.db" in fault.what
        assert "tmpfs" in fault.what
        with NotifyFlow(Settings(database_url=url)) as flow:
            assert flow.find("db-1") is None


def test_the_command_line_and_config_check_exit_with_2() -> None:
    with TemporaryDirectory(dir=MEMORY) as folder:
        shell = CommandLine(Path(folder), {"NOTIFYFLOW_REQUIRE_DISK": "true"})
        for command in (["list"], ["config", "check", "--offline"]):
            ended = shell.run(*command)
            assert ended.code == 2
            assert "notifyflow.db on tmpfs" in ended.out + ended.err
        assert not list(Path(folder).glob("*.db*")), "no file is made"


def test_a_server_needs_no_disk_of_ours(postgres_server: Postgres) -> None:
    with NotifyFlow(Settings(database_url=postgres_server.url(), require_disk=True)):
        pass
