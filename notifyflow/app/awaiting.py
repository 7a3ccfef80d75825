"""Makes the awaitable twins of methods; it loads nothing, since ``NotifyFlow`` is imported long before one is made."""

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from notifyflow.app.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")


class _HasThreads(Protocol):
    _threads: "Threads"


H = TypeVar("H", bound=_HasThreads)


def awaitable(method: Callable[Concatenate[H, P], T]) -> Callable[Concatenate[H, P], Coroutine[Any, Any, T]]:
    """Return the awaitable twin of a method, with the same parameters, result and errors."""
    name = method.__name__

    @wraps(method)
    async def run(flow: H, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await flow._threads.run(partial(method, flow, *args, **kwargs))

    run.__name__ = f"a{name}"
    run.__qualname__ = method.__qualname__.removesuffix(name) + run.__name__
    run.__doc__ = f"Do the same as ``{name}``, without blocking the event loop."
    return run
