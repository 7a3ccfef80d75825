"""The rehearsal of the policies, which goes on in a thread of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

from notifyflow.app import NotifyFlow
from notifyflow.core.upkeep.forecast import ChannelModel
from notifyflow.service.rehearsals import Rehearsals
from notifyflow.settings import Settings
from tests.builders import HandClock
from tests.integration.web.delivery.test_api import SilentBell
from tests.log_lines import capture_logs
from tests.waiting import wait_until


@contextmanager
def rehearsals_of(database_url: str, clock: HandClock) -> Iterator[Rehearsals]:
    team = json.dumps([{"id": "ops", "email": "ops@example.com"}])
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": database_url, "NOTIFYFLOW_OPS_RECIPIENTS": team})
    with NotifyFlow(settings, clock=clock, bell=SilentBell()) as flow:
        yield flow._service.rehearsals


def test_what_breaks_a_rehearsal_is_told_like_what_it_finds(database_url: str) -> None:
    nobody = {"email": cast("Any", None)}
    with rehearsals_of(database_url, HandClock()) as rehearsals:
        wait_until(lambda: rehearsals.faults(nobody) is not None)
        (fault,) = rehearsals.faults(nobody) or ()
    assert fault.what == "the rehearsal broke: AttributeError"


def test_a_rehearsal_that_breaks_for_one_is_named_and_logged(database_url: str) -> None:
    models = {"email": ChannelModel(providers=("smtp",), capabilities=cast("Any", None))}
    with rehearsals_of(database_url, HandClock()) as rehearsals, capture_logs() as lines:
        wait_until(lambda: rehearsals.faults(models) is not None)
        (fault,) = rehearsals.faults(models) or ()
    assert (fault.where, fault.what) == ("policies.operations", "CRITICAL to ops: the rehearsal broke: AttributeError")
    broke = [line for line in lines if line["event"] == "app.rehearsal_broke"]
    assert [(line["policy"], line["error"]) for line in broke] == [("operations", "AttributeError")]


def test_a_directory_is_rehearsed_once_though_the_roster_is_read_every_second(database_url: str) -> None:
    models, clock = {"email": ChannelModel(providers=("smtp",))}, HandClock()
    with rehearsals_of(database_url, clock) as rehearsals:
        wait_until(lambda: rehearsals.faults(models) is not None)
        clock.pass_time(timedelta(seconds=5))
        assert rehearsals.faults(models) is not None
