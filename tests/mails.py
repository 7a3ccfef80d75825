"""Events of SES as the Developer Guide shows them, in both shapes."""

import json
from collections.abc import Mapping

MESSAGE_ID = "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000"
AT = "2026-11-25T03:00:05.000Z"
DETAILS: Mapping[str, Mapping[str, object]] = {
    "Send": {},
    "DeliveryDelay": {"delayType": "MailboxFull", "timestamp": AT, "delayedRecipients": [{"emailAddress": "ada@example.com"}]},
    "Delivery": {"timestamp": AT, "recipients": ["ada@example.com"], "smtpResponse": "250 ok"},
    "Bounce Permanent": {
        "bounceType": "Permanent",
        "bounceSubType": "NoEmail",
        "bouncedRecipients": [{"emailAddress": "ada@example.com", "action": "failed", "status": "5.1.1"}],
        "feedbackId": "feedback-p",
        "timestamp": AT,
    },
    "Bounce Transient": {
        "bounceType": "Transient",
        "bounceSubType": "MailboxFull",
        "bouncedRecipients": [{"emailAddress": "ada@example.com", "action": "failed", "status": "4.2.2"}],
        "feedbackId": "feedback-t",
        "timestamp": AT,
    },
    "Bounce Transient ContentRejected": {
        "bounceType": "Transient",
        "bounceSubType": "ContentRejected",
        "bouncedRecipients": [{"emailAddress": "ada@example.com", "action": "failed", "status": "5.7.1"}],
        "feedbackId": "feedback-content",
        "timestamp": AT,
    },
    "Bounce Transient MessageTooLarge": {
        "bounceType": "Transient",
        "bounceSubType": "MessageTooLarge",
        "bouncedRecipients": [{"emailAddress": "ada@example.com", "action": "failed", "status": "5.3.4"}],
        "feedbackId": "feedback-size",
        "timestamp": AT,
    },
    "Bounce Undetermined": {
        "bounceType": "Undetermined",
        "bounceSubType": "Undetermined",
        "bouncedRecipients": [{"emailAddress": "ada@example.com"}],
        "feedbackId": "feedback-u",
        "timestamp": AT,
    },
    "Bounce Automatic": {
        "bounceType": "Transient",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": "ada@example.com"}],
        "feedbackId": "feedback-a",
        "timestamp": AT,
    },
    "Complaint": {"complainedRecipients": [{"emailAddress": "ada@example.com"}], "feedbackId": "feedback-c", "timestamp": AT},
    "Complaint OnAccountSuppressionList": {
        "complaintSubType": "OnAccountSuppressionList",
        "feedbackId": "feedback-s",
        "timestamp": AT,
    },
    "Reject": {"reason": "Bad content"},
    "Rendering Failure": {"errorMessage": "Attribute 'name' is not present", "templateName": "t"},
    "Open": {"timestamp": AT, "userAgent": "Mozilla/5.0"},
    "Click": {"timestamp": AT, "link": "https://notify.example/a/token"},
    "Subscription": {"timestamp": AT, "source": "UnsubscribeHeader"},
}


def event(code: str, attempt_id: str, *, message_id: str = MESSAGE_ID) -> str:
    """Return an event as a configuration set publishes it, with the email's tags."""
    kind = kind_of(code)
    mail = {
        "messageId": message_id,
        "timestamp": AT,
        "tags": {"ses:source-ip": ["192.0.2.1"], "notifyflow_attempt": [attempt_id]},
    }
    return json.dumps({"eventType": kind, "mail": mail, _key(kind): DETAILS[code]})


def notification(code: str, *, message_id: str = MESSAGE_ID, headers: Mapping[str, str] | None = None) -> str:
    """Return an event as an identity's feedback notification, which has no tags."""
    kind = kind_of(code)
    mail: dict[str, object] = {"messageId": message_id, "timestamp": AT}
    if headers is not None:
        mail |= {"headersTruncated": False, "headers": [{"name": name, "value": value} for name, value in headers.items()]}
    return json.dumps({"notificationType": kind, "mail": mail, _key(kind): DETAILS[code]})


def kind_of(code: str) -> str:
    """Return our code for an event's kind."""
    return code if code == "Rendering Failure" else code.partition(" ")[0]


def _key(kind: str) -> str:
    return "failure" if kind == "Rendering Failure" else kind[0].lower() + kind[1:]
