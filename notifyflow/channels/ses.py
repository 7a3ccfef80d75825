"""Mail over SES v2 (SES API v2 Reference, SendEmail): the message as it is written, with our attempt in a tag.

Its events (delivery, bounce, complaint) come over SNS or EventBridge, for which there is no way in: mail over SES stays SENT.
"""

from notifyflow.channels.aws import AwsClient
from notifyflow.channels.aws_codes import SES
from notifyflow.channels.base import Accepted, Capabilities, Letter, Provider
from notifyflow.channels.mail import MailWriter
from notifyflow.errors import UnknownOutcomeError
from notifyflow.settings import Settings

TAG = "notifyflow_attempt"
# SES Developer Guide, "Examples of event data": a Send event says that SES took the message, and bears its tags.
_SEND_EVENT_WITHIN_S = 15.0


class Ses(Provider):
    """Hands mail to SES."""

    name = "ses"

    def __init__(self, settings: Settings, writer: MailWriter) -> None:
        """Take the account, and who writes the mail."""
        self._client = AwsClient("sesv2", settings, SES)
        self._writer = writer
        self._set = {"ConfigurationSetName": settings.ses_configuration_set} if settings.ses_configuration_set else {}

    @property
    def capabilities(self) -> Capabilities:
        """It cannot be asked by our attempt (only by its own id); of a configuration set, the *Send* event tells our attempt."""
        return Capabilities(answers_doubts_within_s=_SEND_EVENT_WITHIN_S if self._set else 0.0)

    def send(self, letter: Letter) -> Accepted:
        """Hand one mail in; see ``Provider.send``."""
        answer = self._client.call(
            "send_email",
            FromEmailAddress=str(self._writer.sender),
            Destination={"ToAddresses": [letter.address]},
            Content={"Raw": {"Data": self._writer.write(letter)}},
            EmailTags=[{"Name": TAG, "Value": letter.attempt_id}],
            **self._set,
        )
        if not answer.get("MessageId"):
            raise UnknownOutcomeError("SES answered without an id of the message", code="garbage")
        return Accepted(provider_ref=str(answer["MessageId"]))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
