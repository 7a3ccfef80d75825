"""The scenarios of the full benchmark, in the order of the page, each with what it should reach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from tests.bench.peers.bare import rows
from tests.bench.throughput import delays, embedded, history, rates
from tests.bench.throughput.arena import Arena, Snapshot
from tests.bench.throughput.contestants import (
    BULLMQ,
    CELERY,
    CELERY_PREFORK,
    DRAMATIQ,
    EMBEDDED,
    NO_OP,
    OURS,
    Contestant,
)
from tests.bench.throughput.series import Measured, Series, in_turn

PEERS = (BULLMQ, CELERY, DRAMATIQ)
INSERT = "bare multi-row INSERT of the same rows"
COPY = "bare COPY of the same rows"
LOOP = "bare loop of the provider's call, ten threads"
UPDATES = "bare loop of two UPDATEs, ten threads"
TWO_PROCESSES = "notifyflow, two processes"
IDEAL = "ideal"
_QUEUED = 300  # incidents of 20 recipients and three channels: more than anybody carries in the five seconds that are measured
_OURS_QUEUED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario.

    Attributes:
        title: What is measured, as the page says it.
        aim: What notifyflow should reach.
        measure: Measures everybody in turn.
    """

    title: str
    aim: str
    measure: Callable[[str, Arena, int], list[Series]]


def _accept_one(name: str, arena: Arena, rounds: int) -> list[Series]:
    written = rates.rows_of_ten(arena, recipients=100)
    return in_turn(
        name,
        rounds,
        {each.name: partial(rates.accept_one, arena, each, recipients=1_000) for each in (OURS, *PEERS)}
        | {
            INSERT: partial(rates.write_rows, arena, written, rows.insert),
            COPY: partial(rates.write_rows, arena, written, rows.copy),
        },
    )


def _accept_many(name: str, arena: Arena, rounds: int) -> list[Series]:
    return in_turn(
        name,
        rounds,
        {
            each.name: partial(rates.accept_many, arena, each, incidents=500, callers=50 if each is BULLMQ else 10)
            for each in (OURS, *PEERS)
        },
    )


def _carry(name: str, arena: Arena, rounds: int) -> list[Series]:
    return in_turn(
        name,
        rounds,
        _carriers(arena, "null", (OURS, BULLMQ, CELERY, CELERY_PREFORK, DRAMATIQ))
        | {
            NO_OP.name: partial(rates.do_nothing, arena, NO_OP, count=5_000),
            UPDATES: partial(rates.update_rows, arena, count=3_000),
        },
    )


def _carry_http(name: str, arena: Arena, rounds: int) -> list[Series]:
    carriers = _carriers(arena, arena.sink_url, (OURS, BULLMQ, CELERY, DRAMATIQ))
    both = _carriers(arena, arena.sink_url, (OURS,), processes=2)[OURS.name]
    return in_turn(
        name,
        rounds,
        carriers | {TWO_PROCESSES: both, LOOP: partial(rates.call_only, arena, provider=arena.sink_url, count=5_000)},
    )


def _carriers(
    arena: Arena, provider: str, contestants: Sequence[Contestant], *, processes: int = 1
) -> Mapping[str, Callable[[], Measured]]:
    return {
        each.name: partial(rates.carry, arena, each, _queued(arena, each), provider=provider, processes=processes)
        for each in contestants
    }


@cache
def _queued(arena: Arena, contestant: Contestant) -> Snapshot:
    return rates.queue(arena, contestant, incidents=_OURS_QUEUED if contestant is OURS else _QUEUED)


def _alone(name: str, arena: Arena, rounds: int) -> list[Series]:
    return in_turn(name, rounds, {each.name: partial(delays.notify_alone, arena, each, incidents=200) for each in (OURS, *PEERS)})


def _idle(name: str, arena: Arena, rounds: int) -> list[Series]:
    return in_turn(
        name,
        rounds,
        {each.name: partial(delays.page_when_idle, arena, each, incidents=150, idle_s=5.0) for each in (OURS, *PEERS)},
    )


def _load(name: str, arena: Arena, rounds: int) -> list[Series]:
    return in_turn(
        name,
        rounds,
        {
            f"{each.name} at {a_second} a second": partial(delays.page_under_load, arena, each, a_second=a_second, for_s=4)
            for a_second in LOADS
            for each in (OURS, BULLMQ)
        },
    )


LOADS = (10, 40, 160)


def _critical(name: str, arena: Arena, rounds: int) -> list[Series]:
    queued = rates.queue(arena, OURS, incidents=167)
    return in_turn(name, rounds, {OURS.name: partial(delays.page_past_a_queue, arena, queued, incidents=100)})


def _together(name: str, arena: Arena, rounds: int) -> list[Series]:
    return in_turn(
        name,
        rounds,
        {
            OURS.name: partial(delays.page_together, arena, recipients=20, incidents=5),
            IDEAL: lambda: {"the last response, ms": 400.0},
        },
    )


def _call(name: str, arena: Arena, rounds: int) -> list[Series]:
    return in_turn(name, rounds, {OURS.name: partial(delays.page_to_the_call, arena, incidents=20)})


def _statements(name: str, arena: Arena, rounds: int) -> list[Series]:
    queued = rates.queue(arena, OURS, incidents=17)
    return in_turn(name, rounds, {OURS.name: partial(rates.count_statements, arena, queued)})


def _footprint(name: str, arena: Arena, rounds: int) -> list[Series]:
    return in_turn(name, rounds, {OURS.name: partial(rates.leave_traces, arena, incidents=50)})


def _history(name: str, arena: Arena, rounds: int) -> list[Series]:
    past = history.Original(arena, "history", is_resolved=True)
    database, found = arena.database, []
    a_copy = past.multiply(range(1, 2))
    copies = 1
    for wanted in HISTORY:
        if (number := wanted // a_copy) > copies:
            past.multiply(range(copies + 1, number + 1))
            copies = number
        who = f"{OURS.name} with {wanted:,} rows of history"
        found += in_turn(name, rounds, {who: partial(_with_history, arena, database)})
    return found


HISTORY = (0, 100_000, 1_000_000)


def _with_history(arena: Arena, database: str) -> Measured:
    arena.database = database
    return {**history.carry_more(arena, incidents=20), **history.idle(arena, for_s=5.0)}


def _retries(name: str, arena: Arena, rounds: int) -> list[Series]:
    waiting = history.Original(arena, "later", is_resolved=False)
    found, copies = [], 0
    for wanted in RETRIES:
        if wanted:
            waiting.multiply(range(copies + 1, 1 + wanted // 3), due_in="6 hours")
            copies = wanted // 3
        who = f"{OURS.name} with {wanted:,} retries waiting"
        found += in_turn(name, rounds, {who: partial(history.idle, arena, for_s=8.0)})
    return found


RETRIES = (0, 30_000, 99_999)


def _sqlite(name: str, arena: Arena, rounds: int) -> list[Series]:
    return in_turn(
        name,
        rounds,
        {
            each.name: partial(embedded.carry, arena, each, incidents=incidents)
            for each, incidents in ((EMBEDDED, 40), (DRAMATIQ, 100))
        }
        | {f"{EMBEDDED.name}, under load": partial(embedded.notify_under_load, arena, incidents=300, calls=150)},
    )


def _acknowledge(name: str, arena: Arena, rounds: int) -> list[Series]:
    carried = delays.carry_one(arena, recipients=1_000)
    return in_turn(name, rounds, {OURS.name: partial(delays.acknowledge, arena, carried)})


SCENARIOS: Mapping[str, Scenario] = {
    "accept-one": Scenario(
        title="Accept an incident to 1,000 recipients over three channels",
        aim="2 × BullMQ, and 0.25 × a bare multi-row INSERT",
        measure=_accept_one,
    ),
    "accept-many": Scenario(
        title="Accept incidents to one recipient over three channels, ten callers (BullMQ: 50 at a time)",
        aim="0.6 × BullMQ",
        measure=_accept_many,
    ),
    "carry": Scenario(
        title="Carry with a provider that does nothing, one process of ten threads",
        aim="1 × BullMQ, 3 × Celery",
        measure=_carry,
    ),
    "carry-http": Scenario(
        title="Carry over HTTP, one process of ten threads",
        aim="1 × BullMQ; two processes 0.6 × the bare loop",
        measure=_carry_http,
    ),
    "statements": Scenario(title="Carry 1,000 queued notifications: statements", aim="2.5 for each", measure=_statements),
    "footprint": Scenario(
        title="What a notification costs PostgreSQL and Redis, from notify() to SENT", aim="", measure=_footprint
    ),
    "alone": Scenario(title="One call of notify() at a time, for three channels", aim="no worse than before", measure=_alone),
    "idle": Scenario(
        title="A page when nothing else is to be done",
        aim="commit → call: p50 3 ms, p99 10 ms; an idle worker under 1 % of a core",
        measure=_idle,
    ),
    "load": Scenario(title="A page under a steady load", aim="", measure=_load),
    "critical": Scenario(
        title="A CRITICAL page behind 10,000 others, the provider takes 50 ms", aim="p99 150 ms", measure=_critical
    ),
    "together": Scenario(
        title="20 recipients at once, the provider takes 200 ms, ten threads", aim="1.1 × the ideal", measure=_together
    ),
    "call": Scenario(
        title="A CRITICAL page whose primaries and text are refused for good, until the phone call",
        aim="500 ms",
        measure=_call,
    ),
    "history": Scenario(
        title="Carry with a history of a million rows",
        aim="0.9 × without history; the statements of an idle worker 20 ms a second",
        measure=_history,
    ),
    "retries": Scenario(title="100,000 retries that wait for the future", aim="10 MB more than without", measure=_retries),
    "sqlite": Scenario(
        title="Embedded, on SQLite", aim="carry 1.5 × dramatiq + Peewee; notify() under load p99 20 ms", measure=_sqlite
    ),
    "acknowledge": Scenario(
        title="Acknowledge an incident of 1,000 recipients, 3,000 pages sent, status updates queued",
        aim="600 ms",
        measure=_acknowledge,
    ),
}
