"""What acceptance tests share: the servers of one module, which its tests may stop and start."""

from collections.abc import Iterator

import pytest

from tests.servers.postgres import Postgres, postgres
from tests.servers.redis import Redis, redis_server


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server
