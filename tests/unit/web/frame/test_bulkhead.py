"""Lines of requests that wait for a thread."""

import asyncio
import threading
from collections.abc import Callable
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI

from notifyflow.errors import TooManyLogins
from notifyflow.web.frame import bulkhead
from notifyflow.web.frame.bulkhead import Bulkhead, Crowds, RequestQueue


def line(most_waiting: int = 3) -> RequestQueue:
    return RequestQueue(2, most_waiting, lambda: PermissionError("full"))


@pytest.mark.parametrize(
    ("one", "calls", "taken", "error"),
    [(line(most_waiting=4), 8, 6, PermissionError), (Bulkhead().hashes, 50, 22, TooManyLogins)],
)
def test_a_line_runs_two_at_a_time_and_has_an_end(one: RequestQueue, calls: int, taken: int, error: type[Exception]):
    both, running, counts = threading.Barrier(2), [], []

    def work() -> None:
        running.append(1)
        both.wait(30)
        counts.append(len(running))
        both.wait(30)
        running.pop()

    async def flood() -> list[object]:
        found = await asyncio.gather(*(one.run(work) for _ in range(calls)), return_exceptions=True)
        return [*found, await one.run(lambda: "again")]

    results = asyncio.run(flood())
    assert [isinstance(each, error) for each in results] == [False] * taken + [True] * (calls - taken) + [False]
    assert counts == [2] * taken


def test_nobody_waits_in_a_line_for_longer_than_the_timeout(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulkhead, "_TIMEOUT_S", 0.05)
    is_over = threading.Event()

    async def wait() -> str:
        one = line()
        running = [asyncio.create_task(one.run(lambda: is_over.wait(30))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(PermissionError):
            await one.run(lambda: "too late")
        is_over.set()
        assert await asyncio.gather(*running) == [True, True], "what runs is not cut short"
        return await one.run(lambda: "in time")

    assert asyncio.run(wait()) == "in time"


def test_a_response_that_has_begun_is_made_to_its_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulkhead, "_TIMEOUT_S", 0.01)
    is_over = threading.Event()

    async def read() -> list[str]:
        one = line(most_waiting=0)
        running = [asyncio.create_task(one.run(lambda: is_over.wait(30))) for _ in range(2)]
        parts = asyncio.create_task(_all(one.stream(iter("abc"))))
        await asyncio.sleep(0.05)
        is_over.set()
        await asyncio.gather(*running)
        return await parts

    assert asyncio.run(read()) == ["a", "b", "c"]


async def _all(parts: object) -> list[str]:
    return [each async for each in parts]  # type: ignore[attr-defined]


def test_pages_are_made_in_a_line_and_what_changes_something_is_not():
    one, here = line(), threading.current_thread
    routes = APIRouter(route_class=one.route_class)
    waits: list[Callable[[], int]] = [lambda: one._count]

    def shout(name: str = "nobody") -> str:
        return name.upper()

    @routes.api_route("/page", methods=["GET", "HEAD"])
    def page(name: Annotated[str, Depends(shout)]) -> str:
        return f"{name} {waits[0]()} {here() is threading.main_thread()}"

    @routes.post("/act")
    def act() -> str:
        return str(waits[0]())

    @routes.get("/own")
    async def own() -> str:
        return str(waits[0]())

    application = FastAPI()
    application.include_router(routes, prefix="/x")

    async def ask() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://x") as client:
            asked = [client.get("/x/page?name=ada"), client.post("/x/act"), client.get("/x/own")]
            return [(await each).json() for each in asked]

    assert asyncio.run(ask()) == ["ADA 1 False", "0", "0"]


def test_those_who_wait_for_a_crowd_share_what_was_read_after_they_asked():
    crowds, begun, is_over = Crowds(), threading.Event(), threading.Event()
    reads: list[str] = []

    def read() -> str:
        reads.append("read")
        begun.set()
        is_over.wait(30)
        return f"as of {len(reads)}"

    async def ask(name: str = "a") -> str:
        return await crowds.run(name, read, lambda found: f"{name} {found}")

    async def crowd() -> list[str]:
        first = asyncio.create_task(ask())
        await asyncio.to_thread(begun.wait, 30)
        later = [asyncio.create_task(ask()) for _ in range(5)]
        other = asyncio.create_task(ask("b"))
        await asyncio.sleep(0)
        is_over.set()
        return [await first, *await asyncio.gather(*later), await other, await ask()]

    assert asyncio.run(crowd()) == ["a as of 1", *["a as of 2"] * 5, "b as of 3", "a as of 4"]
    assert not crowds._read, "nothing is kept that nobody waits for"
