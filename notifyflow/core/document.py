"""The base of all documents of the core: a value written as one JSON object.

Pydantic does no I/O and reads no clock; it only declares a shape here, so the core stays pure.
"""

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict

Text = Annotated[str | None, BeforeValidator(lambda value: value or None)]
"""A text, or null if unknown."""


class Document(BaseModel):
    """A value that is written as one JSON object."""

    model_config = ConfigDict(defer_build=True, from_attributes=True, validate_by_name=True, validate_by_alias=True)

    @classmethod
    def of(cls, value: object) -> Self:
        """Build it from the value of the same name."""
        return cls.model_validate(value)

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``json.dumps`` writes."""
        return self.model_dump(mode="json")
