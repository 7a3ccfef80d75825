"""What one provider fails to, the next one carries, over the real clients."""

from datetime import timedelta

from notifyflow import Incident, NotifyFlow, Policy, Recipient, Settings
from notifyflow.core.delivery.policy import Retries, RetrySchedule, Tier
from notifyflow.sandbox.inbox import Text
from notifyflow.sandbox.system import Sandbox

TEXTS = Policy(
    name="texts",
    tiers=(Tier(name="primary", channels=("sms",)),),
    retries=Retries(normal=RetrySchedule(delays=(timedelta(milliseconds=10),) * 3, jitter=0)),
)


def test_a_text_that_twilio_fails_to_goes_over_sns_and_ends_as_sent(sandbox: Sandbox, sqlite_url: str) -> None:
    sandbox.script("sms: 503 once")
    over = {"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_SNS_SMS": "true", "NOTIFYFLOW_SNS_SMS_SENDER_ID": "pager"}
    with NotifyFlow(Settings.from_variables(sandbox.settings() | over)) as flow:
        flow.notify(Incident(key="db-1", title="orders db is down"), [Recipient(id="ada", phone="+15005550011")], policy=TEXTS)
        assert flow.wait("db-1", timeout_s=30)
        status = flow.status("db-1")
    (row,) = status.escalations[0].notifications
    assert [(each.provider, each.result) for each in row.attempts] == [("twilio", "temporary_failure"), ("sns", "accepted")]
    assert row.state == "SENT"
    refused, carried = sandbox.inbox.messages(channel="sms")
    assert (refused.provider, carried.provider, carried.to) == ("twilio", "sns", "+15005550011")
    assert isinstance(carried.content, Text)
    assert carried.content.sender == "pager"
    assert "orders db is down" in carried.content.text
