"""The short form of ``scripts/chaos``: every port, every server, once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from notifyflow.sandbox.system import Sandbox
from tests.chaos import scenarios
from tests.chaos.cluster import Cluster, Revision, Rollout
from tests.chaos.field import ROOT, EarlierClock, Field, Verdict, until
from tests.chaos.manifests import deployment
from tests.chaos.proxy import Proxy
from tests.chaos.rolling import Tree
from tests.chaos.rollouts import WRONG
from tests.servers.postgres import Postgres, postgres
from tests.servers.rabbitmq import RabbitMq, rabbitmq_server
from tests.servers.redis import Redis, redis_server


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMq]:
    with rabbitmq_server() as server:
        yield server


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        running.script("all: slow 50 ms")
        yield running


@pytest.fixture
def on_redis(postgres_server: Postgres, redis: Redis, sandbox: Sandbox, tmp_path: Path) -> Iterator[Field]:
    with scenarios.distributed(postgres_server, redis, sandbox, tmp_path, clock=EarlierClock()) as field:
        yield field


@pytest.fixture
def on_rabbitmq(postgres_server: Postgres, rabbitmq: RabbitMq, sandbox: Sandbox, tmp_path: Path) -> Iterator[Field]:
    with scenarios.distributed(postgres_server, rabbitmq, sandbox, tmp_path, clock=EarlierClock()) as field:
        yield field


KILLED_AT = {"claim": 1, "send": 1, "record": 1, "ring": 1}


def assert_clean(verdict: Verdict) -> None:
    assert verdict.notifications > 0
    assert verdict.is_clean, verdict
    assert verdict.duplicates <= verdict.doubts


def test_embedded_processes_that_are_killed_lose_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    assert_clean(
        scenarios.kill_embedded(sandbox, tmp_path, ["notify after 1", "claim before 1", "send after 1", "record before 1"])
    )


def test_workers_on_redis_that_are_killed_before_each_call_lose_nothing(on_redis: Field) -> None:
    scenarios.kill_a_crowd(on_redis, scenarios.strikes(KILLED_AT, ["before"]))
    assert_clean(on_redis.verdict())


def test_workers_on_rabbitmq_that_are_killed_after_each_call_lose_nothing(on_rabbitmq: Field) -> None:
    scenarios.kill_a_crowd(on_rabbitmq, scenarios.strikes(KILLED_AT, ["after"]))
    assert_clean(on_rabbitmq.verdict())


def test_a_worker_that_is_frozen_past_its_lease_is_fenced_off(on_redis: Field) -> None:
    scenarios.freeze_one_past_its_lease(on_redis)
    assert_clean(on_redis.verdict())


def test_servers_that_crash_and_forget_lose_nothing(on_redis: Field, postgres_server: Postgres, redis: Redis) -> None:
    scenarios.storm(on_redis, [scenarios.crash(postgres_server), lambda: redis.execute("FLUSHALL"), scenarios.crash(redis)])
    assert_clean(on_redis.verdict())


def test_replies_that_are_swallowed_and_a_clock_that_is_ahead_lose_nothing(
    on_rabbitmq: Field, postgres_server: Postgres, rabbitmq: RabbitMq
) -> None:
    with Proxy(postgres_server.port, every=200) as database, Proxy(rabbitmq.port, every=50) as broker:
        through = scenarios.through(on_rabbitmq, database=database, broker=broker)
        scenarios.storm(on_rabbitmq, [lambda: None] * 3, CHAOS_CLOCK="told 120", **through)
        assert database.swallowed > 0
    assert_clean(on_rabbitmq.verdict())


def test_a_rollout_with_a_wrong_setting_stands_still_and_the_old_workers_go_on(on_redis: Field, tmp_path: Path) -> None:
    """By the rules and numbers of the manifests; ``scripts/rolling`` has the long form."""
    good = Revision(Tree(ROOT), on_redis.variables)
    wrong = Revision(Tree(ROOT), {**on_redis.variables, **WRONG})
    cluster = Cluster(tmp_path, back_off_s=0.2)
    workers = Rollout(deployment("worker"), cluster, good)
    with cluster.running(workers):
        until(lambda: len(workers.ready) == workers.of.replicas)
        workers.apply(wrong)
        on_redis.notify_until(lambda: [len(pod.exits) for pod in workers.pods_of(wrong)] == [2])
        on_redis.settle()
        assert [pod.exits for pod in workers.pods_of(good)] == [[]] * workers.of.replicas
    assert_clean(on_redis.verdict())
