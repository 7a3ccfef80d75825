"""The scene of a storm: what comes, and until when it is carried."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.bench.fill import fill
from tests.bench.pages import store_policy
from tests.bench.throughput.arena import Arena, Driven, Processes
from tests.bench.throughput.contestants import OURS, python

_CARRIED_WITHIN_S = 300.0
_POLL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured.

    Attributes:
        incidents: How many come.
        people: To how many people, in turn.
        seconds: In which time.
        history: How many notifications were there before.
        rounds: How often processor time is measured.
        lone: How many lone pages a round.
        lone_rounds: How often lone pages are measured.
        channels: Over which channels each incident comes.
    """

    incidents: int = 10_000
    people: int = 50
    seconds: float = 60.0
    history: int = 100_000
    rounds: int = 2
    lone: int = 60
    lone_rounds: int = 6
    channels: str = "email,sms"


QUICK = Size(incidents=1_000, people=10, seconds=12.0, history=20_000, rounds=1, lone=30, lone_rounds=2)
SMALLEST = Size(incidents=40, people=4, seconds=1.0, history=1_000, rounds=1, lone=4, lone_rounds=1, channels="slack,push")


def variables(*, is_bundling: bool) -> Mapping[str, str]:
    """Return the settings of every process of the scene."""
    return {
        "NOTIFYFLOW_BUNDLING": "true" if is_bundling else "false",
        "NOTIFYFLOW_PUBLIC_URL": "https://notify.example",
        "NOTIFYFLOW_SECRET_KEY": "a key for links that lead nowhere at all",
    }


def begin(arena: Arena, size: Size) -> None:
    """Begin with an empty broker and a database that has a history."""
    arena.begin(OURS)
    fill(arena.server, arena.database, notifications=size.history, policy=store_policy(arena.server, arena.database))


def worker(arena: Arena, *, is_bundling: bool) -> AbstractContextManager[Processes]:
    """Run a worker whose provider is asked over HTTP, once a message."""
    return arena.worker(OURS, PROVIDER=arena.sink_url, **variables(is_bundling=is_bundling))


def drive(
    arena: Arena,
    *,
    is_bundling: bool,
    incidents: int,
    people: int,
    seconds: float,
    channels: str,
    prefix: str = "p",
) -> Driven:
    """Let incidents come."""
    numbers = map(str, (incidents, people, seconds))
    command = (*python("tests.bench.storm.driver"), *numbers, channels)
    return Driven(**json.loads(arena.run(*command, PREFIX=prefix, **variables(is_bundling=is_bundling))))


def drive_all(arena: Arena, size: Size, *, is_bundling: bool) -> Driven:
    """Let all incidents of a storm come."""
    return drive(
        arena,
        is_bundling=is_bundling,
        incidents=size.incidents,
        people=size.people,
        seconds=size.seconds,
        channels=size.channels,
    )


def wait_until_carried(query: Callable[[str], float]) -> None:
    """Wait until nothing is queued or on its way.

    Raises:
        TimeoutError: When something still is after minutes.
    """
    until = time.monotonic() + _CARRIED_WITHIN_S
    while left := query(OURS.left):
        if time.monotonic() > until:
            raise TimeoutError(f"{left:,.0f} notifications were not carried within {_CARRIED_WITHIN_S:g} s")
        time.sleep(_POLL_S)
