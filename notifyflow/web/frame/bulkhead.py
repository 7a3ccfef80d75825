"""Threads for each kind of request, so that a flood of one kind does not slow down the others; each queue has a limit."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from inspect import iscoroutinefunction, signature
from itertools import count
from typing import Any, TypeVar, cast

from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException
from fastapi.routing import APIRoute

from notifyflow.errors import TooManyLogins
from notifyflow.web.frame.body import BodyBudget

R = TypeVar("R")
T = TypeVar("T")

_MIB = 1024 * 1024
_AT_A_TIME = 4
_HASHES_AT_A_TIME = 2
_PAGES_AT_A_TIME = 2
_LOGINS_AT_A_TIME = 2
_MOST_LOGINS = 20
_MOST_WAITING = 200
_TIMEOUT_S = 10.0
CROWD = 200
"""How many escalations an incident may have at most that is read and shown like all others."""
_SAFE = frozenset({"GET", "HEAD"})


class RequestQueue:
    """A few worker threads for one kind of request, and a queue of requests that wait for one.

    Args:
        at_a_time: How many threads run at a time.
        most_waiting: How many requests wait for one.
        refusal: Makes the error for requests that are too many, or that have waited for too long.
    """

    def __init__(self, at_a_time: int, most_waiting: int, refusal: Callable[[], Exception]) -> None:
        self._limit = at_a_time + most_waiting
        self._count = 0  # that run or wait
        self._places = CapacityLimiter(at_a_time)
        self._threads = CapacityLimiter(at_a_time)  # one for each place, so that nobody waits for a thread
        self._refusal = refusal

    async def run(self, work: Callable[[], T]) -> T:
        """Run a blocking function when a thread is free.

        Raises:
            Exception: The refusal, when the queue is full, or no thread becomes free within ten seconds.
        """
        if self._count >= self._limit:
            raise self._refusal()
        self._count += 1
        try:
            return await self._in_turn(work, _TIMEOUT_S)
        except TimeoutError:
            raise self._refusal() from None
        finally:
            self._count -= 1

    async def stream(self, parts: Iterator[str]) -> AsyncIterator[str]:
        """Yield the parts of a response that has begun; each is made when a thread is free, however long that takes."""
        while (part := await self._in_turn(partial(next, parts, None), None)) is not None:
            yield part

    @property
    def route_class(self) -> type[APIRoute]:
        """A class of routes that makes their pages in this queue; requests that change something do not wait in it."""
        line = self

        class Route(APIRoute):
            def __init__(self, path: str, endpoint: Callable[..., Any], **values: Any) -> None:
                is_page = _SAFE.issuperset(values.get("methods") or ("GET",)) and not iscoroutinefunction(endpoint)
                super().__init__(path, line._behind(endpoint) if is_page else endpoint, **values)

        return Route

    def _behind(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(endpoint)
        async def page(*args: Any, **values: Any) -> Any:
            return await self.run(partial(endpoint, *args, **values))

        page.__signature__ = signature(endpoint)  # type: ignore[attr-defined]
        del page.__wrapped__  # this one is asynchronous, and the other is not
        return page

    async def _in_turn(self, work: Callable[[], T], timeout_s: float | None) -> T:
        borrower = object()
        async with asyncio.timeout(timeout_s):
            await self._places.acquire_on_behalf_of(borrower)
        try:
            return await to_thread.run_sync(work, limiter=self._threads)
        finally:
            self._places.release_on_behalf_of(borrower)


class Crowds:
    """One thread for reads that take seconds; all requests that came before a read share its result."""

    def __init__(self) -> None:
        self._line = RequestQueue(1, _MOST_WAITING, _too_many_pages)
        self._turns = count()
        self._waiting: Counter[str] = Counter()
        self._read: dict[str, tuple[int, Any]] = {}  # by name: when reading began, and its result

    async def run(self, name: str, read: Callable[[], R], work: Callable[[R], T]) -> T:
        """Read something, unless a read has begun since, and do some work with it; raises as ``RequestQueue.run``.

        Args:
            name: Names what is read.
            read: Reads it.
            work: Uses it, for this request alone.
        """
        asked = next(self._turns)
        self._waiting[name] += 1
        try:
            return await self._line.run(lambda: work(self._share(name, asked, read)))
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name]
                self._read.pop(name, None)

    def _share(self, name: str, asked: int, read: Callable[[], R]) -> R:
        begun, found = self._read.get(name, (-1, None))
        if begun < asked:
            begun = next(self._turns)
            found = read()
            self._read[name] = begun, found
        return cast(R, found)


class Bulkhead:
    """A few worker threads for each kind of request, so that a flood of one cannot take them all, and limits on memory.

    Attributes:
        room: The memory for bodies of authenticated requests.
        small_room: The memory for bodies that are read before authentication.
        pages: Makes the pages of the dashboard.
        reports: Makes the documents of incidents.
        crowds: Makes the pages and the documents of incidents with very many recipients.
        links: Makes the pages of the links in messages.
        logins: Makes the pages for people who are not logged in.
        hashes: Hashes passwords; each takes 19 MiB.
    """

    def __init__(self) -> None:
        self._threads = CapacityLimiter(_AT_A_TIME)
        self._thread_for_large = CapacityLimiter(1)  # one large body at a time: parsed, it takes many times its size
        self.pages = RequestQueue(_PAGES_AT_A_TIME, _MOST_WAITING, _too_many_pages)
        self.reports = RequestQueue(_PAGES_AT_A_TIME, _MOST_WAITING, _too_many_pages)
        self.crowds = Crowds()
        self.links = RequestQueue(_PAGES_AT_A_TIME, _MOST_WAITING, _too_many_pages)
        self.logins = RequestQueue(_LOGINS_AT_A_TIME, _MOST_WAITING, lambda: TooManyLogins(1))
        self.hashes = RequestQueue(_HASHES_AT_A_TIME, _MOST_LOGINS, lambda: TooManyLogins(1))
        self.room = BodyBudget(64 * _MIB)
        self.small_room = BodyBudget(16 * _MIB)

    async def run(self, size_bytes: int, work: Callable[[], T]) -> T:
        """Run a blocking function, for a request whose body has this size, when a thread is free."""
        return await to_thread.run_sync(work, limiter=self._threads if size_bytes <= _MIB else self._thread_for_large)


def _too_many_pages() -> Exception:
    return HTTPException(503, "Too many pages are being made at the same time. Try again in a few seconds.", {"Retry-After": "5"})
