"""Channels to a provider that does nothing, waits, or posts over HTTP, added as a plug-in adds them.

They have the names of the channels that notifyflow has, so that its policies use them. ``PROVIDER`` and ``EAR`` are as in
``tests.bench.peers.provider``. An address that begins with ``gone`` is refused for good, one with ``later`` for now.
"""

import os
import time
from pathlib import Path

from notifyflow.channels.base import Accepted, Channel, Provider
from notifyflow.channels.http import STATUSES, Http, refusal
from notifyflow.core.capabilities import CHAT_BEAT, ChannelCapabilities
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import PermanentProviderError, TemporaryProviderError
from notifyflow.settings import Settings
from tests.bench.peers.provider import report

NAME = "bench"
_PROVIDER = os.environ.get("PROVIDER", "null")


class BenchProvider(Provider):
    """Carries every message of one channel."""

    name = NAME

    def __init__(self, settings: Settings, channel: str) -> None:
        self._channel = channel
        self._http = Http(settings)

    def send(self, message: OutboundMessage) -> Accepted:
        report("call", message.address)
        if message.address.startswith("gone"):
            raise PermanentProviderError("there is no such address", code="gone")
        if message.address.startswith("later"):
            raise TemporaryProviderError("is busy", code="busy")
        if _PROVIDER.startswith("sleep:"):
            time.sleep(int(_PROVIDER[6:]) / 1000)
        elif _PROVIDER.startswith("http:"):
            body = {"channel": self._channel, "to": message.address, "text": message.content.title}
            response = self._http.post(_PROVIDER, json=body)
            if not response.is_success:
                raise refusal(response.status, STATUSES)
        report("done", message.address)
        return Accepted()

    def close(self) -> None:
        self._http.close()


class BenchChannel(Channel):
    """A channel that accepts every address."""

    provider_names = (NAME,)

    @classmethod
    def from_settings(cls, settings: Settings) -> Channel:
        return cls([BenchProvider(settings, cls.name)])

    def check_address(self, address: str) -> str:
        return address


class Email(BenchChannel):
    name = "email"
    capabilities = ChannelCapabilities(gets_status_updates=True, shows_without_receipt=True, is_bundled=True)


class Slack(BenchChannel):
    name = "slack"
    capabilities = ChannelCapabilities(gets_status_updates=True, shows_without_receipt=True, is_bundled=True, beat=CHAT_BEAT)


class Push(BenchChannel):
    name = "push"
    capabilities = ChannelCapabilities(shows_without_receipt=True, is_bundled=True, beat=CHAT_BEAT)


class Sms(BenchChannel):
    name = "sms"
    capabilities = ChannelCapabilities(shows_without_receipt=True, has_text_replies=True, is_bundled=True, names=3)


class Voice(BenchChannel):
    name = "voice"
    capabilities = ChannelCapabilities(is_call=True, is_bundled=True)


def install(folder: Path) -> None:
    """Write the metadata that an installer writes for a distribution; it counts where the folder is on ``PYTHONPATH``."""
    metadata = folder / "notifyflow_bench_channels-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: notifyflow-bench-channels\nVersion: 1\n")
    points = "".join(f"{each.name} = {__name__}:{each.__name__}\n" for each in (Email, Slack, Push, Sms, Voice))
    (metadata / "entry_points.txt").write_text(f"[notifyflow.channels]\n{points}")
