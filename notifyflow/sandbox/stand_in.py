"""The base of the HTTP stand-ins: they read a request as a message, and respond as their provider would."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from notifyflow.sandbox.http import Form, HttpResponse, Request
from notifyflow.sandbox.inbox import Message
from notifyflow.sandbox.script import Reaction

Providers = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Channel to provider to settings, without ``NOTIFYFLOW_``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request that its provider would have understood.

    Attributes:
        message: The message.
        form: The request's fields.
    """

    message: Message
    form: Form = field(default_factory=Form)


class StandIn(ABC):
    """One provider over HTTP.

    Attributes:
        name: Its name.
        channels: The channels that it carries.
        providers: The providers that it plays, by channel, each with the settings without which it does not carry that channel.
    """

    name: ClassVar[str]
    channels: ClassVar[tuple[str, ...]]
    providers: ClassVar[Providers] = {}

    def settings(self, url: str) -> Mapping[str, str]:
        """Return the settings that lead notifyflow to it at a URL, without ``NOTIFYFLOW_``; none by default."""
        del url
        return {}

    def spares(self) -> Mapping[str, str]:
        """Return more settings, of providers that come after the first of a channel; none by default."""
        return {}

    def addresses(self, url: str, person: int) -> Mapping[str, str]:
        """Return the addresses of a person, by a number, on the channels of ``providers``, at a URL; none by default."""
        del url, person
        return {}

    @abstractmethod
    def read(self, request: Request) -> Arrival | HttpResponse:
        """Read a request; return a response if the provider would refuse it, or if there is nothing to deliver."""

    @abstractmethod
    def accept(self, arrival: Arrival) -> HttpResponse:
        """Return the response that accepts a message."""

    @abstractmethod
    def refuse(self, arrival: Arrival, reaction: Reaction) -> HttpResponse:
        """Return the response that refuses a message, with a status or the provider's own code; ``Retry-After`` is added."""

    async def follow(self, arrival: Arrival, reaction: Reaction) -> None:
        """Carry out what follows an accepted message: receipts, calls."""
        del arrival, reaction


def new_reference(prefix: str = "") -> str:
    """Return an id like a provider's: 32 random hex digits."""
    return prefix + os.urandom(16).hex()
