"""The base of the HTTP stand-ins: they read a request as a message, and respond as their provider would."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from notifyflow.sandbox.http import Form, HttpResponse, Request
from notifyflow.sandbox.inbox import Message
from notifyflow.sandbox.script import Reaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request that its provider would have understood.

    Attributes:
        message: What it brings.
        form: Its fields, for what follows later.
    """

    message: Message
    form: Form = field(default_factory=Form)


class StandIn(ABC):
    """One provider over HTTP."""

    name: ClassVar[str]

    @abstractmethod
    def read(self, request: Request) -> Arrival | HttpResponse:
        """Read a request; return a response if the provider would refuse it, or if there is nothing to deliver."""

    @abstractmethod
    def accept(self, arrival: Arrival) -> HttpResponse:
        """Return the response that accepts a message."""

    @abstractmethod
    def refuse(self, arrival: Arrival, reaction: Reaction) -> HttpResponse:
        """Return the response that refuses a message, with an HTTP status or the provider's own code."""

    async def follow(self, arrival: Arrival, reaction: Reaction) -> None:
        """Do what happens after a message was accepted: receipts, calls."""
        del arrival, reaction


def new_reference(prefix: str = "") -> str:
    """Make an id as providers do: 32 hex digits, never the same again, also after a restart."""
    return prefix + os.urandom(16).hex()


def retry_header(reaction: Reaction) -> Mapping[str, str]:
    """Give the Retry-After header, where the script wants one."""
    return {} if reaction.retry_after_s is None else {"Retry-After": str(reaction.retry_after_s)}
