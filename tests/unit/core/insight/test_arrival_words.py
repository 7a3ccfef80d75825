import pytest

from notifyflow.core.delivery.model import Via
from notifyflow.core.insight.arrival_words import sentence
from notifyflow.core.intake.arrivals import Did, Why
from tests.facts import NOW, arrival


def said(**fields: object) -> str:
    return sentence(arrival(**fields), brief=lambda at: f"{at:%H:%M}")


def test_a_request_names_its_way_its_key_and_its_route() -> None:
    assert said() == "through Alertmanager with the key prometheus, by routes[0]: opened it"
    assert said(did=Did.RESOLVED, route="", integration=Via.PAGERDUTY) == (
        "through PagerDuty's API with the key prometheus: resolved it"
    )


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({"did": Did.MERGED, "times": 12}, f": merged; nobody was paged again (12 times, the last at {NOW:%H:%M})"),
        (
            {"did": Did.MERGED, "why": Why.ACKNOWLEDGED},
            ": merged; nobody was paged again, since it had been acknowledged",
        ),
        ({"did": Did.IGNORED, "why": Why.RESOLVED}, ": ignored, since it had been resolved"),
        ({"why": Why.PAUSED}, ": opened it, while sending was paused"),
        ({"why": Why.NO_ROUTE}, ": opened it, but there is no directory, so that no route led to a recipient"),
        ({"left_out": "ben and cy"}, ": opened it; without ben and cy, who cannot be paged"),
    ],
)
def test_it_says_why_it_paged_nobody(fields: dict[str, object], end: str) -> None:
    assert said(**fields).endswith(end)


@pytest.mark.parametrize("did", list(Did))
def test_everything_that_a_request_does_has_words(did: Did) -> None:
    assert said(did=did) != said(did=Did.OPENED) or did is Did.OPENED
