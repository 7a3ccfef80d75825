"""Cuts a thread short at a line of what commits for others, as a time limit or a signal may at any of them."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store

T = TypeVar("T")

_WHERE = ("/notifyflow/pipeline/", "/notifyflow/engine/", "/notifyflow/service/")


class Cut(BaseException):
    """Raised in a thread that is cut short."""


def cut_after(lines: int) -> None:
    """Raise ``Cut`` in this thread before it runs the next line of these packages after so many."""
    left = lines

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        del argument
        if event == "line" and any(each in frame.f_code.co_filename for each in _WHERE):
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise Cut
        return trace

    frame: FrameType | None = sys._getframe()
    while frame is not None:
        frame.f_trace = trace
        frame = frame.f_back
    sys.settrace(trace)


class CutStore:
    """A store that cuts a thread short at a line before or after its next commit.

    Attributes:
        lines: After how many lines; None for never.
        is_before: Whether they are counted from the beginning of the transaction, and not from its end.
    """

    def __init__(self, store: Store, *, is_before: bool) -> None:
        self._store = store
        self._is_before = is_before
        self.lines: int | None = None

    def run(self, use_case: Callable[[Ledger], T], **limits: Any) -> T:
        lines, self.lines = self.lines, None
        if lines is not None and self._is_before:
            cut_after(lines)
        result = self._store.run(use_case, **limits)
        if lines is not None and not self._is_before:
            cut_after(lines)
        return result
