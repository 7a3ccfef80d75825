"""The surroundings of a sandbox in a test: an event loop on virtual time, and callbacks that come when the driver lets them.

The sandbox's loop runs in a thread of its own, since a send of the driver blocks until a stand-in has responded. It is watched
through its selector: a loop that would wait for a timer or for a client has nothing left to do now.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from math import ceil
from threading import Event
from typing import Any, TypeVar

from notifyflow.sandbox.script import Kind, Reaction
from notifyflow.sandbox.surroundings import Surroundings
from notifyflow.testing.clock import VirtualClock
from notifyflow.testing.web import Response

T = TypeVar("T")

_TIMEOUT_S = 60.0
"""How long, in real time, the stand-ins may take for what is due at one instant."""

Ask = Callable[[str, str, str, Mapping[str, str]], Coroutine[None, None, Response]]
"""Sends a request (method, URL, body, headers) to notifyflow's web application."""


class VirtualSurroundings(Surroundings):
    """Virtual time, and callbacks inside this process.

    Args:
        clock: The time.
        ask: Sends a callback.
        timeout: How long notifyflow waits for a provider's response.
    """

    def __init__(self, clock: VirtualClock, ask: Ask, *, timeout: timedelta) -> None:
        self._clock = clock
        self._began_at = clock.now()
        self._ask = ask
        self._timeout = timeout
        self._loop: asyncio.AbstractEventLoop
        self._is_open = asyncio.Event()
        self._turn = asyncio.Lock()
        self._callbacks = 0
        self._rested = asyncio.Event()
        self._waiting_for_idle: list[Event] = []
        self._next_at: datetime | None = None

    @property
    def next_at(self) -> datetime | None:
        """When the stand-ins have something to do; None if they wait for nothing but requests."""
        return self._next_at

    def wait_until_idle(self) -> None:
        """Let the stand-ins do what is due now, callbacks included, and wait until they have nothing more to do."""
        with self._opened():
            is_idle = Event()
            self._loop.call_soon_threadsafe(self._waiting_for_idle.append, is_idle)
            if not is_idle.wait(_TIMEOUT_S):
                raise TimeoutError(f"the sandbox is still busy after {_TIMEOUT_S:g} s")

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Make the event loop, whose timers go by the virtual clock."""
        self._loop = _Loop(_Selector(self._note_idle), self.now_s)
        return self._loop

    def now_s(self) -> float:
        """Return the virtual seconds since the start."""
        return (self._clock.now() - self._began_at).total_seconds()

    def date(self) -> str:
        """Return the virtual date."""
        return format_datetime(self._clock.now())

    def carry_out(self, reaction: Reaction) -> Reaction:
        """Let the clock pass what the response takes, and respond at once; cut the connection where notifyflow gives up."""
        took = self._timeout if reaction.kind is Kind.HANG else timedelta(seconds=reaction.delay_s)
        self._clock.pass_time(min(took, self._timeout))
        return replace(reaction, delay_s=0.0, kind=Kind.CUT if took >= self._timeout else reaction.kind)

    def ringing_s(self, pause_s: float) -> float:
        """Return for how many virtual seconds a call rings that nobody answers, about as long as a phone does."""
        del pause_s
        return 25.0

    async def post(self, url: str, body: str, headers: Mapping[str, str]) -> tuple[int | None, str]:
        """Post a form to notifyflow's web application, one after the other, as soon as callbacks may come."""
        await self._is_open.wait()
        self._callbacks += 1
        try:
            async with self._turn:
                response = await self._ask("POST", url, body, headers)
                await self._rest()
        finally:
            self._callbacks -= 1
        return response.status, response.text

    def wait_for(self, work: "Future[T]") -> T:
        """Let callbacks come until what runs on the loop has a result."""
        with self._opened():
            return work.result(_TIMEOUT_S)

    def run(self, work: Coroutine[None, None, T]) -> T:
        """Run something on the loop, and return its result."""
        return self.wait_for(asyncio.run_coroutine_threadsafe(work, self._loop))

    @contextmanager
    def _opened(self) -> Iterator[None]:
        self._loop.call_soon_threadsafe(self._is_open.set)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._is_open.clear)

    async def _rest(self) -> None:
        """Wait until a callback has had its effects, such as the end of a call: they precede the next callback."""
        self._rested.clear()
        await self._rested.wait()

    def _note_idle(self, timeout_s: float | None) -> None:
        """Note, on the loop's thread, that nothing is left to do for some seconds; None if no timer runs."""
        if not self._rested.is_set():
            self._loop.call_soon_threadsafe(self._rested.set)
        if self._callbacks:
            return
        self._next_at = None if timeout_s is None else self._clock.now() + timedelta(microseconds=ceil(timeout_s * 1e6))
        while self._waiting_for_idle:
            self._waiting_for_idle.pop().set()


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, selector: selectors.BaseSelector, now_s: Callable[[], float]) -> None:
        super().__init__(selector)
        self._now_s = now_s

    def time(self) -> float:
        return self._now_s()


class _Selector(selectors.DefaultSelector):
    """Waits for clients only, and says when it begins to."""

    def __init__(self, note_idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._note_idle = note_idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        self._note_idle(timeout)
        return super().select(None)
