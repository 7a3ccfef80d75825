"""The settings to be: what is set, what is added to it, and what is wrong with both together."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote

from notifyflow.app.configuration import Configuration, examine
from notifyflow.channels.base import Channel
from notifyflow.channels.registry import load
from notifyflow.cli.frame.configuration import code_of, show_tries
from notifyflow.cli.frame.connections import Tries, url_faults
from notifyflow.cli.frame.exits import Exit
from notifyflow.core.frozen import FrozenDict
from notifyflow.errors import Fault, InvalidSettings
from notifyflow.settings import PREFIX, Settings
from notifyflow.settings.settings_file import SettingsFile

BROKER_URL = "memory://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A settings file, and what is to be added to it.

    Attributes:
        file: The file, of which nothing is changed.
        added: The variables to add, by name.
    """

    file: SettingsFile
    added: Mapping[str, str] = FrozenDict()

    @property
    def variables(self) -> Mapping[str, str]:
        """All variables by name."""
        return {**self.added, **self.file.variables}

    @property
    def database_url(self) -> str:
        """The URL of a database file beside the settings file, wherever a process of notifyflow starts."""
        return f"sqlite:///{quote(str(self.file.path.with_name('notifyflow.db')))}"

    @property
    def directory(self) -> Path:
        """The directory file beside the settings file."""
        return self.file.path.with_name("directory.toml")

    def has(self, name: str) -> bool:
        """Return whether a setting, such as ``smtp_url``, has a value, or the file of a secret."""
        variable = PREFIX + name.upper()
        return not self.variables.keys().isdisjoint((variable, variable + "_FILE"))

    def adding(self, values: Mapping[str, str]) -> Self:
        """Return it with more settings, by names such as ``smtp_url`` or ``smtp_url_file``; those that are set stay."""
        new = {PREFIX + name.upper(): text for name, text in values.items() if text and not self.has(name.removesuffix("_file"))}
        return replace(self, added={**self.added, **new})

    def with_directory(self) -> Self:
        """Return it with the directory file, if that is there already and no other one is set."""
        return self.adding({"directory": str(self.directory)}) if self.directory.exists() else self

    def settings(self) -> Settings:
        """Return the settings.

        Raises:
            InvalidSettings: When one is wrong, with every fault.
        """
        unwritable = [name for name, text in self.added.items() if not text.isprintable()]
        if unwritable:
            what = "has a line break or another character that no line of a settings file can hold"
            raise InvalidSettings([Fault(name, what, "Leave it out") for name in unwritable])
        return Settings.from_variables(self.variables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """Valid settings, and the channels that they make."""

    settings: Settings
    channels: Mapping[str, Channel]
    configuration: Configuration

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All that `notifyflow config check` would report as a fault without a connection."""
        of_channels = (each for each in self.configuration.faults if not each.is_unset)
        return (*url_faults(self.settings), *self.configuration.preventing, *of_channels)

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """What is allowed, and leaves somebody unreached or is risky."""
        return (*self.configuration.unreached, *self.configuration.hazards, *self.configuration.warnings)

    def connect(self, *parts: str) -> Exit:
        """Connect and log in everywhere, or to some parts; show the results, and return the exit code for them."""
        tries = Tries(settings=self.settings, wrong=(), channels=self.channels, makes_schema=True)
        found = tuple(tries.run(*parts))
        show_tries(found)
        return code_of(found)

    def require(self, names: Collection[str] | None = None) -> None:
        """Refuse what is wrong with some settings, or with any.

        Raises:
            InvalidSettings: With every fault.
        """
        wrong = [each for each in self.faults if names is None or setting_of(each) in names]
        if wrong:
            raise InvalidSettings(tuple(dict.fromkeys(wrong)))


@contextmanager
def examined(draft: Draft) -> Iterator[Examined]:
    """Examine settings; their channels are closed at the end of the block.

    Raises:
        InvalidSettings: When one is wrong alone, with every fault.
    """
    settings = draft.settings()
    channels = load(settings)
    try:
        yield Examined(settings=settings, channels=channels, configuration=examine(settings, channels))
    finally:
        for channel in channels.values():
            channel.close()


def setting_of(fault: Fault) -> str:
    """Return the name of the setting that a fault is about, as ``smtp_url``."""
    return fault.where.split()[0].removeprefix(PREFIX).removesuffix("_FILE").lower()
