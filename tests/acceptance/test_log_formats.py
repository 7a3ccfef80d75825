"""Every process of ours logs in the format and from the level that are set, its libraries' lines included."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.commands import CommandLine

FILE = {"key": "db-1", "title": "down", "recipients": [{"id": "ada", "phone": "+15005550006"}]}
_LOGFMT = re.compile(r"timestamp=\S+ level=\w+ logger=\S+ event=")
_CONSOLE = re.compile(r"\d{4}-\d\d-\d\dT\S+ \[\w+ *\] ")


def is_json(line: str) -> bool:
    return {"timestamp", "level", "logger", "event"} <= json.loads(line).keys() if line.startswith("{") else False


SHAPES: dict[str, Callable[[str], object]] = {"json": is_json, "logfmt": _LOGFMT.match, "console": _CONSOLE.match}


@pytest.mark.parametrize("name", SHAPES)
def test_up_and_the_other_commands_log_in_one_format(tmp_path: Path, name: str):
    line = CommandLine(tmp_path, {"NOTIFYFLOW_LOG_FORMAT": name, "NOTIFYFLOW_LOG_LEVEL": "info", "NOTIFYFLOW_DRAIN_S": "0"})
    sent = line.run("send", line.write("incident.json", FILE))
    lines = [each for each in sent.err.splitlines() if "engine.notification_failed" in each]
    assert len(lines) == 2, sent
    assert all(map(SHAPES[name], lines))
    with line.running("up", "--port", "0", until="Listening on") as printed:
        logged = [each for each in printed if "app.settings_incomplete" in each]
        assert len(logged) == 1, printed
        assert SHAPES[name](logged[0])


def test_by_default_commands_log_errors_only_and_as_json_where_there_is_no_terminal(tmp_path: Path):
    line = CommandLine(tmp_path, {})
    sent = line.run("send", line.write("incident.json", FILE))
    assert "engine.notification_failed" not in sent.err
    with line.running("web", "--port", "0", until="app.settings_incomplete|Listening on") as printed:
        assert [each for each in printed if "{" in each and not is_json(each)] == []


def test_a_level_or_format_that_does_not_exist_is_refused(tmp_path: Path):
    ended = CommandLine(tmp_path, {}).run("status", NOTIFYFLOW_LOG_LEVEL="loud", NOTIFYFLOW_LOG_FORMAT="xml")
    assert ended.code == 2
    assert "NOTIFYFLOW_LOG_LEVEL: 'loud' is refused" in ended.err
    assert "NOTIFYFLOW_LOG_FORMAT: 'xml' is refused" in ended.err
