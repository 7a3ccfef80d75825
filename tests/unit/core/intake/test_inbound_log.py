"""Requests of one kind about one incident are counted together."""

from dataclasses import replace

from notifyflow.core.delivery.model import Via
from notifyflow.core.intake.inbound_log import InboundEffect, InboundReason, counted
from tests.facts import NOW, inbound_entry, minutes

OPENED = inbound_entry()
MERGED = replace(OPENED, did=InboundEffect.MERGED)


def test_repetitions_of_one_kind_are_one_with_the_first_and_the_last_time() -> None:
    later = replace(MERGED, first_at=NOW + minutes(1), last_at=NOW + minutes(1), times=3, left_out="ben")
    assert counted([OPENED, MERGED, later]) == (OPENED, replace(later, first_at=NOW, times=4))


def test_what_differs_in_kind_is_counted_apart() -> None:
    others = [
        replace(MERGED, why=InboundReason.ACKNOWLEDGED),
        replace(MERGED, route="default"),
        replace(MERGED, api_key="other"),
        replace(MERGED, integration=Via.CLOUDEVENTS),
        replace(MERGED, incident_id="j"),
    ]
    assert counted([MERGED, *others]) == (MERGED, *others)
