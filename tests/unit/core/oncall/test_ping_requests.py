"""The requests of pings are those of Healthchecks' clients."""

import pytest

from notifyflow.core.oncall.ping_requests import PingTarget, is_preview, is_run_id, key_of, output, read_target
from notifyflow.core.oncall.pings import OUTPUT_LIMIT, Signal

KEY = "nf_0a_s3cret_with_lines"


@pytest.mark.parametrize(
    ("path", "name", "signal", "exit_status"),
    [
        ("backup", "backup", Signal.SUCCESS, None),
        ("backup/start", "backup", Signal.START, None),
        ("backup/fail", "backup", Signal.FAIL, None),
        ("backup/log", "backup", Signal.LOG, None),
        ("backup/0", "backup", Signal.SUCCESS, None),
        ("backup/3", "backup", Signal.FAIL, 3),
        ("backup/255", "backup", Signal.FAIL, 255),
        ("backup/KILL", "backup", Signal.FAIL, None),
        ("start", "start", Signal.SUCCESS, None),  # a name that the directory refuses
    ],
)
def test_the_path_names_the_job_and_what_became_of_it(path: str, name: str, signal: Signal, exit_status: int | None) -> None:
    assert read_target(path.split("/")) == PingTarget(name=name, signal=signal, exit_status=exit_status)
    if name != "start" and "KILL" not in path:
        assert read_target([KEY, *path.split("/")]) == read_target(path.split("/"))
        alone = PingTarget(name="", signal=signal, exit_status=exit_status)
        assert read_target([KEY, *path.split("/")[1:]]) == alone


@pytest.mark.parametrize(
    "path", ["", "backup/256", "backup/stop", "backup/start/now", f"{KEY}/backup/start/3", "/start", "nf_x/y/z"]
)
def test_anything_else_is_no_ping(path: str) -> None:
    assert read_target(path.split("/")) is None


def test_the_key_is_found_in_the_path_of_any_request() -> None:
    for path in (KEY, f"{KEY}/backup", f"{KEY}/backup/stop"):
        assert key_of(path.split("/")) == KEY
    for path in ("", "backup", f"backup/{KEY}", "nf_x/y"):
        assert key_of(path.split("/")) == ""


def test_a_run_has_an_id_of_visible_letters_or_none() -> None:
    assert is_run_id("")
    assert is_run_id("0d338dcc-a054-11ec-b909-0242ac120002")
    assert not is_run_id("a b")
    assert not is_run_id("x" * 65)


def test_who_shows_a_preview_of_a_link_is_known_by_the_agent() -> None:
    assert is_preview("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)")
    assert is_preview("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)")
    assert not is_preview("curl/8.5.0")


def test_the_beginning_of_a_body_is_shown() -> None:
    assert output(b"done\r\n") == "done"
    assert output(b"\xff") == "\N{REPLACEMENT CHARACTER}"
    assert len(output(b"x" * 5_000)) == OUTPUT_LIMIT + 1
