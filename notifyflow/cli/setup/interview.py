"""Asks on the terminal for what is not set, and asks again until it can be used; secrets are not shown while they are typed."""

from collections.abc import Callable, Mapping, Sequence
from getpass import getpass

import typer
from rich.prompt import Confirm, Prompt
from rich.text import Text

from notifyflow.cli.frame import screen
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.setup import people
from notifyflow.cli.setup.draft import BROKER_URL, Draft, examined, setting_of
from notifyflow.cli.setup.offers import OFFERS
from notifyflow.cli.setup.people import FirstPerson
from notifyflow.errors import InvalidInput
from notifyflow.settings import PREFIX, Settings
from notifyflow.settings.variables import is_secret

_PUBLIC_URL = "http://127.0.0.1:8000"
_AGAIN = "What is set already may be wrong, and is not asked. Ask for the rest again?"
_LABELS = {
    "id": "Their id, for logs and files",
    "name": "Their name",
    "email": "Their mail address",
    "phone": "Their number, as +15005550006",
    "slack": "Their Slack id (U…) for the bot, or the URL of an incoming webhook; not shown while you type",
    "teams": "The URL of their Teams workflow; not shown while you type",
    "timezone": "Their time zone, as Europe/Berlin (empty for UTC)",
}
_SECRET = ("slack", "teams")
"""Who has the URL of a webhook can write to it."""


def settings(draft: Draft) -> Draft:
    """Ask for the database, the broker, the address of the web service and a provider, as far as they are not set."""
    draft = _ask_part(draft, "database", lambda: {"database_url": draft.database_url})
    draft = _ask_part(draft, "broker", lambda: {"broker_url": BROKER_URL})
    draft = _ask_part(draft, None, lambda: {"public_url": _PUBLIC_URL})
    return _ask_part(draft, "provider", lambda: _of_providers(draft))


def person(draft: Draft) -> FirstPerson:
    """Ask for somebody to page."""
    without_settings = [name for name, offer in OFFERS.items() if not offer.settings]
    addresses = dict.fromkeys(OFFERS[name].address for name in providers(draft) or without_settings)
    said: dict[str, str] = {}
    while True:
        said["name"] = _ask(_LABELS["name"], said.get("name"))
        for name in ("id", *addresses, "timezone"):
            made = people.id_of(said["name"]) if name == "id" else ""
            is_hidden, is_one_of_several = name in _SECRET, name in addresses and len(addresses) > 1
            label = f"{_LABELS[name]}{'; may be empty' if is_one_of_several else ''}"
            said[name] = _ask(label, "" if is_hidden else said.get(name, made), is_hidden=is_hidden)
        try:
            with examined(draft) as found:
                return people.reachable(said, found.channels, found.configuration.policies)
        except InvalidInput as error:
            screen.show_faults(error.faults, style="red")


def _ask_part(draft: Draft, part: str | None, choose: Callable[[], Mapping[str, str | None]]) -> Draft:
    """Ask for some settings until the part that they belong to can be used; one that is set is not asked.

    ``choose`` returns the settings with their defaults: None where one has to be given, empty where it may be left out.
    """
    while True:
        names = choose()
        asked = {name: default for name, default in names.items() if not draft.has(name)}
        answered = draft.adding({name: _ask_setting(name, default) for name, default in asked.items()})
        try:
            with examined(answered) as found:
                found.require(names)
                code = found.connect(part) if part else Exit.OK
        except InvalidInput as error:
            if any(setting_of(fault) not in asked for fault in error.faults):
                raise
            screen.show_faults(error.faults, style="red")
            continue
        if not code:
            return answered
        if not asked or (len(asked) < len(names) and not Confirm.ask(_AGAIN, console=screen.err, default=True)):
            raise typer.Exit(code)


def _of_providers(draft: Draft) -> Mapping[str, str | None]:
    """Choose a provider if none is set, and return its settings; of those that are set, what they lack."""
    if names := providers(draft):
        return {each: None for name in names for each in OFFERS[name].settings}
    chosen = OFFERS[Prompt.ask(Text("Provider"), console=screen.err, choices=list(OFFERS), default="smtp")]
    return {**dict.fromkeys(chosen.settings), **dict.fromkeys(chosen.more, "")}


def providers(draft: Draft) -> Sequence[str]:
    """Return the offered providers that are set, by the first of their settings: others share an account at Amazon."""
    return [name for name, offer in OFFERS.items() if any(draft.has(each) for each in (*offer.settings, *offer.more)[:1])]


def _ask_setting(name: str, default: str | None) -> str:
    field = Settings.model_fields[name]
    is_hidden = is_secret(field)
    hint = f"{'; not shown while you type' if is_hidden else ''}{'; may be empty' if default == '' else ''}"
    screen.err.print(Text(f"{PREFIX}{name.upper()}: {field.description}{hint}"), soft_wrap=True)
    return _ask(">", default, is_hidden=is_hidden)


def _ask(label: str, default: str | None, *, is_hidden: bool = False) -> str:
    """Ask until there is an answer, which is optional where the default is empty."""
    while True:
        text = _ask_hidden(label, default) if is_hidden else Prompt.ask(Text(label), console=screen.err, default=default or None)
        answer = (text or "").strip() or default
        if answer is not None:
            return answer


def _ask_hidden(label: str, default: str | None) -> str:
    """Ask without an echo, which ends before the question is shown; Rich's own prompt would show what is typed in between."""
    return getpass(f"{label} ({screen.plain(default)}): " if default else f"{label}: ")
