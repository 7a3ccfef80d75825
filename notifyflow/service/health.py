"""The health of the whole system, as the page Health shows it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.core.metrics.system_health import ProviderStatus, SystemHealth
from notifyflow.pipeline.delivery.set_aside_release import release
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.storage.insight.left_out import collecting
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store

MOST_UNREACHED = 1_000
"""How many unreached people are counted at most."""
_NEVER = datetime.min.replace(tzinfo=UTC)


class Health:
    """Reads the health of the whole system; nothing in it is personal."""

    def __init__(self, store: Store, use_cases: UseCases) -> None:
        self._store = store
        self._use_cases = use_cases
        self._deps = use_cases.deps
        self._looked_at = _NEVER
        self._damaged: tuple[LeftOut, ...] = ()

    def set_aside(self) -> tuple[SetAside, ...]:
        """List the damaged rows that are set aside, the newest first."""
        self._use_cases.prepare()
        return self._store.read(lambda reads: reads.set_aside.all())

    def damaged(self, *, no_older_than: timedelta = timedelta()) -> tuple[LeftOut, ...]:
        """Return the damaged rows that lists leave out, and that are not set aside because nothing works on them.

        Args:
            no_older_than: How old what this process found last may be; if it is older, it reads thousands of rows again.
        """
        now = self._deps.clock.now()
        if not timedelta() <= now - self._looked_at < no_older_than:
            self._use_cases.prepare()
            with collecting():  # they are named here
                self._damaged = self._store.read(lambda reads: reads.damage.found())
            self._looked_at = now
        return self._damaged

    def release(self, row_ids: Sequence[str]) -> tuple[str, ...]:
        """Let mended rows go on at once, and look for damage anew; return their ids."""
        released = self._use_cases.run(release, row_ids)
        self._looked_at = _NEVER
        return released

    def read(self) -> SystemHealth:
        """Read the health of the system as it is now."""
        now = self._deps.clock.now()

        def query(reads: Reads) -> SystemHealth:
            queues, is_cut = reads.system_health.queues(now)
            providers = tuple(
                ProviderStatus(health=health, limit=self._deps.limit_of(health.provider))
                for health in reads.system_health.providers()
            )
            return SystemHealth(
                now=now,
                swept_at=reads.swept_at(),
                queues=queues,
                is_queue_cut=is_cut,
                storms=reads.system_health.storms(now),
                postponed=reads.system_health.postponed(self._deps.channels, now),
                pauses=reads.system_health.pauses(now),
                providers=providers,
                unreached=len(reads.people.unreached_ids(None, limit=MOST_UNREACHED)),
            )

        self._use_cases.prepare()
        return self._store.read(query)
