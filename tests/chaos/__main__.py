"""The long form: runs section by section, prints the results, and writes the figures to ``docs/figures``.

Figures of sections that were not run this time stay as they were.
"""

import json
import logging
import math
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from notifyflow.sandbox.system import Sandbox
from notifyflow.storage.store import Store
from tests.chaos import heartbeats, recovery, scenarios, silenced
from tests.chaos import many_at_once as many
from tests.chaos.field import ROOT, EarlierClock, Field, Verdict, until
from tests.chaos.figures import render
from tests.chaos.proxy import Proxy
from tests.chaos.recovery import Trial
from tests.servers.postgres import Postgres, postgres
from tests.servers.rabbitmq import RabbitMq, rabbitmq_server
from tests.servers.redis import Redis, redis_server

FIGURES = ROOT / "docs" / "figures"
CROWD = 7
NUMBERS = (1, 2)
PEOPLE = 60
QUEUED = 5000
TRIALS = 5
KILLS = 20
AWAY_S = 25
SILENCED_KILLS = 10


@dataclass(frozen=True)
class Ground:
    """The servers, and the folder in which their workers write."""

    postgres: Postgres
    redis: Redis
    rabbitmq: RabbitMq
    folder: Path
    verdicts: list[dict[str, object]] = field(default_factory=list)

    def run(self, what: str, broker: Redis | RabbitMq, play: Callable[[Field], object]) -> None:
        """Run one scenario on a fresh field and store its verdict."""
        with Sandbox() as sandbox:
            sandbox.script("all: slow 50 ms")
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            with scenarios.distributed(self.postgres, broker, sandbox, folder, clock=EarlierClock()) as at:
                play(at)
                self.keep(what, f"PostgreSQL + {'Redis' if broker is self.redis else 'RabbitMQ'}", at.verdict())

    def keep(self, what: str, setup: str, verdict: Verdict) -> None:
        self.verdicts.append({"what": what, "setup": setup, **asdict(verdict)})
        say(f"{setup}: {what}: {verdict}")


def kills(ground: Ground) -> dict[str, object]:
    """Kill workers at each point, on each setup."""
    places = scenarios.strikes(scenarios.CALLS, numbers=NUMBERS)
    crowds = [places[first : first + CROWD] for first in range(0, len(places), CROWD)]
    embedded = scenarios.strikes({"notify": 1}) + scenarios.strikes(scenarios.EMBEDDED_CALLS, numbers=NUMBERS)
    with Sandbox() as sandbox:
        verdict = scenarios.kill_embedded(sandbox, Path(tempfile.mkdtemp(dir=ground.folder)), embedded, people=10)
    ground.keep(f"kill -9 at {len(embedded)} places", "SQLite, embedded", verdict)
    for broker in (ground.redis, ground.rabbitmq):

        def play(at: Field) -> None:
            for crowd in crowds:
                scenarios.kill_a_crowd(at, crowd)

        ground.run(f"kill -9 at {len(places)} places", broker, play)
    return {"verdicts": ground.verdicts}


def faults(ground: Ground) -> dict[str, object]:
    """Cause every kind of fault."""
    for what, broker, play in _troubles(ground):
        ground.run(what, broker, play)
    return {"verdicts": ground.verdicts}


def _troubles(ground: Ground) -> Iterator[tuple[str, Redis | RabbitMq, Callable[[Field], object]]]:
    def storm(*troubles: Callable[[], object], **variables: str) -> Callable[[Field], object]:
        return lambda at: scenarios.storm(at, troubles * 3, people=PEOPLE, **variables)

    def swallow(at: Field) -> None:
        broker = ground.redis if "redis" in at.variables["NOTIFYFLOW_BROKER_URL"] else ground.rabbitmq
        with Proxy(ground.postgres.port, every=300) as database, Proxy(broker.port, every=60) as other:
            through = scenarios.through(at, database=database, broker=other)
            scenarios.storm(at, [lambda: None] * 5, people=PEOPLE, **through)

    yield "FLUSHALL, three times", ground.redis, storm(lambda: ground.redis.execute("FLUSHALL"))
    yield "Redis dies and comes back, three times", ground.redis, storm(scenarios.crash(ground.redis))
    yield "Redis out of memory, three times", ground.redis, lambda at: _fill_memory(ground, at)
    yield "RabbitMQ dies and comes back, three times", ground.rabbitmq, storm(scenarios.crash(ground.rabbitmq))
    for broker in (ground.redis, ground.rabbitmq):
        yield "PostgreSQL dies and comes back, three times", broker, storm(scenarios.crash(ground.postgres))
        yield "a worker frozen past its lease", broker, lambda at: scenarios.freeze_one_past_its_lease(at, people=PEOPLE)
        yield "replies of database and broker swallowed", broker, swallow
    yield "clocks two minutes ahead", ground.redis, storm(lambda: None, CHAOS_CLOCK="told 120")
    yield "one clock two minutes ahead, and nobody told", ground.rabbitmq, _mislead
    yield "SIGTERM in the middle", ground.rabbitmq, lambda at: scenarios.end_in_good_order(at, people=PEOPLE)


def _fill_memory(ground: Ground, at: Field) -> None:
    """Notify while Redis refuses every command."""
    worker = at.worker()
    for _ in range(3):
        ground.redis.execute("CONFIG", "SET", "maxmemory", "1")
        key = at.notify(PEOPLE)
        until(lambda key=key: at.is_settled(key))  # type: ignore[misc]
        ground.redis.execute("CONFIG", "SET", "maxmemory", "0")
        at.notify(PEOPLE)
    at.settle()
    worker.terminate()


def _mislead(at: Field) -> None:
    """Run a worker whose clock is two minutes ahead beside one with the right time."""
    workers = [at.worker(), at.worker(CHAOS_CLOCK="untold 120")]
    for _ in range(3):
        at.notify(PEOPLE)
    at.settle()
    for worker in workers:
        worker.terminate()


def recover(ground: Ground) -> dict[str, object]:
    """Measure the recovery after kill -9, of notifyflow and of stock dramatiq at the same time."""

    def folder() -> Path:
        return Path(tempfile.mkdtemp(dir=ground.folder))

    def ours(times: dict[str, str], broker: Redis | RabbitMq, trials: int) -> list[Trial]:
        found: list[Trial] = []
        while len(found) < trials:
            trial = recovery.of_ours(ground.postgres, broker, folder(), times)
            found += [trial] if trial.died else []  # the other worker may have had all the work
        return found

    with redis_server() as another, ThreadPoolExecutor() as pool:
        stock = pool.submit(recovery.of_stock_dramatiq, another, folder())
        defaults = [pool.submit(ours, recovery.DEFAULTS, broker, 1) for broker in (ground.redis, ground.rabbitmq)]
        found = {
            "defaults": _percentiles([trial for each in defaults for trial in each.result()]),
            "stock": _percentiles([stock.result()]),
        }
    for name, broker in (("redis", ground.redis), ("rabbitmq", ground.rabbitmq)):
        found[f"scaled {name}"] = {**_percentiles(ours(recovery.SCALED, broker, TRIALS)), "lease_s": recovery.SCALED_LEASE_S}
    say(str(found))
    return {"recovery": found}


def _percentiles(trials: Sequence[Trial]) -> dict[str, float | int | None]:
    """Return p50 and p99 of the interrupted sends; None where too many were not repeated within the bound."""
    died = sum(trial.died for trial in trials)
    took = sorted(each for trial in trials for each in trial.took_s)

    def percentile(share: float) -> float | None:
        rank = math.ceil(share * died) - 1
        return round(took[rank], 1) if 0 <= rank < len(took) else None

    return {"sends": died, "made_again": len(took), "p50": percentile(0.5), "p99": percentile(0.99)}


def flood(ground: Ground) -> dict[str, object]:
    """Lose every ring of 5,000 queued notifications, and time the last delivery."""
    with Sandbox() as sandbox:
        folder = Path(tempfile.mkdtemp(dir=ground.folder))
        with scenarios.distributed(ground.postgres, ground.redis, sandbox, folder, **recovery.DEFAULTS) as at:
            for _ in range(QUEUED // 100):
                at.notify(50)
            workers = [at.worker(threads=8) for _ in range(2)]
            until(lambda: at.seen() > 0)
            ground.redis.execute("FLUSHALL")
            began = time.monotonic()
            until(lambda: at.seen() >= QUEUED, timeout_s=600)
            took = time.monotonic() - began
            at.settle()
            for worker in workers:
                worker.terminate()
            verdict = at.verdict()
    say(f"{verdict}, the last after {took:.1f} s")
    return {"flood": {**asdict(verdict), "last_after_s": round(took, 1)}}


def many_at_once(ground: Ground) -> dict[str, object]:
    """Let 500 incidents come to one person within a minute: to workers that are killed, to workers, and to one process."""
    found = []
    for setup, workers, killed in (("PostgreSQL + Redis", 2, KILLS), ("PostgreSQL + Redis", 2, 0), ("SQLite, embedded", 0, 0)):
        folder = Path(tempfile.mkdtemp(dir=ground.folder))
        name = ground.postgres.create_database()
        url = ground.postgres.url(name) if workers else f"sqlite:///{folder}/many.db"
        store = Store(url)
        store.upgrade()
        store.close()
        ground.redis.execute("FLUSHALL")
        broker = {"NOTIFYFLOW_BROKER_URL": ground.redis.url} if workers else {}
        told = many.play({"NOTIFYFLOW_DATABASE_URL": url, **broker}, folder, workers=workers, kills=killed)
        say(f"{setup}: {told}")
        found.append({"setup": setup, **asdict(told)})
    return {"told": found}


def watch_jobs(ground: Ground) -> dict[str, object]:
    """Let jobs ping and die while web processes and workers are killed, and PostgreSQL crashes and is away for a while."""
    folder = Path(tempfile.mkdtemp(dir=ground.folder))
    url = ground.postgres.url(ground.postgres.create_database())
    store = Store(url)
    store.upgrade()
    store.close()
    ground.redis.execute("FLUSHALL")
    variables = {"NOTIFYFLOW_DATABASE_URL": url, "NOTIFYFLOW_BROKER_URL": ground.redis.url, "NOTIFYFLOW_BUNDLING": "false"}

    def crash() -> None:
        ground.postgres.stop(signal.SIGQUIT)
        time.sleep(AWAY_S)
        ground.postgres.start()

    watched = heartbeats.play(variables, folder, crash)
    say(str(watched))
    return {"watched": asdict(watched)}


def silence(ground: Ground) -> dict[str, object]:
    """Silence 300 incidents and end the silence, while workers are killed ten times, and while none is."""
    found = []
    for killed in (SILENCED_KILLS, 0):
        folder = Path(tempfile.mkdtemp(dir=ground.folder))
        url = ground.postgres.url(ground.postgres.create_database())
        store = Store(url)
        store.upgrade()
        store.close()
        ground.redis.execute("FLUSHALL")
        variables = {"NOTIFYFLOW_DATABASE_URL": url, "NOTIFYFLOW_BROKER_URL": ground.redis.url}
        released = silenced.play(variables, folder, workers=2, kills=killed)
        say(str(released))
        found.append(asdict(released))
    return {"released": found}


SECTIONS: dict[str, Callable[[Ground], dict[str, object]]] = {
    "kills": kills,
    "faults": faults,
    "recovery": recover,
    "flood": flood,
    "many": many_at_once,
    "silence": silence,
    "heartbeats": watch_jobs,
}


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(wanted: Sequence[str]) -> int:
    if unknown := set(wanted) - SECTIONS.keys():
        sys.stderr.write(f"There is no {', '.join(sorted(unknown))}. Sections: {', '.join(SECTIONS)}\n")
        return 2
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it reports each attempt to connect while RabbitMQ starts
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        servers = (stack.enter_context(server()) for server in (postgres, redis_server, rabbitmq_server))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True)))
        ground = Ground(*servers, folder)  # type: ignore[arg-type]
        for name in wanted or SECTIONS:
            say(f"== {name}")
            found[name] = SECTIONS[name](Ground(ground.postgres, ground.redis, ground.rabbitmq, folder))
    FIGURES.mkdir(exist_ok=True)
    store = FIGURES / "chaos.json"
    figures = (json.loads(store.read_text()) if store.exists() else {}) | found
    figures["machine"] = f"{platform.machine()}, Python {platform.python_version()}"
    store.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    (FIGURES / "chaos.rst").write_text(render(figures))
    return 0 if _is_clean(found) else 1


def _is_clean(found: Mapping[str, Any]) -> bool:
    """Return whether nothing was lost and every duplicate has a recorded doubt."""
    verdicts = [each for name in ("kills", "faults") for each in found.get(name, {}).get("verdicts", [])]
    verdicts += [found["flood"]["flood"]] if "flood" in found else []
    verdicts += found.get("many", {}).get("told", [])
    verdicts += found.get("silence", {}).get("released", [])
    watched = found["heartbeats"]["watched"] if "heartbeats" in found else {}
    is_watched_well = not any(watched.get(name) for name in ("lost", "false", "unfound", "twice"))
    return is_watched_well and not any(verdict["lost"] or verdict["unexplained"] for verdict in verdicts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
