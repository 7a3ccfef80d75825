"""The running script: whose line counts, and what begins anew."""

import pytest

from notifyflow.errors import InvalidScript
from notifyflow.sandbox.playbook import Playbook
from tests.unit.sandbox.test_script import CHANNELS


def playbook(script: str) -> Playbook:
    made = Playbook(CHANNELS)
    made.load(script)
    return made


def test_without_a_script_all_is_well() -> None:
    assert Playbook(CHANNELS).play("sms", "+4930123456").words == "ok"


def test_each_request_is_one_step_further() -> None:
    running = playbook("slack: 500 twice, then ok")
    assert [running.play("slack", "ada").words for _ in range(3)] == ["500", "500", "ok"]


def test_an_address_goes_before_a_channel_and_a_channel_before_all() -> None:
    running = playbook("all: 503\nslack: 500\nslack to ben: 404\nall to cy: hang")
    outcomes = [
        running.play(*who).words
        for who in (("teams", "ada"), ("slack", "ada"), ("slack", "ben"), ("teams", "cy"), ("slack", "cy"))
    ]
    assert outcomes == ["503", "500", "404", "hang", "hang"]


def test_lines_count_for_themselves() -> None:
    running = playbook("slack: 500 once\nslack to ben: 404 once")
    assert [running.play("slack", "ben").words for _ in range(2)] == ["404", "ok"]
    assert running.play("slack", "ada").words == "500"


def test_a_new_line_for_the_same_target_begins_anew_and_leaves_the_others() -> None:
    running = playbook("slack: 500 once\nsms: 21610")
    running.play("slack", "ada")
    running.load("slack: 404 once")
    assert [running.play("slack", "ada").words for _ in range(2)] == ["404", "ok"]
    assert running.play("sms", "+1").words == "21610"


def test_a_line_about_all_ends_every_earlier_one() -> None:
    running = playbook("slack: 500\nsms to +1: 21610")
    running.load("all: ok")
    assert {running.play("slack", "ada").words, running.play("sms", "+1").words} == {"ok"}


def test_a_line_about_all_to_one_address_ends_only_the_earlier_ones_for_that_address() -> None:
    running = playbook("slack: 500\nslack to ben: 404")
    running.load("all to ben: 503")
    assert [running.play("slack", who).words for who in ("ben", "ada")] == ["503", "500"]


def test_a_script_that_cannot_be_read_changes_nothing() -> None:
    running = playbook("slack: 500")
    with pytest.raises(InvalidScript):
        running.load("all: ok\nslack: nonsense")
    assert running.play("slack", "ada").words == "500"


def test_channels_are_refusing_from_the_moment_their_step_comes() -> None:
    running = playbook("slack: 500 once, then refuse")
    assert running.refusing() == frozenset()
    running.play("slack", "ada")
    assert running.refusing() == {"slack"}
    running.load("all: refuse")
    assert running.refusing() == {"email", "slack", "teams", "push", "sms", "voice", "webhook"}
    running.load("sms: ok")
    assert "sms" not in running.refusing()


def test_the_script_in_force_reads_as_the_same_rules() -> None:
    playbook, again = Playbook(CHANNELS), Playbook(CHANNELS)
    playbook.load("slack: 500 twice, then hang once, then ok; sms to +4930901820: 21610; email: accept, then hang; voice: key 1")
    again.load(playbook.script, is_whole=True)
    assert again.script == playbook.script
    assert again._rules == playbook._rules
