"""Upgrades one database from several processes' stores at the same time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.patience import PatientStore

_THREADS = 4


def upgrade_at_once(url: str) -> list[int]:
    """Upgrade a database from four stores that begin together; return how many versions each applied, the fewest first."""
    start = Barrier(_THREADS)

    def upgrade(_: int) -> int:
        store = PatientStore(url)
        start.wait()
        applied = store.upgrade()
        store.check_schema()
        store.close()
        return applied

    with ThreadPoolExecutor(_THREADS) as pool:
        return sorted(pool.map(upgrade, range(_THREADS)))
