"""The surroundings of the sandbox: its event loop, its time, and the network that its callbacks take. Tests may bring others."""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Future
from email.utils import formatdate
from typing import TypeVar

from notifyflow.sandbox.courier import post_form
from notifyflow.sandbox.script import Reaction

T = TypeVar("T")


class Surroundings:
    """The machine: real time, and callbacks over sockets."""

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Make the event loop on which the stand-ins run, in a thread of their own."""
        return asyncio.SelectorEventLoop()

    def now_s(self) -> float:
        """Return the time in seconds since some instant."""
        return time.monotonic()

    def date(self) -> str:
        """Return the date and time as HTTP and mail write them (RFC 2822)."""
        return formatdate()

    def carry_out(self, reaction: Reaction) -> Reaction:
        """Return the reaction that a stand-in shows in place of what the script says; here that."""
        return reaction

    def ringing_s(self, pause_s: float) -> float:
        """Return for how many seconds a call rings that nobody answers; here no longer than anything else takes."""
        return pause_s

    async def post(self, url: str, body: str, headers: Mapping[str, str]) -> tuple[int | None, str]:
        """Post a form to notifyflow once; return the status, None without a response, and the body."""
        return await post_form(url, body, headers)

    def wait_for(self, work: "Future[T]") -> T:
        """Wait for what runs on the loop, and return its result."""
        return work.result()
