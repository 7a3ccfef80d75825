"""Attacks need the same databases as the integration tests do."""

from tests.integration.conftest import (  # noqa: F401 - fixtures are found by name
    _measured_once,
    _postgres_database,
    _sqlite_template,
    database_url,
    empty_database_url,
    postgres_server,
    postgres_url,
    sqlite_url,
    store,
    unmeasured,
)
