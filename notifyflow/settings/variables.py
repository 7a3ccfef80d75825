"""Reads the variables of the environment, secrets also from files."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from notifyflow.errors import Fault

PREFIX = "NOTIFYFLOW_"
FAULTS = "faults"
TOLERATED = "tolerated"


def of_environment() -> Mapping[str, str]:
    """Return the variables of this process that begin with the prefix."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}  # noqa: TID251 - the one place


class Variables(PydanticBaseSettingsSource):
    """Reads the fields from ``NOTIFYFLOW_*``, secrets also from files, and collects unknown names as faults."""

    def __init__(
        self, settings_cls: type[BaseSettings], variables: Mapping[str, str], tolerated: list[Fault] | None = None
    ) -> None:
        super().__init__(settings_cls)
        self._variables = variables
        self._faults: list[Fault] = []
        self._tolerated = tolerated

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """Return the text of one field; an empty text counts as unset."""
        name = PREFIX + field_name.upper()
        text = self._variables.get(name) or None
        if is_secret(field) and (path := self._variables.get(name + "_FILE")):
            if text is not None:
                self._faults.append(Fault(name, f"is set, and so is {name}_FILE", "Set only one of them"))
            return self._read(name + "_FILE", path), field_name, False
        return text, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the texts of the fields that are set, and the faults found so far."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        self._find_unknown()
        collected = {FAULTS: self._faults, TOLERATED: self._tolerated}
        return {**collected, **{name: text for name, text in found.items() if text is not None}}

    def _read(self, name: str, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._faults.append(
                Fault(name, f"{path!r} cannot be read ({type(error).__name__})", "Give a text file that notifyflow may read")
            )
            return None

    def _find_unknown(self) -> None:
        fields = self.settings_cls.model_fields.items()
        known = {name.upper() for name, _ in fields} | {name.upper() + "_FILE" for name, field in fields if is_secret(field)}
        for name in sorted(self._variables):
            if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known:
                self._faults.append(unknown(name.removeprefix(PREFIX), known, PREFIX))


def unknown(name: str, known: Iterable[str], prefix: str = "") -> Fault:
    """Return the fault of a variable, or of an argument, that is no setting."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return Fault(
        prefix + name, "is not a setting", f"Use {prefix}{near[0]}, if that was meant" if near else "Remove it: nothing reads it"
    )


def is_secret(field: FieldInfo) -> bool:
    """Return whether a field holds a secret."""
    return "SecretStr" in str(field.annotation)
