"""The commands about users of the dashboard: add, list, change, password, disable, enable, remove."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

import notifyflow
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.options import AsJson, flag
from notifyflow.core import text
from notifyflow.core.accounts.account_documents import UserDocument
from notifyflow.core.accounts.users import Role, User, reached
from notifyflow.core.namespaces import ALL

if TYPE_CHECKING:
    from notifyflow.service.accounts.users import Users

app = typer.Typer(name="users", help="Manage the users of the dashboard.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.", show_default=False)]
_namespace_help = "A namespace whose incidents the user sees; can be repeated; '*' for all."


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name to log in with.", show_default=False)],
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.VIEWER,
    namespace: Annotated[list[str] | None, typer.Option(help=_namespace_help, show_default="all")] = None,
    recipient: Annotated[
        str | None, typer.Option(help="The id of the recipient who the user is, and acts as.", show_default="none")
    ] = None,
    no_password: Annotated[bool, flag("--no-password", help="Only a trusted proxy can log the user in.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a user; the password is prompted for, or read from standard input."""
    password = None if no_password else _read_password()
    with _users() as users:
        user = users.add(name, role, password=password, namespaces=reached(namespace or (ALL,)), recipient_id=recipient)
    if as_json:
        screen.print_json(UserDocument.of(user))
        return
    screen.out.print(f"{screen.plain(user.name)} is a user, {_description(user)}.", markup=False, soft_wrap=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all users."""
    with _users() as users:
        found = users.users()
    if as_json:
        screen.print_json([UserDocument.of(user) for user in found])
        return
    table = Table("Name", "Role", "Namespaces", "Recipient", "Last login", "May log in", box=None, pad_edge=False)
    for user in found:
        table.add_row(
            Text(screen.plain(user.name)),
            user.role,
            Text(_namespaces(user)),
            Text(screen.plain(user.recipient_id or "")),
            text.day(user.logged_in_at, now=None) if user.logged_in_at else "never",
            _access(user),
        )
    screen.out.print(table)


@app.command()
def change(
    name: Name,
    role: Annotated[Role | None, typer.Option(help="What the user may do.", show_default="unchanged")] = None,
    namespace: Annotated[list[str] | None, typer.Option(help=_namespace_help, show_default="unchanged")] = None,
    recipient: Annotated[
        str | None, typer.Option(help="The id of the recipient who the user is; '' for none.", show_default="unchanged")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a user's role, namespaces or recipient; their sessions end."""
    if role is None and namespace is None and recipient is None:
        raise typer.BadParameter("give --role, --namespace or --recipient")
    with _users() as users:
        user = users.change(name, role=role, namespaces=namespace, recipient_id=recipient)
    if as_json:
        screen.print_json(UserDocument.of(user))
        return
    screen.out.print(f"{screen.plain(user.name)} is now {_description(user)}.", markup=False, soft_wrap=True)


@app.command()
def password(name: Name) -> None:
    """Set a user's password, which is prompted for or read from standard input; their sessions end."""
    chosen = _read_password()
    with _users() as users:
        users.set_password(name, chosen)
    screen.out.print("The password is set.")


@app.command()
def disable(name: Name) -> None:
    """Let a user log in no more; their sessions end."""
    with _users() as users:
        users.disable(name)
    screen.out.print("The user is disabled.")


@app.command()
def enable(name: Name) -> None:
    """Let a disabled user log in again."""
    with _users() as users:
        users.enable(name)
    screen.out.print("The user is enabled.")


@app.command()
def remove(name: Name) -> None:
    """Delete a user; their sessions end."""
    with _users() as users:
        users.remove(name)
    screen.out.print("The user is removed.")


@contextmanager
def _users() -> "Iterator[Users]":
    with notifyflow.NotifyFlow.from_env() as flow:
        yield flow.users()


def _read_password() -> str:
    """Prompt twice for a password, or read one line; never an argument, which other users of the machine could see."""
    if screen.is_interactive():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n") if sys.stdin else ""


def _description(user: User) -> str:
    names = "all namespaces" if user.namespaces is None else _namespaces(user)
    who = f", and acts as the recipient {screen.plain(user.recipient_id)}" if user.recipient_id else ""
    return f"{'an' if user.role is Role.ADMIN else 'a'} {user.role} who sees the incidents of {names}{who}"


def _namespaces(user: User) -> str:
    if user.namespaces is None:
        return "all"
    return ", ".join(screen.plain(each) or "(empty)" for each in sorted(user.namespaces))


def _access(user: User) -> str:
    if user.disabled_at is not None:
        return f"disabled {text.day(user.disabled_at, now=None)}"
    return "with a password" if user.password else "through a proxy"
