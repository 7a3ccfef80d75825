"""Rollouts that go wrong, with what ``deploy/kubernetes`` says about pods: real processes under load, and no Kubernetes.

``python -m tests.chaos.rollouts [COMMIT]`` plays all and writes the figures; it fails if anything was lost, or if old pods did
not go on.
"""

import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from psycopg import sql

from notifyflow.sandbox.system import Sandbox
from tests.chaos.cluster import BACK_OFF_S, Cluster, Pod, Revision, Rollout
from tests.chaos.field import ROOT, EarlierClock, Field, Verdict, until
from tests.chaos.manifests import deployment, job
from tests.chaos.rolling import STAGE_S, Load, Tree
from tests.servers.postgres import Postgres, postgres
from tests.servers.redis import redis_server

WRONG = {"NOTIFYFLOW_LEASE_S": "soon"}
AWAY_S = 600.0
IN_THE_WAY = sql.SQL("CREATE TABLE notifyflow_title (id TEXT)")
"""A table of somebody else's, with the name of one that the migration makes last."""
_JOB_S = 0.5
"""The back-off of the Job's trial: with 10 s, its eleven tries would take half an hour."""
_RESTARTS = 3
_ROLLOUT_S = 600.0
_PAGE = ROOT / "docs" / "figures" / "rollouts.rst"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A database of its own, pods of an older revision, and incidents that come in through those of the web service."""

    at: Field
    server: Postgres
    database: str
    cluster: Cluster
    workers: Rollout
    web: Rollout
    load: Load
    old: Revision
    new: Revision

    def apply(self, revision: Revision) -> None:
        for each in (self.workers, self.web):
            each.apply(revision)

    def await_rollout(self) -> None:
        until(lambda: self.workers.is_complete and self.web.is_complete, timeout_s=_ROLLOUT_S)

    def check_old_pods(self) -> None:
        """All old pods run as if nothing had happened."""
        for each in (self.workers, self.web):
            assert each.available(self.old) == each.of.replicas
        assert ended(self.pods_of(self.old)) == 0

    def pods_of(self, revision: Revision) -> Sequence[Pod]:
        return [pod for each in (self.workers, self.web) for pod in each.pods if pod.revision is revision]

    def upgrade(self) -> Pod:
        return self.cluster.run(job("upgrade"), self.new)


@dataclass(frozen=True, kw_only=True)
class Played:
    """The result of a trial.

    Attributes:
        restarts: How often pods of the new revision ended and were started again.
        killed: How many pods still ran when their grace was over.
    """

    what: str
    took_s: float
    incidents: int
    restarts: int
    killed: int
    verdict: Verdict


def failing_job(stage: Stage) -> str:
    """The Job fails, so nobody rolls out; then somebody does it nevertheless. Later the Job succeeds."""
    stage.server.execute(IN_THE_WAY, stage.database)
    failed = stage.upgrade()
    assert set(failed.exits) == {3}, failed.said
    assert len(stage.cluster.pods) == 1 + len(stage.pods_of(stage.old)), "a pod was started"
    stage.check_old_pods()
    stage.apply(stage.new)
    _await_restarts(stage, stage.new)
    stage.server.execute(sql.SQL("DROP TABLE notifyflow_title"), stage.database)
    assert stage.upgrade().exits == [0]
    stage.await_rollout()
    return f"The Job failed in {len(failed.exits)} tries; the new pods were started nevertheless, until another Job succeeded"


def wrong_setting(stage: Stage) -> str:
    """The new pods have a wrong setting, which is corrected later."""
    assert stage.upgrade().exits == [0]
    wrong = Revision(stage.new.tree, {**stage.new.settings, **WRONG})
    stage.apply(wrong)
    _await_restarts(stage, wrong)
    stage.apply(stage.new)
    stage.await_rollout()
    return "The new pods had a wrong setting, until it was corrected"


def database_away(stage: Stage, away_s: float) -> str:
    """PostgreSQL stops when one of two workers is replaced and the first new web service starts."""
    assert stage.upgrade().exits == [0]
    stage.workers.apply(stage.new)
    until(lambda: len(stage.workers.pods_of(stage.old)) < stage.workers.of.replicas, timeout_s=_ROLLOUT_S)
    stage.web.apply(stage.new)
    until(lambda: bool(stage.web.pods_of(stage.new)))
    stage.server.stop()
    time.sleep(away_s)
    seen = stage.at.seen()
    stage.server.start()
    began = time.monotonic()
    until(lambda: stage.at.seen() > seen)
    first_s = time.monotonic() - began
    stage.await_rollout()
    assert ended(stage.cluster.pods) == 1, "a pod ended, beside the Job's"
    return (
        f"PostgreSQL was away for {away_s / 60:.0f} minutes in the middle; the first page left {first_s:.1f} s after it was back"
    )


def ended(pods: Sequence[Pod]) -> int:
    return sum(len(pod.exits) for pod in pods)


def _has_restarted(rollout: Rollout, revision: Revision) -> bool:
    return ended(rollout.pods_of(revision)) >= _RESTARTS


def _await_restarts(stage: Stage, revision: Revision) -> None:
    """As many new pods as may be started end again and again, while the old ones go on."""
    began = len(stage.load.keys)
    for each in (stage.workers, stage.web):
        until(partial(_has_restarted, each, revision), timeout_s=_ROLLOUT_S)
        assert len(each.pods_of(revision)) == each.of.max_surge
    until(lambda: len(stage.load.keys) > began)
    stage.check_old_pods()


@contextmanager
def staged(server: Postgres, old: Tree, new: Tree, *, back_off_s: float, patience_s: float) -> Iterator[Stage]:
    """Run the old pods until all are available."""
    database = server.create_database()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rollout-")))
        broker, sandbox = stack.enter_context(redis_server()), stack.enter_context(Sandbox())
        sandbox.script("all: slow 50 ms")
        variables = {"NOTIFYFLOW_DATABASE_URL": server.url(database), "NOTIFYFLOW_BROKER_URL": broker.url}
        at = Field(sandbox, folder, variables, clock=EarlierClock())
        (folder / "secrets").mkdir()
        (folder / "secrets" / "database-url").write_text(server.url(database))
        assert "schema 1" in old.run(at.variables, "db", "upgrade")
        key = old.run(at.variables, "keys", "create", "--name", "load", "--scope", "ingest").strip()
        cluster, first = Cluster(folder, back_off_s), Revision(old, at.variables)
        workers, web = (Rollout(deployment(name), cluster, first) for name in ("worker", "web"))
        load = Load(key, lambda: [pod.url for pod in web.ready], patience_s)
        stack.enter_context(at.open())
        stage = Stage(
            **{"at": at, "server": server, "database": database, "cluster": cluster, "workers": workers, "web": web},
            **{"load": load, "old": first, "new": Revision(new, at.variables)},
        )
        stack.enter_context(cluster.running(workers, web))
        stage.await_rollout()
        try:
            yield stage
        except AssertionError:
            sys.stderr.write("\n".join(pod.said[-2000:] for pod in cluster.pods))
            raise
        stack.close()
    server.drop_database(database)


def play(stage: Stage, trial: Callable[[Stage], str]) -> Played:
    """Play a trial while incidents come, and wait until all is sent."""
    began = time.monotonic()
    with stage.load.running():
        time.sleep(STAGE_S)
        what = trial(stage)
        time.sleep(STAGE_S)
    took_s = time.monotonic() - began
    stage.at.keys += stage.load.keys
    stage.at.settle()
    new = [pod for each in (stage.workers, stage.web) for pod in each.pods if pod.revision is not stage.old]
    return Played(
        what=what,
        took_s=took_s,
        incidents=len(stage.load.keys),
        restarts=ended(new),
        killed=sum(pod.was_killed for pod in stage.cluster.pods),
        verdict=stage.at.verdict(),
    )


def rendered(found: Sequence[Played]) -> str:
    """Return the page."""
    head = (
        *("What went wrong", "Took", "Incidents", "Notifications", "New pods ended", "Pods killed after their grace", "Lost"),
        *("In doubt", "Sent twice", "of those, without a doubt in their rows"),
    )
    rows: list[Sequence[object]] = [head]
    for each in found:
        verdict = each.verdict
        counts = (each.incidents, verdict.notifications, each.restarts, each.killed)
        counts += (verdict.lost, verdict.doubts, verdict.duplicates, verdict.unexplained)
        rows.append((each.what, f"{each.took_s / 60:.0f} min", *counts))
    lines = [".. Made by scripts/rolling; do not edit.", "", ".. list-table::", "   :stub-columns: 1", "   :header-rows: 1", ""]
    for row in zip(*rows, strict=True):
        cells = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        lines += [f"   {'*' if number == 0 else ' '} - {cell}" for number, cell in enumerate(cells)]
    return "\n".join(lines) + "\n"


def main(commit: str) -> int:
    """Play all trials, write the figures, and return whether something was lost or is without an explanation."""
    logging.disable(logging.WARNING)
    trials: Mapping[Callable[[Stage], str], float] = {
        failing_job: _JOB_S,
        wrong_setting: BACK_OFF_S,
        partial(database_away, away_s=AWAY_S): BACK_OFF_S,
    }
    found = []
    with tempfile.TemporaryDirectory(prefix="trees-") as folder, postgres() as server:
        old, new = Tree.of(commit, Path(folder) / "old"), Tree.of("HEAD", Path(folder) / "new")
        new.add_migration()
        for trial, back_off_s in trials.items():
            with staged(server, old, new, back_off_s=back_off_s, patience_s=AWAY_S + 120) as stage:
                found.append(play(stage, trial))
    text = rendered(found)
    _PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if all(each.verdict.is_clean and not each.killed for each in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "HEAD~1"))
