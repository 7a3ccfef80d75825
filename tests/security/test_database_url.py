"""A wrong database URL never reveals its password, whatever the driver's error contains."""

import traceback
from pathlib import Path

import pytest

from notifyflow.cli.frame.exits import Exit
from notifyflow.errors import InvalidSettings, StorageError, StorageUnavailable
from notifyflow.storage.store import Store
from tests.acceptance.commands import CommandLine

SECRET = ("hunter", "Tr0ub4dor")
MALFORMED = (
    "postgresql://app:hunter%CNTr0ub4dor@127.0.0.1:1/db",  # no percent-encoding
    "postgresql://app:hunter%@127.0.0.1:1/db?x=Tr0ub4dor",
    "postgresql://app:hunter@Tr0ub4dor@127.0.0.1:1/db",  # a part passes for the host
    "postgresql://app:hunter/Tr0ub4dor@127.0.0.1:1/db",  # a part passes for the port
    "postgresql://app:12/hunterTr0ub4dor@127.0.0.1:1/db",  # a part passes for the name of the database
    "postgresql://app:hunter@127.0.0.1:Tr0ub4dor/db",
    "postgresql://app:hunter@127.0.0.1:1/db?Tr0ub4dor",
    "postgresql://app:hunter@127.0.0.1:1/db?Tr0ub4dor=1",
    "postgresql://app:hunter@[::1/Tr0ub4dor",
    "postgres+hunterTr0ub4dor",
    "hunterTr0ub4dor://app@127.0.0.1/db",
)
UNUSABLE = (
    "postgresql://app:hunterTr0ub4dor@127.0.0.1:1/db",  # nobody listens
    "postgresql://app:hunterTr0ub4dor@no-such-host.invalid/db",
    "postgresql://app:hunter%40Tr0ub4dor@127.0.0.1:1/db",
    "postgresql://app:hunter@127.0.0.1:1/db?sslmode=Tr0ub4dor",
    "postgresql://127.0.0.1:1/db?password=hunterTr0ub4dor",
)


def _assert_silent(text: str) -> None:
    assert not any(part.lower() in text.lower() for part in SECRET), text


def _everything(error: BaseException | None) -> str:
    """Return the text of an error with its causes and attributes, beyond what a traceback shows."""
    shown = []
    while error is not None:
        shown += [repr(error), str(error), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


@pytest.mark.parametrize("url", MALFORMED)
def test_a_url_that_is_malformed_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidSettings, match="NOTIFYFLOW_DATABASE_URL") as caught:
        Store(url)
    _assert_silent(str(caught.value))
    _assert_silent(_everything(caught.value.__cause__ or caught.value.__context__))


@pytest.mark.parametrize("url", UNUSABLE)
def test_a_server_that_cannot_be_used_is_named_without_its_password(url: str) -> None:
    store = Store(url)
    with pytest.raises((StorageUnavailable, StorageError)) as caught:
        store.run(lambda ledger: None, timeout_s=0.5)
    _assert_silent(str(caught.value))
    store.close()


@pytest.mark.parametrize("url", [MALFORMED[0], MALFORMED[3], UNUSABLE[3]])
def test_no_command_prints_it(url: str, tmp_path: Path) -> None:
    done = CommandLine(tmp_path, {"NOTIFYFLOW_DATABASE_URL": url}).run("status", "db-1")
    assert done.code in (Exit.UNAVAILABLE, Exit.BAD_INPUT)
    assert "NOTIFYFLOW_DATABASE_URL" in done.err
    _assert_silent(done.out + done.err)


def test_a_refused_password_is_reported(postgres_url: str) -> None:
    """The error has the client library's text, which names the user and the database."""
    store = Store(postgres_url.replace("postgres@", "hunter:Tr0ub4dor@"))
    with pytest.raises(StorageUnavailable, match="the server has no such user") as caught:
        store.run(lambda ledger: None, timeout_s=0.5)
    _assert_silent(str(caught.value))
    store.close()
