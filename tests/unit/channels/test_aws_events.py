"""What SES and SNS say later: every event that is documented, in both shapes, and whatever else there may be."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.channels.aws.events import HEADER, MAIL_EVENTS, PUSH_FAILURES, read_event
from notifyflow.core.delivery.model import Evidence, Result
from tests import mails
from tests.mails import DETAILS, MESSAGE_ID

ATTEMPT = "0195e1f0a0b07c3e8f0a1b2c3d4e5f60"
NAMES = [
    *("Type", "Message", "eventType", "notificationType", "mail", "messageId", "tags", "notifyflow_attempt", "headers", "name"),
    *("value", "bounce", "bounceType", "bounceSubType", "bouncedRecipients", "delivery", "timestamp"),
    *("EventType", "MessageId", "FailureType"),
]
WORDS = ["Bounce", "Transient", "General", "Delivery", "DeliveryFailure", "Notification", HEADER]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize("code", MAIL_EVENTS)
def test_every_event_of_ses_says_what_its_table_says_and_whose_it_is(code: str) -> None:
    (receipt,) = read_event(mails.event(code, ATTEMPT))
    about = MAIL_EVENTS[code]
    assert (receipt.provider, receipt.attempt_id, receipt.provider_ref) == ("ses", ATTEMPT, MESSAGE_ID)
    assert (receipt.code, receipt.result, receipt.evidence, receipt.reason) == (code, about.result, about.evidence, about.meaning)


def test_every_event_has_an_id_of_its_own_and_the_same_one_when_it_comes_again() -> None:
    first, second = ([read_event(mails.event(code, ATTEMPT))[0].event_id for code in DETAILS] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(DETAILS)


@pytest.mark.parametrize("code", ["Delivery", "Bounce Permanent", "Bounce Transient", "Bounce Automatic", "Complaint"])
def test_the_older_shape_says_the_same_and_is_known_by_the_id_of_ses_or_by_our_header(code: str) -> None:
    (published,) = read_event(mails.event(code, ATTEMPT))
    (bare,) = read_event(mails.notification(code))
    (headed,) = read_event(mails.notification(code, headers={"To": "ada@example.com", HEADER: ATTEMPT}))
    assert (bare.result, bare.event_id, bare.attempt_id, bare.provider_ref) == (
        published.result,
        published.event_id,
        None,
        MESSAGE_ID,
    )
    assert headed == published


def test_a_transient_bounce_is_weaker_than_a_delivery_and_an_automatic_reply_is_no_result() -> None:
    assert Result.TEMPORARY_FAILURE.strength < Result.DELIVERED.strength
    assert [MAIL_EVENTS[code].result for code in ("Bounce Transient", "Bounce Automatic", "Complaint")] == [
        Result.TEMPORARY_FAILURE,
        None,
        None,
    ]


@pytest.mark.parametrize("tag", ["", "somebody-elses", "\ud800", "\0", "f" * 33, "F" * 32])
def test_a_tag_that_is_none_of_our_ids_names_no_attempt(tag: str) -> None:
    (receipt,) = read_event(mails.event("Delivery", tag))
    assert (receipt.attempt_id, receipt.provider_ref) == (None, MESSAGE_ID)


def test_no_event_of_mail_proves_a_human() -> None:
    assert Evidence.HUMAN not in {about.evidence for about in MAIL_EVENTS.values()}


@pytest.mark.parametrize("failure", [*PUSH_FAILURES, "SomethingNew"])
def test_a_push_that_failed_is_known_by_the_id_of_sns(failure: str) -> None:
    event = {"EventType": "DeliveryFailure", "FailureType": failure, "MessageId": "m-1", "EndpointArn": "arn", "Service": "SNS"}
    (receipt,) = read_event(json.dumps(event))
    assert (receipt.provider, receipt.attempt_id, receipt.provider_ref) == ("sns", None, "m-1")
    assert receipt.result is (PUSH_FAILURES[failure].result if failure in PUSH_FAILURES else Result.PERMANENT_FAILURE)


@pytest.mark.parametrize(
    "code", ["Reject", "Rendering Failure", "Bounce Transient ContentRejected", "Bounce Transient MessageTooLarge"]
)
def test_an_event_of_ses_that_blames_our_mail_is_a_fault_of_ours(code: str) -> None:
    (receipt,) = read_event(mails.event(code, ATTEMPT))
    assert (receipt.result, receipt.is_our_fault, receipt.is_general) == (Result.TEMPORARY_FAILURE, True, False)
    assert receipt.is_about_content, "another mail might arrive"


@pytest.mark.parametrize("code", ["Delivery", "Bounce Transient", "Bounce Permanent", "Complaint OnAccountSuppressionList"])
def test_what_is_about_the_recipient_is_no_fault_of_ours(code: str) -> None:
    (receipt,) = read_event(mails.event(code, ATTEMPT))
    assert not receipt.is_our_fault
    assert not receipt.is_about_content


def test_an_envelope_is_opened_once() -> None:
    inner = mails.event("Delivery", ATTEMPT)
    envelope = json.dumps({"Type": "Notification", "Message": inner})
    assert read_event(envelope) == read_event(inner)
    assert read_event(json.dumps({"Type": "Notification", "Message": envelope})) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        '{"notificationType":"AmazonSnsSubscriptionSucceeded","message":"You have successfully subscribed"}',
        '{"EventType":"EndpointDeleted","EndpointArn":"arn","MessageId":"m"}',
        mails.event("Delivery", ATTEMPT, message_id=""),
        mails.event("Delivery", ATTEMPT, message_id="m" * 256),
        json.dumps({"EventType": "DeliveryFailure", "MessageId": "m" * 256}),
        "[" * 100_000,
        "",
    ],
)
def test_what_is_about_no_message_is_passed_over(text: str) -> None:
    assert read_event(text) == ()


@given(JSON)
def test_whatever_comes_is_read_or_passed_over(value: object) -> None:
    for receipt in read_event(json.dumps(value)):
        assert receipt.provider in ("ses", "sns")
        assert receipt.provider_ref
