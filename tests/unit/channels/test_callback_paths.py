"""Which providers have a callback path, as they are configured, and what keeps a queue from being polled."""

import pytest

from notifyflow.channels.aws.sqs import FeedbackQueue, queue_faults
from notifyflow.channels.base import ProviderCapabilities
from notifyflow.channels.email import EmailChannel
from notifyflow.channels.push import PushChannel
from notifyflow.settings import Settings

SES = {"AWS_REGION": "eu-central-1", "SES_FROM": "pager@example.com", "SNS_IS_CONFIGURED": "true"}
SET = {"SES_CONFIGURATION_SET": "notifyflow"}
QUEUE = {"SQS_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/notifyflow"}
TOPICS = {"SNS_TOPICS": "arn:aws:sns:eu-central-1:123456789012:notifyflow"}


def settings(**values: str) -> Settings:
    return Settings.from_variables({f"NOTIFYFLOW_{name}": value for name, value in values.items()})


@pytest.mark.parametrize("callback_path", [QUEUE, TOPICS])
def test_receipts_of_ses_are_awaited_where_it_publishes_events_and_there_is_a_callback_path(
    callback_path: dict[str, str],
) -> None:
    (ses,) = EmailChannel.from_settings(settings(**SES, **SET, **callback_path)).providers
    assert ses.capabilities == ProviderCapabilities(has_receipts=True, doubts_resolved_within_s=15.0)


@pytest.mark.parametrize("more", [{}, SET, QUEUE, TOPICS])
def test_without_one_of_the_two_mail_over_ses_stays_sent(more: dict[str, str]) -> None:
    (ses,) = EmailChannel.from_settings(settings(**SES, **more)).providers
    assert ses.capabilities == ProviderCapabilities()


def test_of_push_no_receipt_is_awaited_since_only_failures_are_reported() -> None:
    (sns,) = PushChannel.from_settings(settings(**SES, **QUEUE)).providers
    assert sns.capabilities == ProviderCapabilities()


def test_a_queue_is_polled_over_https_in_a_region() -> None:
    assert queue_faults(settings()) == ()
    assert FeedbackQueue.from_settings(settings()) is None
    assert queue_faults(settings(**SES, **QUEUE)) == ()
    assert FeedbackQueue.from_settings(settings(**SES, **QUEUE)) is not None
    (region,) = queue_faults(settings(**QUEUE))
    assert region.where == "NOTIFYFLOW_AWS_REGION"
    (url,) = queue_faults(settings(**SES, SQS_QUEUE_URL="http://localhost:9324/queue"))
    assert url.where == "NOTIFYFLOW_SQS_QUEUE_URL"
    assert FeedbackQueue.from_settings(settings(**SES, SQS_QUEUE_URL="http://localhost:9324/queue")) is None
    assert queue_faults(settings(**SES, SQS_QUEUE_URL="http://localhost:9324/queue", TRUSTED_ENDPOINTS="localhost:9324")) == ()
