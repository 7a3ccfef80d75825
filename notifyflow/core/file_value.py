"""What the values have in common that incident files hold."""

from collections.abc import Mapping
from typing import Any, Self


class FileValue:
    """A value that incident files hold."""

    __slots__ = ()

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> Self:
        """Read it from the fields that it has in an incident file, as JSON has them.

        Raises:
            InvalidIncident: When a field is missing, unknown or of the wrong type, with every fault.
        """
        from notifyflow.core.intake.documents import read_fields  # it reads these values

        return read_fields(cls, fields)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that it has in an incident file, as JSON can hold them; those that are not set are left out."""
        from notifyflow.core.intake.documents import write_fields

        return write_fields(self)
