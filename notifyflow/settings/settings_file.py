"""The settings file: lines ``NAME=value``, which systemd (``EnvironmentFile=``) and a shell read alike.

Settings are only added to it, and it is replaced as a whole. It must not decide which.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from notifyflow.errors import Fault, InvalidSettings

_PLAIN = re.compile(r"[\w./:@%+=,-]+", re.ASCII)
_LINE = re.compile(
    r"""\s*(?P<name>[A-Za-z_]\w*)=(?:'(?P<single>[^'\\]*)'|"(?P<double>(?:[^"\\$`]|\\["\\$`])*)"|(?P<plain>[^\s'"\\$`]*))\s*""",
    re.ASCII,
)
_ESCAPED = re.compile(r'(["\\$`])')
_UNESCAPED = re.compile(r'\\(["\\$`])')


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFile:
    """A settings file as it was read.

    Attributes:
        path: Where it is, or will be.
        text: Its text; None if there is no file yet.
        variables: The variables that it sets, by name; an empty one counts as unset.
    """

    path: Path
    text: str | None
    variables: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file, which need not exist.

        Raises:
            InvalidSettings: When it cannot be read, or systemd and a shell would read a line of it differently.
        """
        path = path.resolve()  # through a symbolic link, which stays
        text = _text_of(path)
        faults, variables = [], {}
        for number, line in enumerate((text or "").split("\n"), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if found := _LINE.fullmatch(line):
                variables[found["name"]] = _value(found)
                continue
            remedy = "Write NAME=value without `export`; put the value in single quotes if it has spaces, quotes, $, ` or \\"
            faults.append(Fault(str(path), "systemd and a shell do not both read it as a setting", remedy, line=number))
        if faults:
            raise InvalidSettings(faults)
        return cls(path=path, text=text, variables={name: value for name, value in variables.items() if value})

    def add(self, variables: Mapping[str, str]) -> None:
        """Add settings below what the file says; without any, it is not touched.

        Raises:
            InvalidSettings: When it cannot be written, or has changed since it was read.
        """
        if not variables:
            return
        before = self.text or "# The settings of notifyflow, as systemd and a shell read them.\n"
        lines = [f"{name}={_quoted(value)}\n" for name, value in variables.items()]
        write_private(self.path, "".join((before, "" if before.endswith("\n") else "\n", *lines)), over=self.text)


def write_private(path: Path, text: str, *, over: str | None) -> None:
    """Write a file that only its owner may read: whole, or not at all. ``over`` is the text it replaces; None if it is new.

    Raises:
        InvalidSettings: When it cannot be written, or does not have the text ``over`` any more.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # with mode 0600
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            if _text_of(path) != over:
                remedy = "Run the command again, which reads it anew"
                raise InvalidSettings((Fault(str(path), "it was changed meanwhile, and was left as it is", remedy),))
            if over is not None:
                _keep_owner(path, name)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise _unwritable(path, error) from None


def check_writable(path: Path) -> None:
    """Find out early whether a file could be written; nothing is left of it.

    Raises:
        InvalidSettings: When it could not.
    """
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> InvalidSettings:
    remedy = f"Give a folder in which this user may write, or make {path.parent} one"
    return InvalidSettings((Fault(str(path), f"it cannot be written: {error.strerror}", remedy),))


def _keep_owner(path: Path, name: str) -> None:
    was = path.stat()
    with suppress(PermissionError):  # only root may give a file away
        os.chown(name, was.st_uid, was.st_gid)


def _text_of(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        what = f"it cannot be read ({type(error).__name__})"
        raise InvalidSettings((Fault(str(path), what, "Give a UTF-8 text file that this user may read"),)) from None


def _value(found: re.Match[str]) -> str:
    if found["double"] is not None:
        return _UNESCAPED.sub(r"\1", found["double"])
    return found["single"] if found["single"] is not None else found["plain"]


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if "'" in value or "\\" in value:
        return '"' + _ESCAPED.sub(r"\\\1", value) + '"'
    return f"'{value}'"
