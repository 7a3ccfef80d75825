"""The health of the whole system, as a flow that delivers nothing has it."""

from datetime import timedelta

from notifyflow.app import NotifyFlow
from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import Evidence, Result
from notifyflow.core.limits.provider_health import used
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.limits.claim import claim
from notifyflow.settings import Settings
from tests.builders import CountingIds, HandClock, a_recipient, an_incident
from tests.integration.web.delivery.test_api import SilentBell
from tests.leases import record_one


def test_the_health_has_the_sweep_the_queue_and_each_provider(database_url: str) -> None:
    clock = HandClock()
    variables = {"NOTIFYFLOW_DATABASE_URL": database_url, "NOTIFYFLOW_PROVIDER_LIMITS": "smtp=30"}
    with NotifyFlow(Settings.from_variables(variables), clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        health = flow._service.health
        assert health.read().swept_at is None
        sweep(flow._deps)
        flow.notify(an_incident(), [a_recipient("ada", email="ada@example.com")])
        for claimed in claim(flow._deps, "email", (), limit=9, providers=("smtp",), reporting=()).claimed:
            record_one(flow._deps, claimed, Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
        flow.notify(an_incident("db-2"), [a_recipient("ben", email="ben@example.com")])
        clock.pass_time(timedelta(seconds=5))
        system = health.read()
    assert system.swept_at == clock.now() - timedelta(seconds=5)
    assert [(each.channel, each.count) for each in system.queues] == [("email", 1)]
    assert (system.is_queue_cut, system.pauses, system.unreached) == (False, (), 0)
    (smtp,) = system.providers
    assert (smtp.health.provider, smtp.limit, used(smtp.health, system.now)) == ("smtp", 30, 1)
