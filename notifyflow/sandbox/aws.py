"""Amazon: SES v2 SendEmail (raw and simple), SNS Publish to a platform endpoint or a phone number, and STS GetCallerIdentity.

Sources: Amazon SES API v2 reference, "SendEmail"; Amazon SNS API reference, "Publish", "Common Errors"; AWS STS API
reference, "GetCallerIdentity"; botocore's service models for the protocols (SES v2: rest-json, SNS and STS: query) and the
status of each error.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from notifyflow.sandbox import mail
from notifyflow.sandbox.http import Form, HttpResponse, Request, as_json, read_object
from notifyflow.sandbox.inbox import Content, Mail, Message, Push, Text
from notifyflow.sandbox.script import Kind, Reaction, short_name
from notifyflow.sandbox.stand_in import Arrival, Providers, StandIn, new_reference

ACCESS_KEY_ID, SECRET_ACCESS_KEY = "AKIASANDBOX000000000", "sandbox-secret-access-key"
_REGION, _ACCOUNT = "eu-central-1", "000000000000"
_MAILS = "/v2/email/outbound-emails"
# All others are a 400; the exceptions of SES end in "Exception", those of SNS do not.
_STATUSES = {
    "AccessDeniedException": 403,
    "AuthorizationError": 403,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServiceErrorException": 500,
    "InvalidClientTokenId": 403,
    "InvalidSecurity": 403,
    "NotFound": 404,
    "NotFoundException": 404,
    "OptInRequired": 403,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "Throttled": 429,
    "TooManyRequestsException": 429,
    "UnrecognizedClientException": 403,
}
_CODES = {401: "InvalidClientTokenId", 403: "SignatureDoesNotMatch", 429: "Throttled", 503: "ServiceUnavailable"}
_IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{_ACCOUNT}:user/sandbox</Arn><UserId>AIDASANDBOX0000000000</UserId><Account>{_ACCOUNT}</Account>"
    "</GetCallerIdentityResult><ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)
_MOST_ATTRIBUTES = 10
_PLATFORMS = ("APNS", "APNS_SANDBOX", "GCM", "ADM", "default")


class AmazonStandIn(StandIn):
    """Accepts mails at SES, push messages and texts at SNS, and says at STS whose key it is."""

    name = "aws"
    channels = ("push",)
    providers: ClassVar[Providers] = {
        "email": {"ses": ("SES_FROM",)},
        "sms": {"sns": ("SNS_SMS",)},
        "push": {"sns": ("SNS_IS_CONFIGURED",)},
    }

    def settings(self, url: str) -> Mapping[str, str]:
        """Return the account, its region and its URL."""
        return {
            "AWS_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_ENDPOINT_URL": url,
            "SNS_IS_CONFIGURED": "true",
        }

    def spares(self) -> Mapping[str, str]:
        """Return the setting of texts over SNS; see ``StandIn.spares``."""
        return {"SNS_SMS": "true"}

    def addresses(self, url: str, person: int) -> Mapping[str, str]:
        """Return the endpoint of a phone; see ``StandIn.addresses``."""
        del url
        return {"push": endpoint_arn(f"person-{person}")}

    def read(self, request: Request) -> Arrival | HttpResponse:
        """Read a request to any of the services; check the key's id, but not the signature."""
        is_mail = request.path == _MAILS
        if f"Credential={ACCESS_KEY_ID}/" not in request.headers.get("authorization", ""):
            return _no(
                403, "UnrecognizedClientException" if is_mail else "InvalidClientTokenId", "The key is unknown.", is_mail=is_mail
            )
        if not is_mail and request.form().last("Action") == "GetCallerIdentity":
            return _xml(200, _IDENTITY)
        found = _read_mail(request) if is_mail else _read_publish(request)
        return found or _no(
            400, "BadRequestException" if is_mail else "InvalidParameter", "The request is not understood.", is_mail=is_mail
        )

    def accept(self, arrival: Arrival) -> HttpResponse:
        """Respond with the message's id."""
        reference = arrival.message.reference
        if arrival.message.channel == "email":
            return as_json(200, {"MessageId": reference})
        return _xml(
            200,
            f'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>{reference}</MessageId>'
            f"</PublishResult><ResponseMetadata><RequestId>{new_reference()}</RequestId></ResponseMetadata></PublishResponse>",
        )

    def refuse(self, arrival: Arrival, reaction: Reaction) -> HttpResponse:
        """Refuse with an exception of the service."""
        is_mail = arrival.message.channel == "email"
        if reaction.kind is Kind.STATUS:
            status = int(reaction.code)
            code = _CODES.get(status, "InternalFailure" if status >= 500 else "InvalidParameter")
        else:
            status, code = _STATUSES.get(reaction.code, 400), reaction.code
        return _no(status, code, "Refused by the script.", is_mail=is_mail)


def endpoint_arn(name: str) -> str:
    """Return the ARN of the endpoint of a person's phone."""
    return f"arn:aws:sns:{_REGION}:{_ACCOUNT}:endpoint/GCM/sandbox/{name}"


def _no(status: int, code: str, message: str, *, is_mail: bool) -> HttpResponse:
    if is_mail:
        return as_json(status, {"message": message}, **{"x-amzn-ErrorType": code})
    fault = "Sender" if status < 500 else "Receiver"
    error = f"<Error><Type>{fault}</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return _xml(status, f"<ErrorResponse>{error}<RequestId>{new_reference()}</RequestId></ErrorResponse>")


def _xml(status: int, body: str) -> HttpResponse:
    return HttpResponse(status=status, content_type="text/xml", body=body)


def _read_mail(request: Request) -> Arrival | None:
    body: Mapping[str, Any] = read_object(request.body) or {}
    match body:
        case {"FromEmailAddress": str(sender)} if not sender.isascii():
            return None  # a name in another script has to be encoded (SES API v2 Reference, SendEmail)
        case {"Destination": {"ToAddresses": [str(to)]}, "Content": dict(content)}:
            tags = {tag["Name"]: tag["Value"] for tag in body.get("EmailTags") or ()}
            read = _read_content(content, str(body.get("FromEmailAddress", "")))
        case _:
            return None
    if read is None:
        return None
    mail, from_header = read
    attempt_id = tags.get("notifyflow_attempt") or from_header
    message = Message(channel="email", provider="ses", to=to, attempt_id=attempt_id, reference=new_reference(), content=mail)
    return Arrival(message=message)


def _read_content(content: Mapping[str, Any], sender: str) -> tuple[Mail, str] | None:
    match content:
        case {"Raw": {"Data": str(data)}}:
            try:
                parsed = mail.parse(base64.b64decode(data, validate=True))
            except binascii.Error:
                return None
            return mail.read(parsed), mail.attempt_id(parsed)
        case {"Simple": {"Subject": {"Data": str(subject)}, "Body": dict(body)}}:
            text, html = (str(body.get(part, {}).get("Data", "")) for part in ("Text", "Html"))
            return Mail(sender=sender, subject=subject, text=text, html=html), ""
    return None


def _read_publish(request: Request) -> Arrival | None:
    form = request.form()
    number, text = form.last("PhoneNumber"), form.last("Message")
    to = form.last("TargetArn") or form.last("TopicArn") or number
    if form.last("Action") != "Publish" or not to or not text:
        return None
    content: Content = Push(title=form.last("Subject"), text=text)
    attempt_id = ""
    if number:
        content = Text(sender=_sender_id(form), text=text)
    elif form.last("MessageStructure") == "json":
        content, attempt_id = read_push(text)
    message = Message(
        channel="sms" if number else "push",
        provider="sns",
        to=short_name(to),
        attempt_id=attempt_id,
        reference=new_reference(),
        content=content,
    )
    return Arrival(message=message)


def _sender_id(form: Form) -> str:
    """Return the sender of a text from the attributes, which the query protocol numbers from 1."""
    entries = (f"MessageAttributes.entry.{number}." for number in range(1, _MOST_ATTRIBUTES + 1))
    shown = (form.last(f"{each}Value.StringValue") for each in entries if form.last(f"{each}Name") == "AWS.SNS.SMS.SenderID")
    return next(shown, "NOTICE")


def read_push(message: str) -> tuple[Push, str]:
    """Read a message of one text a platform as the phone shows it, and our attempt in its data.

    Source: Amazon SNS developer guide, "Publishing Amazon SNS notifications with platform-specific payloads".
    """
    platforms = read_object(message) or {}
    text = next((str(platforms[name]) for name in _PLATFORMS if name in platforms), "")
    payload: Mapping[str, Any] = read_object(text) or {}
    data: Mapping[str, Any] = {}
    match payload:
        case {"aps": {"alert": {"title": str(title), "body": str(body)}}}:
            data = payload
        case {"fcmV1Message": {"message": {"notification": {"title": str(title), "body": str(body)}}}}:
            data = payload["fcmV1Message"]["message"].get("data", {})
        case _:
            title, body = "", text
    urls = tuple(str(data[name]) for name in ("link", "url") if name in data)
    return Push(title=title, text=body, urls=urls), str(data.get("attempt", ""))
