"""The base of the values in incident files."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Self

from notifyflow.core.faults import Faults
from notifyflow.core.forms import Codec, Node, UnreadableValue, codec_of
from notifyflow.errors import InvalidIncident

_codec: Callable[[Any], Codec[Any]] = cache(codec_of)


class FileValue:
    """A value in an incident file."""

    __slots__ = ()

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> Self:
        """Read it from the fields of an incident file, parsed from JSON.

        Raises:
            InvalidIncident: When a field is missing, unknown or of the wrong type, with every fault.
        """
        faults = Faults()
        with suppress(UnreadableValue):
            given: Self = _codec(cls).read(Node("", fields, faults))
            if not faults:
                return given
        raise InvalidIncident(faults)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for an incident file, as JSON values; unset ones are left out."""
        written: dict[str, Any] = _codec(type(self)).write(self)
        return written
