"""Drives the real pipeline over the sandbox step by step: claim, send, record, receipts and sweeps, on a clock that is moved.

It starts no engine. What the engine's threads do side by side, the driver does one after the other in the calling thread, in an
order that never changes.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlencode

from notifyflow.core.delivery.model import Severity
from notifyflow.core.oncall.watched_jobs import ABSENT_AFTER
from notifyflow.engine.deliver import Deliverer
from notifyflow.engine.rollup_loop import RollupLoop
from notifyflow.engine.status_poller import StatusPoller
from notifyflow.pipeline.delivery.sweep import next_wake_at, sweep
from notifyflow.sandbox import Sandbox
from notifyflow.sandbox.inbox import Inbox, Message
from notifyflow.settings import Settings
from notifyflow.testing.clock import START, CountingIds, VirtualClock
from notifyflow.testing.flow import DrivenFlow
from notifyflow.testing.surroundings import VirtualSurroundings
from notifyflow.testing.web import Response, request

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PUBLIC_URL = "https://notifyflow.example"
"""Where links and callbacks lead; only the driver serves it."""
_SHORTEST_PAUSE = timedelta(milliseconds=50)
_LONGEST_PAUSE = timedelta(seconds=30)
"""The longest time between two sweeps: after a minute without one, the rules assume an outage."""
_LONGEST_RUN = timedelta(hours=6)
_FIELDS = re.compile(r'<input type="(?:hidden|checkbox)" name="([^"]+)" value="([^"]*)"(?: checked)?>')
"""A field that a page's button sends."""


class _Rings:
    """Collects rings until the driver handles them."""

    def __init__(self) -> None:
        self._rings: list[tuple[str, Severity, Sequence[str]]] = []

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        self._rings += [(channel, severity, each) for each in rings]

    def take(self) -> list[tuple[str, Severity, Sequence[str]]]:
        """Return the rings since the last call, CRITICAL ones first."""
        rings, self._rings = self._rings, []
        return sorted(rings, key=lambda ring: ring[1] is not Severity.CRITICAL)


class Driver:
    """A flow over a sandbox, and the clock that both go by; a context manager.

    Nothing is sent before one of ``deliver``, ``advance``, ``advance_to``, ``run_until`` and ``run_until_settled`` is called, or
    ``flow.wait``.

    Example::

        with Driver() as driver:
            driver.sandbox.script("email: 550")
            driver.flow.notify(Incident(key="db-1", title="orders db is down"), [ada], policy="insistent")
            driver.advance(minutes=5)
            assert driver.inbox.messages(channel="sms", to=ada.phone)

    Args:
        variables: More ``NOTIFYFLOW_*`` settings; those of the environment are not read.
        folder: Where the database is; None for a temporary folder.
        start_at: When the test begins, aware; a Monday at 9:00 UTC by default.
        mail_over: What carries mail.
        has_spares: Whether the sandbox carries every provider; see ``Sandbox``.
        failing: The names of providers and channels that respond with an error to everything.
        completed: Makes more settings from the running sandbox, such as those with its addresses.

    Attributes:
        clock: The time of all parts.
        sandbox: The stand-ins for the providers. Their callbacks come while the driver runs, and during ``reply`` and ``press``.
        flow: The flow; its ``start`` and ``close`` do nothing.

    Raises:
        InvalidSettings: When the settings do not allow a start.
    """

    def __init__(
        self,
        variables: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        start_at: datetime = START,
        mail_over: Literal["smtp", "ses"] = "smtp",
        has_spares: bool = False,
        failing: Collection[str] = (),
        completed: Callable[[Sandbox], Mapping[str, str]] = lambda sandbox: {},
    ) -> None:
        given = dict(variables or {})
        self.clock = VirtualClock(start_at)
        self._rings = _Rings()
        with ExitStack() as stack:
            used = folder or Path(stack.enter_context(TemporaryDirectory(prefix="notifyflow-")))
            timeout = timedelta(seconds=Settings.from_variables(given).read_timeout_s)
            self._surroundings = VirtualSurroundings(self.clock, self._ask, timeout=timeout)
            sandbox = Sandbox(surroundings=self._surroundings, mail_over=mail_over, has_spares=has_spares, failing=failing)
            self.sandbox = stack.enter_context(sandbox)
            settings = Settings.from_variables(
                {
                    **self.sandbox.settings(),
                    "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{used / 'notifyflow.db'}",
                    "NOTIFYFLOW_PUBLIC_URL": PUBLIC_URL,
                    **given,
                    **completed(self.sandbox),
                }
            )
            self.flow = DrivenFlow(settings, clock=self.clock, ids=CountingIds(), bell=self._rings, drive=self._drive)
            stack.callback(self.flow.end)
            self.flow.prepare()
            self._deliverer = Deliverer(
                self.flow.deps,
                self.flow.channels,
                self.flow.reporter,
                send_budget=timedelta(seconds=settings.send_budget_s),
                concurrency=settings.concurrent_sends,
            )
            self._poller = StatusPoller(self.flow.deps, self.flow.channels, self.flow.reporter)
            self._rollup = RollupLoop(self.flow.deps)
            self._loops = {loop.name: loop for loop in self.flow.make_loops()}
            for loop in self._loops.values():
                stack.callback(loop.close)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the flow and the sandbox, and delete the temporary folder; the inbox stays."""
        self._stack.close()

    @property
    def inbox(self) -> Inbox:
        """Everything that arrived at the stand-ins."""
        return self.sandbox.inbox

    def deliver(self) -> None:
        """Do what is due now: sends, receipts, timers. The clock moves only if a response takes time (``slow 3 s``, ``hang``)."""
        is_busy = True
        while is_busy:
            self.flow.reporter.finish()
            self._surroundings.wait_until_idle()
            self._poller.poll()
            for loop in self._loops.values():
                loop.turn()
            swept = sweep(self.flow.deps)
            self.flow.reporter.report(swept)
            for error in (*swept.broken, *filter(None, [swept.cut_short])):
                raise error
            self._rollup.turn()
            rings = self._rings.take()
            for channel, severity, notification_ids in rings:
                self._deliverer.deliver(channel, notification_ids, is_urgent=severity is Severity.CRITICAL)
            is_busy = bool(rings)

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass, and do at its instant what becomes due."""
        self.advance_to(self.clock.now() + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))

    def advance_to(self, at: datetime) -> None:
        """Let time pass until an instant, aware; if it is over, do only what is due now."""
        self.deliver()
        while (next_at := self._next_at()) < at:
            self._pass_time(next_at)
            self.deliver()
        self._pass_time(at)
        self.deliver()

    def run_until(self, condition: Callable[[], bool], *, limit: timedelta = _LONGEST_RUN) -> None:
        """Let time pass until a condition holds.

        Raises:
            TimeoutError: When it does not hold after this much virtual time.
        """
        if not self._drive(condition, limit):
            raise TimeoutError(f"it does not hold after {limit} of virtual time")

    def run_until_settled(self, *, limit: timedelta = _LONGEST_RUN) -> None:
        """Let time pass until each recipient of each unresolved incident is reached, or cannot be, or acknowledges.

        Raises:
            TimeoutError: When that takes longer than this much virtual time.
        """
        self.run_until(self.flow.is_settled, limit=limit)

    def acknowledge(self, message: Message) -> Response:
        """Press the button of the page that a message's acknowledgement link opens, and return the response.

        A message about several incidents has a link to a page with all of them, each ticked; its button acknowledges them.

        Raises:
            LookupError: When it has no such link.
        """
        for link in message.links:
            if link.startswith(f"{PUBLIC_URL}/a/"):
                return self.request("POST", link, body=urlencode(_FIELDS.findall(self.request("GET", link).text)))
        raise LookupError("the message has no acknowledgement link")

    def request(self, method: str, url: str, *, body: str = "", headers: Mapping[str, str] | None = None) -> Response:
        """Send a request to notifyflow's web application: links, callbacks, integrations, API.

        Args:
            method: Of HTTP.
            url: A URL below ``PUBLIC_URL``, or only its path.
            body: A form, unless ``headers`` say something else.
            headers: Any headers.
        """
        return self._surroundings.run(self._ask(method, url, body, headers or {}))

    @cached_property
    def _web(self) -> "ASGIApp":
        return self.flow.asgi()

    async def _ask(self, method: str, url: str, body: str, headers: Mapping[str, str]) -> Response:
        response = await request(self._web, method, url, body=body, headers=headers)
        await asyncio.to_thread(self.flow.reporter.finish)
        return response

    def _drive(self, condition: Callable[[], bool], limit: timedelta | None) -> bool:
        until = self.clock.now() + (_LONGEST_RUN if limit is None else limit)
        self.deliver()
        while not condition():
            if self.clock.now() >= until:
                return False
            self._pass_time(min(self._next_at(), until))
            self.deliver()
        return True

    def _pass_time(self, until: datetime) -> None:
        """Let time pass, in which the web service listens for pings."""
        while "listener" in self._loops and (at := self.clock.now() + ABSENT_AFTER) < until:
            self.clock.move_to(at)
            self._loops["listener"].turn()
        self.clock.move_to(until)

    def _next_at(self) -> datetime:
        """Return when the next step is: a timer of the pipeline's or the sandbox's, or merely a sweep."""
        now = self.clock.now()
        times = [now + _LONGEST_PAUSE]
        if (wake_at := next_wake_at(self.flow.deps)) is not None:
            times.append(max(wake_at, now + _SHORTEST_PAUSE))
        if (look_at := self.flow.next_look_at()) is not None:
            times.append(max(look_at, now + _SHORTEST_PAUSE))
        if self._surroundings.next_at is not None:
            times.append(self._surroundings.next_at)
        return min(times)
