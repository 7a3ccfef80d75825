"""A pytest plug-in for ``scripts/pgbouncer``: keeps the tests that use PostgreSQL, now behind a pooler.

Left out are those that ask for what no pooler gives; the ordinary suites run them.
"""

import os
from collections.abc import Mapping

import pytest

from notifyflow.settings.variables import PREFIX
from notifyflow.storage.store import Store

_SERVERS = frozenset({"postgres_server", "server"})
"""The fixtures that start a PostgreSQL."""
_SESSION = "sets something for its session, which a pooler would give to others"
UNPOOLED: Mapping[str, str] = {
    "test_joined.py::test_its_settings_change_nothing_here": _SESSION,
    "test_plans.py::": _SESSION,
    "test_audit.py::": _SESSION,
    "test_transactions_alone.py::": "looks into the session of a connection after its transaction",
    "test_a_key_that_is_committed_meanwhile_is_repeated": "asks for the server's process of its connection",
    "test_a_server_that_is_down_is_unavailable": "is refused by the server; a pooler lets it wait",
    "test_no_connection_is_left_when_a_store_is_closed": "the pooler keeps its connections to the server",
    "test_one_connection_that_is_dead_tells_of_all_that_are_idle": "connections to a pooler do not die with the server",
}
"""Parts of the names of tests that need the server itself, with the reason."""


def pytest_configure(config: pytest.Config) -> None:
    """Let stores that tests make by themselves follow the setting, as those do that are made from settings."""
    if os.environ.get(f"{PREFIX}PREPARED_STATEMENTS") == "off":
        assert Store.__init__.__kwdefaults__ is not None
        Store.__init__.__kwdefaults__["prepares"] = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what uses PostgreSQL and does not need it bare."""
    kept = [item for item in items if _uses_postgres(item) and not any(part in item.nodeid for part in UNPOOLED)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def _uses_postgres(item: pytest.Item) -> bool:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    if "sqlite" in parameters:
        return False
    return "postgres" in parameters or bool(_SERVERS.intersection(getattr(item, "fixturenames", ())))
