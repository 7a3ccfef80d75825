"""Completes values at TAB: keys of incidents, schedules, people.

It reads the database, and changes nothing there. Where the database is away, does not answer soon or is not ours, nothing is
offered and nothing is said; schedules and people then come from the directory's file.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from notifyflow.errors import NotifyflowError

if TYPE_CHECKING:
    from notifyflow.core.oncall.directory import Directory
    from notifyflow.settings import Settings
    from notifyflow.storage.reads import Reads

T = TypeVar("T")

_WITHIN_S = 0.3
_MOST = 1_000
"""How many of the newest incidents and recipients are looked at."""


def keys() -> Iterable[str]:
    """Return the keys of the newest incidents, each once."""
    return dict.fromkeys(_read(lambda reads: reads.listings.keys(None, limit=_MOST), list[str]()))


def schedules() -> Iterable[str]:
    """Return the schedules of the directory, as in ``@primary``."""
    return _names().schedules


def people() -> Iterable[str]:
    """Return the ids of the people of the directory, then those of others who were paged, each once."""
    return _names().people


def schedules_and_people() -> Iterable[str]:
    """Return both."""
    names = _names()
    return [*names.schedules, *names.people]


class _KnownNames(NamedTuple):
    schedules: Iterable[str]
    people: Iterable[str]


def _names() -> _KnownNames:
    from notifyflow.core.oncall.directory import NOBODY

    def query(reads: "Reads") -> "tuple[Directory, list[str]]":
        return reads.roster.current().directory, reads.listings.recipient_ids(limit=_MOST)

    directory, paged = _read(query, (NOBODY, list[str]()))
    if directory is NOBODY:
        directory = _of_file()
    return _KnownNames([f"@{name}" for name in directory.schedules], dict.fromkeys([*directory.recipients, *filter(None, paged)]))


def _of_file() -> "Directory":
    """Return the directory of this process's file, as far as it can be read."""
    from notifyflow.core.delivery.policy import SHIPPED
    from notifyflow.core.oncall.directory import NOBODY, read_leniently
    from notifyflow.service.oncall.directory import text_of

    path = _settings().directory
    with suppress(NotifyflowError):
        if path is not None:
            return read_leniently(text_of(path), SHIPPED)[0]
    return NOBODY


def _read(query: "Callable[[Reads], T]", otherwise: T) -> T:
    from notifyflow.app.database import is_there
    from notifyflow.storage.store import Store

    url = _settings().database_url.get_secret_value()
    with suppress(NotifyflowError):
        if not is_there(url):
            return otherwise
        store = Store(url)
        try:
            with store.within(_WITHIN_S):
                return store.read(query)
        finally:
            store.close()
    return otherwise


def _settings() -> "Settings":
    from notifyflow.settings import Settings

    settings, _ = Settings.tolerant()
    return settings
