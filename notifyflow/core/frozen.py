"""A dictionary that cannot be changed: values with one can be hashed, copied, pickled and written as JSON."""

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A dict without the methods that change it; it equals a dict with the same items, and is hashable if its values are."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("it cannot be changed; make another one")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # a dict says that it has none
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy it by its items; a dict's default would set them one by one."""
        return type(self), (dict(self),)


def freeze(subject: object, field: str) -> None:
    """Replace a mapping in a field of a frozen dataclass by an unchangeable copy; leave any other value as it is."""
    value = getattr(subject, field)
    if isinstance(value, Mapping) and not isinstance(value, FrozenDict):
        object.__setattr__(subject, field, FrozenDict(value))
