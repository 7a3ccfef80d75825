"""A field whose database has a standby, and the reckoning after the standby was promoted without the last commits."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from notifyflow import Incident, StorageUnavailable
from notifyflow.app import log_output
from notifyflow.core.upkeep import lost
from notifyflow.core.upkeep.audit import Finding
from notifyflow.core.upkeep.lost import Mention
from notifyflow.sandbox.system import Sandbox
from notifyflow.storage.store import Store
from tests.chaos.field import STUBBORN, Field, Worker, crowd
from tests.servers.postgres import Postgres, postgres
from tests.servers.redis import Redis
from tests.servers.standby import Standby, standby_of


class PairField(Field):
    """Real workers on a primary with a standby, and callers in this process, whose lines are logged to a file.

    Attributes:
        accepted: The ids of the incidents that ``notify()`` accepted, by their keys.
    """

    primary: Postgres
    standby: Standby
    accepted: dict[str, str]

    @classmethod
    @contextmanager
    def over(cls, redis: Redis, sandbox: Sandbox, folder: Path, **settings: str) -> Iterator[Self]:
        """Run a pair with an empty database; its URL names both servers."""
        with postgres() as primary:
            store = Store(primary.direct_url())
            store.upgrade()
            store.close()
            with standby_of(primary) as standby:
                hosts = f"127.0.0.1:{primary.server_port},127.0.0.1:{standby.port}"
                url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
                redis.execute("FLUSHALL")
                variables = {"NOTIFYFLOW_DATABASE_URL": url, "NOTIFYFLOW_BROKER_URL": redis.url, "NOTIFYFLOW_LOG_FORMAT": "json"}
                at = cls(sandbox, folder, {**variables, **settings})
                at.primary, at.standby, at.accepted = primary, standby, {}
                with (folder / "callers.log").open("w") as file, log_output.into(file), at.open():
                    yield at

    def real_worker(self) -> Worker:
        """Start ``dramatiq notifyflow.worker``."""
        return self.worker(module="notifyflow.worker")

    def accept(self, people: int = 2) -> str | None:
        """Notify people; return the key, or None if it was not accepted."""
        key = f"incident-{len(self.accepted)}"
        try:
            notified = self.flow.notify(Incident(key=key, title="orders db is down"), crowd(people), policy=STUBBORN)
        except StorageUnavailable:
            return None
        self.accepted[key] = notified.incident_id
        return key

    def sent(self) -> frozenset[str]:
        """Return the attempts whose messages a provider has accepted."""
        return frozenset(each.attempt_id for each in self.sandbox.inbox.messages(is_accepted=True))

    def fail_over(self) -> None:
        """Lose the primary, and promote the standby as it is."""
        self.primary.kill()
        self.standby.promote()

    def reckon(self) -> "Reckoning":
        """Compare what was accepted and sent with the rows and with what is found lost; wait until all has come to rest."""
        self.keys = [key for key in self.accepted if self.flow.find(key) is not None]
        self.settle()
        self.await_figures()
        lines = [line for log in sorted(self.folder.glob("*.log")) for line in log.read_text().splitlines()]
        found = self.flow.maintenance.find_lost([*lines, *self.accepted.values()]).findings
        logged = {each.row_id: each for line in lines for each in lost.mentions(line) if each.kind == "attempt"}
        return Reckoning.of(self, found, logged)


@dataclass(frozen=True, kw_only=True)
class Reckoning:
    """What a failover has lost, and what of it is known.

    Attributes:
        accepted: How many incidents were accepted.
        gone: How many of them have no row.
        unnamed: How many of those are not found by the check.
        lost: How many notifications that are stored no provider has seen, or did not come to rest.
        again: How many messages were sent once more, since their first attempt is gone.
        doubts: How many attempts stand in doubt.
        unexplained: How many messages have an attempt that neither a row nor the check knows.
        findings: All that is found.
    """

    accepted: int
    gone: int
    unnamed: int
    lost: int
    again: int
    doubts: int
    unexplained: int
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, at: PairField, found: tuple[Finding, ...], logged: Mapping[str, Mention]) -> "Reckoning":
        """Reckon it up.

        Args:
            at: The field, at rest.
            found: The findings of the check.
            logged: The attempts that the logs name.
        """
        named = {each.row_id for each in found}
        gone = {incident_id for key, incident_id in at.accepted.items() if key not in at.keys}
        rows = list(at.rows())
        seen = at.sent()
        orphans = seen - {attempt.id for row in rows for attempt in row.attempts}
        outer = {each: {each, *logged[each].within} if each in logged else {each} for each in orphans}
        stored = {row.id for row in rows}
        return cls(
            accepted=len(at.accepted),
            gone=len(gone),
            unnamed=len(gone - named),
            lost=sum(not any(attempt.id in seen for attempt in row.attempts) for row in rows),
            again=sum(bool(outer[each] & stored) for each in orphans),
            doubts=sum(attempt.is_doubted for row in rows for attempt in row.attempts),
            unexplained=sum(not outer[each] & named for each in orphans),
            findings=found,
        )
