"""A channel of a third party that does what a test tells it to; its provider keeps what it was handed."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from notifyflow.channels.base import Accepted, Channel, Provider
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.pipeline.transaction.ports import Transactions
from notifyflow.settings import Settings
from notifyflow.storage.ledger import Ledger
from tests.capabilities import CAPABILITIES

T = TypeVar("T")


class ScriptedProvider(Provider):
    """Responds to each message with the next of its script, and accepts when that is over."""

    name = "scripted"

    def __init__(self, script: Iterable[Exception | Callable[[OutboundMessage], None]] = ()) -> None:
        self.script = deque(script)
        self.messages: list[OutboundMessage] = []
        self._lock = threading.Lock()

    def send(self, message: OutboundMessage) -> Accepted:
        with self._lock:
            self.messages.append(message)
            step = self.script.popleft() if self.script else None
        if isinstance(step, Exception):
            raise step
        if step is not None:
            step(message)
        return Accepted(provider_ref=message.attempt_id)


class ScriptedChannel(Channel):
    """Carries anything to any address with an @ in it, with the capabilities of the channel whose place it takes."""

    name = "email"
    faults = ()

    def __init__(self, *providers: ScriptedProvider, name: str = "email") -> None:
        self.providers = providers
        self.capabilities = CAPABILITIES[name]  # type: ignore[misc]

    @classmethod
    def from_settings(cls, settings: Settings) -> "ScriptedChannel":
        raise NotImplementedError

    def check_address(self, address: str) -> str:
        if "@" not in address:
            raise ValueError("is no mail address")
        return address


def channels(provider: ScriptedProvider) -> dict[str, Channel]:
    """Make the six channels; email has the provider, the others have none."""
    others = {name: ScriptedChannel(name=name) for name in ("slack", "teams", "push", "sms", "voice")}
    return others | {"email": ScriptedChannel(provider)}


class Faulty:
    """A database that raises each of its faults once, before it works."""

    def __init__(self, store: Transactions, faults: Iterable[Exception]) -> None:
        self._store = store
        self.faults = deque(faults)

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        if self.faults:
            raise self.faults.popleft()
        return self._store.run(use_case, timeout_s=timeout_s, tries=tries)
