"""The files that ``notifyflow deploy`` writes: those in ``deploy/``, against the parsers of all that they name."""

import configparser
import json
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from notifyflow.channels.registry import load
from notifyflow.cli import app
from notifyflow.cli.frame.exits import code_of
from notifyflow.cli.upkeep.deployment import Platform, render
from notifyflow.core.delivery.model import Severity
from notifyflow.engine.broker.ring import queue_name
from notifyflow.errors import NotifyflowError
from notifyflow.settings import Settings
from notifyflow.settings.variables import is_secret
from tests.columns import PACKAGE
from tests.command_lines import check_command, check_worker

TOP = Path(__file__).parents[4]
DEPLOY = TOP / "deploy"
FILES = {(platform, place): text for platform in Platform for place, text in render(platform).items()}
UNITS = {place: text for (platform, place), text in FILES.items() if platform is Platform.SYSTEMD and place.endswith(".service")}
COMPOSE = yaml.safe_load(FILES[Platform.COMPOSE, "compose.yaml"])
MANIFESTS = [text for (platform, place), text in FILES.items() if platform is Platform.KUBERNETES and place.endswith(".yaml")]
OURS = {name: each for name, each in COMPOSE["services"].items() if each["image"].startswith("notifyflow:")}
SECRETS = {
    "database-url": "postgresql://notifyflow:sesame@127.0.0.1:1/notifyflow",
    "broker-url": "redis://:sesame@127.0.0.1:1/0",
    "secret-key": "x" * 43,
    "smtp-url": "smtp://notifyflow:sesame@mail.example.com:587",
    "slack-bot-token": "xoxb-sesame",
}


def run(*arguments: str, code: int = 0) -> str:
    ended = CliRunner().invoke(app, ["deploy", *arguments])
    error = ended.exception if isinstance(ended.exception, NotifyflowError) else None
    assert (code_of(error) if error else ended.exit_code) == code, ended.output
    return f"{ended.output}{error or ''}"


def commands_of_units() -> Iterator[list[str]]:
    for text in UNITS.values():
        lines = re.findall(r"^ExecStart=/opt/notifyflow/bin/(.+)$", text, re.MULTILINE)
        assert lines
        yield from (line.replace("%i", "8000").split() for line in lines)


def commands() -> list[Sequence[str]]:
    of_pods = re.findall(r"^ +command: (\[.*\])$", "".join(MANIFESTS), re.MULTILINE)
    assert len(of_pods) == 3
    return [*commands_of_units(), *(each["command"] for each in OURS.values()), *map(json.loads, of_pods)]


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def put_files(platform: Platform, settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Put the files that settings name below a folder, and return the settings with their paths there."""
    found = {}
    for name, value in settings.items():
        found[name] = value
        if value.startswith(("/etc/notifyflow/", "/run/secrets/")):
            path = folder / Path(value).name
            found[name] = str(path)
            shared = [text for (of, place), text in FILES.items() if of is platform and Path(place).name == path.name]
            path.write_text(shared[0] if shared else SECRETS.get(path.name, "sesame" * 6))
    return found


@pytest.mark.parametrize("platform", Platform)
def test_the_committed_files_are_those_that_the_command_writes(platform: Platform, tmp_path: Path):
    """Otherwise run it again: ``notifyflow deploy PLATFORM --force``."""
    run(platform, "--output", str(tmp_path))
    committed = DEPLOY / platform
    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(committed): path.read_bytes() for path in committed.rglob("*") if path.is_file()}
    assert {place: text for place, text in written.items() if place.parts[0] != "secrets"} == {
        place: text for place, text in kept.items() if place.parts[0] != "secrets"
    }


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_each_command_is_read_by_the_parser_that_will_read_it(words: Sequence[str]):
    (check_command if words[0] == "notifyflow" else check_worker)(words)


@pytest.mark.parametrize("place", FILES, ids="/".join)
def test_no_file_lists_queues_or_checks_the_settings_before_a_start(place: tuple[Platform, str]):
    queues = {queue_name(channel, severity) for channel in load(Settings.from_variables({})) for severity in Severity}
    listed = [queue for queue in queues if re.search(rf"(--queues|-Q).*\b{re.escape(queue)}\b", FILES[place])]
    assert listed == []
    assert not re.search(r"--queues|config[\s\",]+check", FILES[place])


@pytest.mark.parametrize(
    ("platform", "names"),
    [
        (Platform.SYSTEMD, ["notifyflow.env"]),
        (Platform.COMPOSE, OURS["worker"]["env_file"]),
        (Platform.KUBERNETES, ["notifyflow.env"]),
    ],
)
def test_with_the_settings_of_a_deployment_somebody_can_be_reached(platform: Platform, names: Sequence[str], tmp_path: Path):
    """Check them as an administrator does, with secrets in the files that they name."""
    settings = {name: value for place in names for name, value in settings_of(FILES[platform, place]).items()}
    settings = put_files(platform, settings, tmp_path)
    Settings.from_variables(settings)
    for check in (["config", "check", "--offline"], ["directory", "check"]):
        ended = CliRunner().invoke(app, check, env=settings)
        assert ended.exit_code == 0, ended.output


@pytest.mark.parametrize("place", [place for place in FILES if place[1].endswith((".env", ".yaml"))], ids="/".join)
def test_no_file_holds_a_secret_but_the_sandbox_whose_secrets_are_public(place: tuple[Platform, str]):
    secret = {f"NOTIFYFLOW_{name.upper()}" for name, field in Settings.model_fields.items() if is_secret(field)}
    held = {name for name in re.findall(r"\b(NOTIFYFLOW_\w+)[=:]", FILES[place]) if name in secret}
    assert held <= {"NOTIFYFLOW_BROKER_URL"} or place[1] == "sandbox.env"
    assert not re.search(r"(redis|postgresql)://[^/\s]*:[^/\s]*@", FILES[place])


@pytest.mark.parametrize("place", [place for place in UNITS if "nightly" not in place])
def test_a_unit_is_started_again_for_ever_and_has_time_to_stop(place: str):
    lines = UNITS[place].splitlines()
    assert {"Restart=always", "StartLimitIntervalSec=0", "TimeoutStopSec=45", "KillMode=mixed"} <= set(lines)
    assert not [line for line in lines if line.startswith(("Requires=", "BindsTo=", "Requisite="))]


def test_processes_in_containers_are_started_again_may_write_nothing_and_have_time_to_stop():
    for name, service in OURS.items():
        assert service["restart"] == {"upgrade": "on-failure", "page": "no"}.get(name, "always"), name
        assert service["stop_grace_period"] == "45s", name
        assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"]), name


def test_containers_that_use_the_schema_wait_until_its_upgrade_has_ended_well():
    assert "depends_on" not in OURS["upgrade"], "podman starts nothing that depends on what has ended and depends on others"
    waiting = {name for name, each in OURS.items() if "upgrade" in each.get("depends_on", {})}
    assert waiting == {"web", "worker", "page"}
    assert all(OURS[name]["depends_on"]["upgrade"] == {"condition": "service_completed_successfully"} for name in waiting)


def test_the_sandbox_and_its_page_are_a_profile_and_two_workers_are_not():
    assert {name for name, each in OURS.items() if each.get("profiles") == ["sandbox"]} == {"sandbox", "page"}
    assert OURS["worker"]["deploy"] == {"replicas": 2}


def test_everything_that_a_service_mounts_is_declared_or_written(tmp_path: Path):
    run("compose", "--output", str(tmp_path))
    for name, each in COMPOSE["secrets"].items():
        assert (tmp_path / each["file"]).read_text(), name
    for service in COMPOSE["services"].values():
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        sources = [volume.partition(":")[0] for volume in service.get("volumes", ())]
        assert [each for each in sources if each not in COMPOSE["volumes"] and not (tmp_path / each).is_dir()] == []
        assert [each for each in service.get("env_file", ()) if not (tmp_path / each).is_file()] == []


def test_secrets_are_made_once_and_the_folder_is_closed_to_others(tmp_path: Path):
    run("compose", "--output", str(tmp_path))
    folder = tmp_path / "secrets"
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}, "the user of a container is another one"
    assert first["database-password"] in first["database-url"]
    (folder / "database-url").unlink()
    shown = run("compose", "--output", str(tmp_path), "--force")
    assert {path.name: path.read_text() for path in folder.iterdir()} == first
    assert not [secret for name, secret in first.items() if name != ".gitignore" and secret in shown]


def test_files_that_are_different_are_overwritten_by_force_only(tmp_path: Path):
    run("systemd", "--output", str(tmp_path))
    unit, env = tmp_path / "notifyflow.service", tmp_path / "notifyflow.env"
    unit.write_text("mine")
    env.unlink()
    refused = run("systemd", "--output", str(tmp_path), code=2)
    assert "notifyflow.service" in refused
    assert "--force" in refused
    assert (unit.read_text(), env.exists()) == ("mine", False), "nothing is written at all"
    assert "Wrote 2 files" in run("systemd", "--output", str(tmp_path), "--force")
    assert unit.read_text() == FILES[Platform.SYSTEMD, "notifyflow.service"]


def test_a_folder_that_cannot_be_written_and_an_unknown_platform_are_bad_input(tmp_path: Path):
    (tmp_path / "file").touch()
    refused = run("systemd", "--output", str(tmp_path / "file" / "x"), code=2)
    assert "cannot be written: Not a directory" in refused
    assert "Name a folder" in refused
    assert "systemd" in run("nomad", code=2)


def test_the_package_has_every_template():
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg")
    globs = setup["options.package_data"]["notifyflow"].split()
    packed = {path for each in globs for path in PACKAGE.glob(each)}
    templates = {path for path in (PACKAGE / "cli/upkeep/deployments").rglob("*") if path.is_file()}
    assert templates
    assert templates <= packed
