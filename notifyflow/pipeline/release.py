"""Releases rows that were set aside, once they are mended."""

from collections.abc import Sequence

from notifyflow.pipeline import set_aside
from notifyflow.pipeline.ports import NOTHING, Committed, Dependencies
from notifyflow.pipeline.set_use_case import SetUseCase
from notifyflow.pipeline.transaction import Transaction


def release(deps: Dependencies, row_ids: Sequence[str]) -> Committed[tuple[str, ...]]:
    """Let rows go on at once, each in a transaction of its own; one that is damaged still stays set aside.

    Returns:
        The ids of those that were released.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """
    released: list[str] = []
    led_to = NOTHING
    for row_id in row_ids:
        settled = _RELEASE.run(deps, [row_id])
        led_to += settled.consequences
        (result,) = settled.results
        if result is True:
            released.append(row_id)
        elif isinstance(result, Exception) and not set_aside.is_damage(result):
            raise result
    return Committed(tuple(released), led_to)


def _release(tx: Transaction, loaded: None, row_id: str) -> bool:
    del loaded
    return bool(set_aside.release(tx, [row_id]))


_RELEASE = SetUseCase(lambda tx, row_ids: None, _release)
