"""Ports that end their process with SIGKILL, before or after the n-th call of one of them.

``CHAOS_STRIKE`` says where: ``send before 1``, ``record after 3``. The points are the calls ``send``, ``ring``, ``id``, ``time``,
and the commits of each use case by its module's name: ``notify``, ``claim``, ``record``, ``sweep``, …; *before* a commit is in
its last moment.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from notifyflow.channels.base import Accepted, Channel, Provider, ProviderCapabilities
from notifyflow.channels.provider_protocols import FindsSentMessages
from notifyflow.core.delivery.model import Receipt, Severity
from notifyflow.core.delivery.ports import Bell, Clock, Ids
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.settings import Settings
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store

T = TypeVar("T")


class Striker:
    """Counts the calls at one point, and kills the process at the n-th."""

    def __init__(self, text: str) -> None:
        self._point, self._when, number = text.split() if text else ("", "", "0")
        self._left = int(number)
        self._lock = threading.Lock()

    def is_turn(self, point: str) -> bool:
        if point != self._point:
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0

    def fall(self, when: str) -> None:
        if when == self._when:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def around(self, point: str) -> Iterator[None]:
        is_turn = self.is_turn(point)
        if is_turn:
            self.fall("before")
        yield
        if is_turn:
            self.fall("after")


class StrikingStore(Store):
    def __init__(self, database_url: str, striker: Striker, *, pool_size: int) -> None:
        super().__init__(database_url, pool_size=pool_size)
        self._striker = striker

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        is_turn = self._striker.is_turn(_use_case_name())

        def until_its_commit(ledger: Ledger) -> T:
            result = use_case(ledger)
            if is_turn:
                self._striker.fall("before")
            return result

        result = super().run(until_its_commit, timeout_s=timeout_s, tries=tries)
        if is_turn:
            self._striker.fall("after")
        return result


def _use_case_name() -> str:
    """Return the module of the running use case: the innermost of the pipeline that is not about transactions in general."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_back is not None:
        package, _, module = str(frame.f_globals["__name__"]).rpartition(".")
        if package.startswith("notifyflow.pipeline") and package != "notifyflow.pipeline.transaction":
            return module
        frame = frame.f_back
    return "engine"


class StrikingClock:
    def __init__(self, clock: Clock, striker: Striker) -> None:
        self._clock, self._striker = clock, striker

    def now(self) -> datetime:
        with self._striker.around("time"):
            return self._clock.now()


class StrikingIds:
    def __init__(self, ids: Ids, striker: Striker) -> None:
        self._ids, self._striker = ids, striker

    def new(self) -> str:
        with self._striker.around("id"):
            return self._ids.new()

    def fraction(self) -> float:
        return self._ids.fraction()


class StrikingBell:
    def __init__(self, bell: Bell, striker: Striker) -> None:
        self._bell, self._striker = bell, striker

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        with self._striker.around("ring"):
            self._bell.ring(channel, severity, *rings)


class StrikingProvider(Provider):
    def __init__(self, provider: Provider, striker: Striker) -> None:
        self.name = provider.name  # type: ignore[misc]
        self._provider, self._striker = provider, striker

    @property
    def capabilities(self) -> ProviderCapabilities:
        return self._provider.capabilities

    def send(self, message: OutboundMessage) -> Accepted:
        with self._striker.around("send"):
            return self._provider.send(message)

    def close(self) -> None:
        self._provider.close()


class StrikingFinder(StrikingProvider):
    """One that can find sent messages."""

    _provider: FindsSentMessages

    def find_sent_message(self, message: OutboundMessage) -> Receipt | None:
        with self._striker.around("find_sent_message"):
            return self._provider.find_sent_message(message)


def strike(provider: Provider, striker: Striker) -> StrikingProvider:
    kind = StrikingFinder if isinstance(provider, FindsSentMessages) else StrikingProvider
    return kind(provider, striker)


class StrikingChannel(Channel):
    def __init__(self, channel: Channel, striker: Striker) -> None:
        super().__init__([strike(provider, striker) for provider in channel.providers], channel.faults)
        self.name = channel.name  # type: ignore[misc]
        self.capabilities = channel.capabilities  # type: ignore[misc]
        self._channel = channel

    @classmethod
    def from_settings(cls, settings: Settings) -> "StrikingChannel":
        raise NotImplementedError

    def check_address(self, address: str) -> str:
        return self._channel.check_address(address)
