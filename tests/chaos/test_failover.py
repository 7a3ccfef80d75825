"""A standby is promoted without the last commits of its primary: all goes on, and what is gone is named."""

import signal
from pathlib import Path
from urllib.request import urlopen

import pytest
from psycopg import sql

from notifyflow.core.delivery.model import IncidentState
from notifyflow.sandbox.system import Sandbox
from tests.chaos.field import ROOT, until
from tests.chaos.rolling import Tree, Web
from tests.chaos.standby import PairField
from tests.servers.redis import redis_server

RUNNING = sql.SQL("SELECT count(*) FROM notifyflow_attempt WHERE state = 'RUNNING'")


@pytest.mark.slow
def test_all_goes_on_at_a_promoted_standby_and_what_it_lacks_is_named(tmp_path: Path) -> None:
    with redis_server() as redis, Sandbox() as sandbox, PairField.over(redis, sandbox, tmp_path, NOTIFYFLOW_LEASE_S="10") as at:
        worker, web = at.real_worker(), Web(Tree(ROOT), at.variables, tmp_path / "web.log")
        try:
            acknowledged = at.accept()
            until(lambda: at.is_settled(acknowledged))
            worker.signal(signal.SIGSTOP)
            sent_again = at.accept()
            at.standby.catch_up()
            at.standby.stream.hold()
            worker.signal(signal.SIGCONT)
            until(lambda: at.is_settled(sent_again))
            at.flow.acknowledge(acknowledged, by="p0")
            gone = at.accept()
            until(lambda: at.is_settled(gone))
            sandbox.script("all: slow 800 ms")
            running = at.accept()
            until(lambda: at.primary.execute(RUNNING) != [(0,)])
            at.fail_over()
            sandbox.script("all: ok")
            until(lambda: "engine.attempt_lost" in worker.log.read_text())
            until(lambda: at.accept() is not None)
            with urlopen(f"{web.url}/readyz") as response:
                assert response.status == 200
            reckoning = at.reckon()
            assert at.flow.status(acknowledged).facts.state is IncidentState.OPEN
            assert [each.findings for each in at.flow.maintenance.check() if each.findings] == []
        finally:
            web.kill()
    assert (reckoning.unnamed, reckoning.lost, reckoning.unexplained) == (0, 0, 0)
    named = {(each.machine, each.row_id) for each in reckoning.findings}
    assert {("incident", at.accepted[key]) for key in (acknowledged, gone, running)} <= named
    assert reckoning.gone == 2
    assert reckoning.again == sum(machine == "attempt" for machine, _ in named) == 4
    assert "storage.server_promoted" in worker.log.read_text()
