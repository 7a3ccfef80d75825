"""The tries of connections: what threads share is imported before the first of them runs."""

import sys
from pathlib import Path

import pytest

from notifyflow.channels.base import Accepted, Provider
from notifyflow.channels.registry import load
from notifyflow.cli.frame.connections import ConnectionTry, Tries
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.settings import Settings

LIBRARY = "a_library_that_only_logins_use"


class Looks(Provider):
    name = "looks"
    libraries = (LIBRARY, "a_library_that_is_missing")

    def send(self, message: OutboundMessage) -> Accepted:
        raise AssertionError(message)

    def try_login(self) -> str:
        return f"imported: {LIBRARY in sys.modules}"


def test_libraries_are_imported_before_threads_try_the_providers_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{LIBRARY}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    settings = Settings()
    channel = load(settings)["webhook"]
    channel.providers = (Looks(),)
    assert LIBRARY not in sys.modules
    tries = Tries(settings=settings, wrong=(), channels={"webhook": channel})
    expected = ConnectionTry(name="looks", is_good=True, detail="imported: True", channels=("webhook",))
    assert list(tries.run("provider")) == [expected]
    del sys.modules[LIBRARY]
