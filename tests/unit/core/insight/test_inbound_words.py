import pytest

from notifyflow.core.delivery.model import Via
from notifyflow.core.insight.inbound_words import sentence
from notifyflow.core.intake.inbound_log import InboundEffect, InboundReason
from tests.facts import NOW, inbound_entry


def said(**fields: object) -> str:
    return sentence(inbound_entry(**fields), brief=lambda at: f"{at:%H:%M}")


def test_a_request_names_its_way_its_key_and_its_route() -> None:
    assert said() == "through Alertmanager with the key prometheus, by routes[0]: opened it"
    assert said(did=InboundEffect.RESOLVED, route="", integration=Via.PAGERDUTY) == (
        "through PagerDuty's API with the key prometheus: resolved it"
    )


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({"did": InboundEffect.MERGED, "times": 12}, f": merged; nobody was paged again (12 times, the last at {NOW:%H:%M})"),
        (
            {"did": InboundEffect.MERGED, "why": InboundReason.ACKNOWLEDGED},
            ": merged; nobody was paged again, since it had been acknowledged",
        ),
        ({"did": InboundEffect.IGNORED, "why": InboundReason.RESOLVED}, ": ignored, since it had been resolved"),
        ({"why": InboundReason.PAUSED}, ": opened it, while sending was paused"),
        ({"why": InboundReason.NO_ROUTE}, ": opened it, but there is no directory, so that no route led to a recipient"),
        ({"left_out": "ben and cy"}, ": opened it; without ben and cy, who cannot be paged"),
    ],
)
def test_it_says_why_it_paged_nobody(fields: dict[str, object], end: str) -> None:
    assert said(**fields).endswith(end)


@pytest.mark.parametrize("did", list(InboundEffect))
def test_everything_that_a_request_does_has_words(did: InboundEffect) -> None:
    assert said(did=did) != said(did=InboundEffect.OPENED) or did is InboundEffect.OPENED
