"""The commands about API keys: create, rotate, list, revoke."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

import notifyflow
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.options import AsJson, span_option
from notifyflow.core import text
from notifyflow.core.accounts.account_documents import ApiKeyDocument
from notifyflow.core.accounts.keys import ApiKey, KeyScope

if TYPE_CHECKING:
    from notifyflow.service.accounts.access import Access

app = typer.Typer(name="keys", help="Manage API keys.", no_args_is_help=True)
_LONGEST_NAME = 255


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for; its actions are logged under this name.", show_default=False)],
    scope: Annotated[list[KeyScope], typer.Option(help="What the key may do; can be repeated.", show_default=False)],
    namespace: Annotated[
        str | None,
        typer.Option(
            help="The namespace of the incidents it reaches; '*' for all, unless the key has the scope ingest.",
            show_default="its name",
        ),
    ] = None,
    heartbeat: Annotated[
        str | None,
        typer.Option(help="The job of the directory that it pings for, with the scope ping only.", show_default=False),
    ] = None,
    expires: Annotated[timedelta | None, span_option(help="How long it is valid, as in 90d.", default="forever")] = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it, this once."""
    line = text.one_line(name)
    if not 1 <= len(line) <= _LONGEST_NAME:
        raise typer.BadParameter(f"it must have 1 to {_LONGEST_NAME} characters", param_hint="--name")
    with _access() as access:
        key, presented = access.create(line, scope, valid_for=expires, namespace=namespace, heartbeat=heartbeat)
    _show_once(key, presented, as_json=as_json)


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The old key's id, as `list` shows it.", show_default=False)],
    overlap: Annotated[
        timedelta | None, span_option(help="How long the old key stays valid, as in 1h.", default="it is revoked at once")
    ] = None,
    expires: Annotated[
        timedelta | None, span_option(help="How long the new key is valid, as in 90d.", default="as long as the old one was")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one with the same name, namespace and scopes, and print it, this once."""
    with _access() as access:
        key, presented = access.rotate(key_id, overlap=overlap, valid_for=expires)
    _show_once(key, presented, as_json=as_json)


def _show_once(key: ApiKey, presented: str, *, as_json: bool) -> None:
    if as_json:
        screen.print_json({**ApiKeyDocument.of(key).as_json(), "key": presented})
        return
    reach = f"pings for {key.heartbeat} only" if key.heartbeat else f"reaches {_reach(key)}"
    description = f"Its id is {key.id}. It {screen.plain(reach)}."
    screen.err.print(description, markup=False, highlight=False, soft_wrap=True)
    screen.err.print("Save the key now: only its hash is stored, and it is not shown again.")
    typer.echo(presented)


def _reach(key: ApiKey) -> str:
    if key.only is None:
        return "the incidents of all namespaces"
    return (
        f"the incidents of the namespace {screen.plain(key.only)!r} only"
        if key.only
        else "the incidents of the empty namespace only"
    )


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all keys, without their secrets."""
    with _access() as access:
        all_keys, now = access.keys(), access.now()
    if as_json:
        screen.print_json([ApiKeyDocument.of(key) for key in all_keys])
        return
    table = Table(Column("Id", no_wrap=True), "Name", "Namespace", "Scopes", "Last used", "Valid", box=None, pad_edge=False)
    for key in all_keys:
        used = text.day(key.last_used_at, now=None) if key.last_used_at else "never"
        table.add_row(
            key.id,
            Text(screen.plain(key.name)),
            Text(screen.plain(key.namespace) or "(empty)"),
            " ".join(sorted(key.scopes)) + (f" {key.heartbeat}" if key.heartbeat else ""),
            used,
            _validity(key, now),
        )
    screen.out.print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.", show_default=False)],
) -> None:
    """Revoke a key; it is refused from now on."""
    with _access() as access:
        access.revoke(key_id)
    screen.out.print("The key is revoked.")


@contextmanager
def _access() -> "Iterator[Access]":
    with notifyflow.NotifyFlow.from_env() as flow:
        yield flow.access()


def _validity(key: ApiKey, now: datetime) -> str:
    if key.revoked_at:
        return f"revoked {text.day(key.revoked_at, now=None)}"
    if key.expires_at is None:
        return "forever"
    return f"{'expired' if key.expires_at <= now else 'until'} {text.day(key.expires_at, now=None)}"
