"""Reads the events of SES and SNS about a mail or a push message. The caller has verified where an event comes from.

SES has two formats: event publishing by a configuration set has ``eventType`` and the mail's tags (SES Developer Guide,
"Contents of event data that Amazon SES publishes to Amazon SNS"); an identity's feedback notifications have ``notificationType``
and no tags ("Amazon SNS notification contents for Amazon SES"). For push messages, SNS reports only permanent failures
(SNS Developer Guide, "Mobile app events").
"""

import re
from collections.abc import Mapping
from typing import Any

from notifyflow.channels.http import read_object
from notifyflow.channels.tables import Status
from notifyflow.core.delivery.model import Evidence, Receipt, Result
from notifyflow.log import get_logger

_log = get_logger(__name__)

TAG = "notifyflow_attempt"
HEADER = "X-Notifyflow-Attempt"

_SES = "SES Developer Guide, Contents of event data"
_BOUNCE = "SES Developer Guide, Bounce types"
_SNS = "SNS Developer Guide, Mobile app events"
_TEMPORARY, _PERMANENT = Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE
_AUTOMATIC = "Bounce Automatic"
_OURS = re.compile("[0-9a-f]{32}")
_LONGEST_ID = 255  # AWS's ids have 36 to 60 characters

MAIL_EVENTS: Mapping[str, Status] = {
    "Send": Status(Result.ACCEPTED, Evidence.ACCEPTED, "SES has it, and tries to deliver it", _SES),
    "DeliveryDelay": Status(Result.ACCEPTED, Evidence.ACCEPTED, "the recipient's server put it off, and SES tries on", _SES),
    "Delivery": Status(Result.DELIVERED, Evidence.CARRIER, "the recipient's server has it", _SES),
    "Bounce Permanent": Status(_PERMANENT, Evidence.CARRIER, "the address does not exist, or is suppressed", _BOUNCE),
    "Bounce Transient": Status(_TEMPORARY, Evidence.CARRIER, "the recipient's server gave it back for now", _BOUNCE),
    "Bounce Transient ContentRejected": Status(
        _TEMPORARY,
        Evidence.CARRIER,
        "the recipient's server refused what the mail says",
        _BOUNCE,
        is_our_fault=True,
        is_about_content=True,
    ),
    "Bounce Transient MessageTooLarge": Status(
        _TEMPORARY,
        Evidence.CARRIER,
        "the mail is too large for the recipient's server",
        _BOUNCE,
        is_our_fault=True,
        is_about_content=True,
    ),
    "Bounce Undetermined": Status(_TEMPORARY, Evidence.CARRIER, "it came back, and why cannot be told", _BOUNCE),
    _AUTOMATIC: Status(None, Evidence.CARRIER, "something answered by itself, as those who are out of office do", _BOUNCE),
    "Complaint": Status(None, Evidence.CARRIER, "the recipient called it spam", _SES),
    "Complaint OnAccountSuppressionList": Status(_PERMANENT, Evidence.ACCEPTED, "our account suppresses the address", _SES),
    "Reject": Status(
        _TEMPORARY,
        Evidence.ACCEPTED,
        "SES found a virus in it, and did not send it",
        _SES,
        is_our_fault=True,
        is_about_content=True,
    ),
    "Rendering Failure": Status(
        _TEMPORARY,
        Evidence.ACCEPTED,
        "SES could not render it, and did not send it",
        _SES,
        is_our_fault=True,
        is_about_content=True,
    ),
    "Open": Status(None, Evidence.CARRIER, "it was opened, perhaps by a scanner", _SES),
    "Click": Status(None, Evidence.CARRIER, "a link was opened, perhaps by a scanner", _SES),
    "Subscription": Status(None, Evidence.CARRIER, "a subscription was changed", _SES),
}

PUSH_FAILURES: Mapping[str, Status] = {
    "DeliveryFailedPerm": Status(_PERMANENT, Evidence.CARRIER, "the push service refused it for good", _SNS),
    "EndpointDisabled": Status(_PERMANENT, Evidence.ACCEPTED, "the device's endpoint is disabled", _SNS),
    "InvalidPlatformToken": Status(_PERMANENT, Evidence.CARRIER, "the app is gone, or its token has changed", _SNS),
    "NotificationTTLExpired": Status(_TEMPORARY, Evidence.CARRIER, "its time was over before it could be pushed", _SNS),
}
_PUSH_FAILED = Status(_PERMANENT, Evidence.CARRIER, "it failed for good", _SNS)


def read_event(text: str) -> tuple[Receipt, ...]:
    """Read one event, with or without the envelope of an SNS notification.

    Returns:
        Its receipt; nothing if the event is about no message or is unknown.
    """
    event = read_object(text)
    if event.get("Type") == "Notification" and isinstance(event.get("Message"), str):
        event = read_object(event["Message"])
    receipt = _read_mail(event) or _read_push(event)
    if receipt is None:
        _log.info("channels.event_passed_over")
        return ()
    return (receipt,)


def _read_mail(event: Mapping[str, Any]) -> Receipt | None:
    """Read an event of SES; its id is made from its content, since SNS assigns a new id on each route."""
    kind, mail = _text(event, "eventType") or _text(event, "notificationType"), _object(event, "mail")
    details = _object(event, kind[:1].lower() + kind[1:])
    code = _code(kind, details)
    status = MAIL_EVENTS.get(code)
    message_id = _id(mail, "messageId")
    if status is None or not message_id:
        return None
    mark = _id(details, "feedbackId") or _id(details, "timestamp")
    return Receipt(
        provider="ses",
        event_id=f"{message_id}:{kind}:{mark}",
        result=status.result,
        attempt_id=_attempt(mail),
        provider_ref=message_id,
        evidence=status.evidence,
        code=code,
        reason=status.meaning,
        is_our_fault=status.is_our_fault,
        is_about_content=status.is_about_content,
    )


def _code(kind: str, details: Mapping[str, Any]) -> str:
    """Return an event's key in ``MAIL_EVENTS``: its kind, with the subtype if the table has it."""
    if kind == "Bounce" and _is_automatic(details):
        return _AUTOMATIC
    if kind == "Bounce":
        kind, subtype = f"Bounce {_text(details, 'bounceType')}", _text(details, "bounceSubType")
    else:
        subtype = _text(details, "complaintSubType")
    return f"{kind} {subtype}" if f"{kind} {subtype}" in MAIL_EVENTS else kind


def _is_automatic(bounce: Mapping[str, Any]) -> bool:
    """Return whether a bounce is an automatic reply: a general, transient one without a delivery status."""
    is_general = (_text(bounce, "bounceType"), _text(bounce, "bounceSubType")) == ("Transient", "General")
    recipients = bounce.get("bouncedRecipients")
    statuses = [status for status in recipients if isinstance(status, dict)] if isinstance(recipients, list) else []
    return (
        is_general and bool(statuses) and not any({"action", "status", "diagnosticCode"} & status.keys() for status in statuses)
    )


def _attempt(mail: Mapping[str, Any]) -> str | None:
    """Return our attempt's id from the tags, or from the headers if SES includes them; ids that are not ours are ignored."""
    tagged, headers = _object(mail, "tags").get(TAG), mail.get("headers")
    ids = list(tagged[:1]) if isinstance(tagged, list) else []
    for header in headers if isinstance(headers, list) else ():
        if isinstance(header, dict) and header.get("name") == HEADER:
            ids.append(header.get("value"))
    return next((value for value in ids if isinstance(value, str) and _OURS.fullmatch(value)), None)


def _read_push(event: Mapping[str, Any]) -> Receipt | None:
    message_id, failure = _id(event, "MessageId"), _text(event, "FailureType")
    if _text(event, "EventType") != "DeliveryFailure" or not message_id:
        return None
    status = PUSH_FAILURES.get(failure, _PUSH_FAILED)
    return Receipt(
        provider="sns",
        event_id=f"{message_id}:DeliveryFailure",
        result=status.result,
        provider_ref=message_id,
        evidence=status.evidence,
        code=failure if failure in PUSH_FAILURES else "DeliveryFailure",
        reason=status.meaning,
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _id(fields: Mapping[str, Any], name: str) -> str:
    """Return an id, or an empty text if it is longer than AWS's ids: it would break the index."""
    value = _text(fields, name)
    return value if len(value) <= _LONGEST_ID else ""


def _object(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
