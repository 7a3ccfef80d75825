"""Mail over SES v2 (SES API v2 Reference, SendEmail): the message as it is written, with our attempt in a tag.

SES puts a ``Message-ID`` and a ``Date`` of its own in the place of ours (SES Developer Guide, "Amazon SES header fields").
It keeps ``References`` and ``In-Reply-To``, which make the thread.
Its events (delivery, bounce, complaint) come over SNS, to our endpoint or into our queue; without either, its mail stays SENT.
"""

from notifyflow.channels.aws.client import AwsProvider
from notifyflow.channels.aws.codes import SES
from notifyflow.channels.aws.events import TAG
from notifyflow.channels.base import Accepted, ProviderCapabilities
from notifyflow.channels.mail import MailWriter, encoded
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.settings import Settings

# SES Developer Guide, "Examples of event data": a Send event says that SES accepted the message, and bears its tags.
_SEND_EVENT_WITHIN_S = 15.0


class Ses(AwsProvider):
    """Hands mail to SES."""

    name = "ses"
    setting_prefixes = ("AWS_", "SES_")

    def __init__(self, settings: Settings, writer: MailWriter) -> None:
        super().__init__("sesv2", settings, SES)
        self._writer = writer
        self._has_callback_path = bool(settings.sns_topics) or settings.sqs_queue_url is not None
        self._set = {"ConfigurationSetName": settings.ses_configuration_set} if settings.ses_configuration_set else {}

    @property
    def capabilities(self) -> ProviderCapabilities:
        """Receipts are expected if a configuration set publishes events and a callback path is set; *Send* resolves doubts.

        Mail cannot be looked up by our attempt, only by SES's own id.
        """
        has_receipts = bool(self._set) and self._has_callback_path
        return ProviderCapabilities(
            has_receipts=has_receipts, doubts_resolved_within_s=_SEND_EVENT_WITHIN_S if has_receipts else 0.0
        )

    def send(self, message: OutboundMessage) -> Accepted:
        """Hand one mail in; see ``Provider.send``."""
        return self._client.submit(
            "send_email",
            FromEmailAddress=encoded(self._writer.sender),
            Destination={"ToAddresses": [message.address]},
            Content={"Raw": {"Data": self._writer.write(message)}},
            EmailTags=[{"Name": TAG, "Value": message.attempt_id}],
            **self._set,
        )
