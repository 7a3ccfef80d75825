"""The people of the demo, and the faults of their providers: data."""

from datetime import timedelta

from notifyflow.core.delivery.model import Incident, Recipient, Severity
from notifyflow.core.delivery.policy import DEFAULT, Policy, Retries, RetrySchedule
from notifyflow.sandbox.system import Sandbox

INCIDENT = Incident(
    key="orders-db",
    title="Orders database does not answer",
    body="It has lost its primary. Orders are refused.",
    severity=Severity.CRITICAL,
    source="grafana",
    url="https://grafana.example.com/d/orders",
    labels={"team": "orders"},
)

_SOON = RetrySchedule(delays=(timedelta(milliseconds=400), timedelta(milliseconds=800)))
_CALLS = RetrySchedule(delays=(timedelta(seconds=1),) * 19)
POLICY = Policy(
    name="demo",
    tiers=DEFAULT.tiers,
    retries=Retries(normal=_SOON, critical=_SOON, by_channel={"voice": _CALLS}),
    is_suspicion_on=False,
)
"""The tiers and rules of ``default`` with short delays, and without suspicion, so that each step has one cause."""

SCRIPT = """
email to ben: 451
teams to ben: 503
slack to chloe: channel_not_found
teams to chloe: 404
sms to +15005550013: 21610
voice to +15005550013: nobody answers
email to dan: 550
teams to dan: 404
sms to +15005550014: 30006
voice to +15005550014: 21217
slack to eve: 429 retry after 60 s
"""

PICKS_UP = "voice to +15005550013: key 1"
"""What Chloe does once the others are finished."""


def people(sandbox: Sandbox) -> tuple[Recipient, ...]:
    """Return the five recipients; their addresses lead to the stand-ins."""
    return (
        Recipient(
            id="ada",
            name="Ada",
            email="ada@example.com",
            slack=sandbox.slack_url("ada"),
            teams=sandbox.teams_url("ada"),
            phone="+15005550011",
            timezone="Europe/Berlin",
        ),
        Recipient(id="ben", name="Ben", email="ben@example.com", teams=sandbox.teams_url("ben"), phone="+15005550012"),
        Recipient(
            id="chloe", name="Chloe", slack=sandbox.slack_url("chloe"), teams=sandbox.teams_url("chloe"), phone="+15005550013"
        ),
        Recipient(id="dan", name="Dan", email="dan@example.com", teams=sandbox.teams_url("dan"), phone="+15005550014"),
        Recipient(id="eve", name="Eve", slack=sandbox.slack_url("eve")),
    )
