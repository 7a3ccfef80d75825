"""A package that somebody else installs adds a channel by its entry point alone."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.channels.registry import load
from notifyflow.settings import Settings
from notifyflow.testing.channel_contract import a_message
from notifyflow.testing.scripted_http import http_server

MODULE = """
from notifyflow.plugin import Accepted, ProviderCapabilities, Channel, Http, OutboundMessage, Provider, refusal


class Pager(Provider):
    name = "pagers.example"
    capabilities = ProviderCapabilities()

    def __init__(self, settings):
        self._http = Http(settings)

    def send(self, a_message: OutboundMessage) -> Accepted:
        answer = self._http.post(a_message.address, json={"title": a_message.content.title})
        if not answer.is_success:
            raise refusal(answer.status, {}, retry_after_s=answer.retry_after_s)
        return Accepted(provider_ref=answer.text)

    def close(self) -> None:
        self._http.close()


class PagerChannel(Channel):
    name = "pager"

    @classmethod
    def from_settings(cls, settings):
        return cls([Pager(settings)])

    def check_address(self, address: str) -> str:
        if not address.startswith("http"):
            raise ValueError("is not a pager's URL")
        return address
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as an installer leaves it: a package and its metadata."""
    (tmp_path / "notifyflow_pager").mkdir()
    (tmp_path / "notifyflow_pager" / "__init__.py").write_text(MODULE)
    metadata = tmp_path / "notifyflow_pager-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: notifyflow-pager\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[notifyflow.channels]\npager = notifyflow_pager:PagerChannel\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield metadata / "entry_points.txt"
    sys.modules.pop("notifyflow_pager", None)
    importlib.invalidate_caches()


def test_our_six_channels_are_there() -> None:
    channels = load(Settings.from_variables({}))
    assert {"email", "push", "slack", "sms", "teams", "voice"} <= set(channels)
    assert all(channels[name].name == name for name in ("email", "push", "slack", "sms", "teams", "voice"))


def test_a_channel_that_nobody_configured_says_so() -> None:
    channels = load(Settings.from_variables({}))
    for name in ("email", "push", "sms", "voice"):
        assert channels[name].faults
        assert not channels[name].providers
    for name in ("slack", "teams"):
        assert not channels[name].faults
        assert channels[name].providers


@pytest.mark.usefixtures("installed")
def test_another_packages_channel_delivers() -> None:
    channel = load(Settings.from_variables({}))["pager"]
    with http_server() as server:
        server.respond(200, b"beep-1")
        accepted = channel.providers[0].send(a_message(channel.check_address(server.url + "/beep")))
        assert accepted.provider_ref == "beep-1"
        assert b"orders db is down" in server.requests[0].body
        channel.close()


def test_another_packages_channel_wins_over_ours(installed: Path) -> None:
    installed.write_text("[notifyflow.channels]\nsms = notifyflow_pager:PagerChannel\n")
    importlib.invalidate_caches()
    assert load(Settings.from_variables({}))["sms"].providers[0].name == "pagers.example"


def test_a_channel_that_is_installed_meanwhile_waits_for_the_next_process(installed: Path) -> None:
    before = load(Settings.from_variables({}))
    installed.write_text("[notifyflow.channels]\nsecond = notifyflow_pager:PagerChannel\n")
    importlib.invalidate_caches()
    assert list(load(Settings.from_variables({}))) == list(before)


@pytest.mark.parametrize("target", ["notifyflow_pager:Missing", "not_installed:Channel", "notifyflow_pager:Http", "json:dumps"])
def test_a_channel_that_cannot_be_loaded_silences_no_other(installed: Path, target: str) -> None:
    installed.write_text(f"[notifyflow.channels]\npager = {target}\n")
    importlib.invalidate_caches()
    channels = load(Settings.from_variables({}))
    assert not channels["pager"].providers
    assert "could not be loaded" in channels["pager"].faults[0].what
    assert channels["pager"].check_address("anything") == "anything"
    assert "email" in channels


def test_leaving_closes_the_channel_itself(installed: Path, tmp_path: Path) -> None:
    module = tmp_path / "notifyflow_pager" / "__init__.py"
    closing = "    def close(self):\n        super().close()\n        CLOSED.append(self.name)\n\n\nCLOSED = []\n"
    module.write_text(f"{MODULE}\n{closing}")
    NotifyFlow(Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'unused.db'}"})).close()
    assert importlib.import_module("notifyflow_pager").CLOSED == ["pager"]
