"""The queue to which SNS delivers events. It is polled, so that no event is lost while notifyflow is down.

SNS gives up on HTTP after a few tries; SQS keeps a message for days (SQS Developer Guide, "Amazon SQS short and long polling",
"Amazon SQS visibility timeout"). Its messages are trusted: the queue's own access policy says who may write to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from notifyflow.channels.aws.client import AwsClient
from notifyflow.channels.aws.codes import SQS
from notifyflow.channels.aws.events import read_event
from notifyflow.channels.http.guard import endpoint_faults
from notifyflow.core.delivery.model import Receipt
from notifyflow.errors import Fault
from notifyflow.settings import Settings

_MOST = 10  # messages a request; its longest wait is 20 s (SQS API Reference, ReceiveMessage)
_LONGEST_WAIT_S = 20
_MARGIN_S = 2


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message of the queue.

    Attributes:
        body: The raw body; personal data.
        handle: The receipt handle, for deleting the message.
    """

    body: str
    handle: str

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """The receipts in it."""
        return read_event(self.body)


class FeedbackQueue:
    """One SQS queue; a message that is not deleted is received again after its visibility timeout."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._client = AwsClient("sqs", settings, SQS)
        self._wait_s = max(0, min(_LONGEST_WAIT_S, int(settings.read_timeout_s) - _MARGIN_S))

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Return the configured queue, or None if there is none or it cannot be polled."""
        is_usable = settings.sqs_queue_url is not None and not queue_faults(settings)
        return cls(str(settings.sqs_queue_url), settings) if is_usable else None

    def receive(self) -> tuple[Parcel, ...]:
        """Receive messages, waiting a while for the first one.

        Raises:
            ProviderError: When the request fails.
        """
        response: Mapping[str, Any] = self._client.call(
            "receive_message", QueueUrl=self._url, MaxNumberOfMessages=_MOST, WaitTimeSeconds=self._wait_s
        )
        return tuple(Parcel(str(entry["Body"]), str(entry["ReceiptHandle"])) for entry in response.get("Messages", ()))

    def delete(self, parcel: Parcel) -> None:
        """Delete a message that was handled.

        Raises:
            ProviderError: When it may not be deleted; it then comes again.
        """
        self._client.call("delete_message", QueueUrl=self._url, ReceiptHandle=parcel.handle)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def queue_faults(settings: Settings) -> tuple[Fault, ...]:
    """Return why the configured queue cannot be polled."""
    if settings.sqs_queue_url is None:
        return ()
    if not settings.aws_region:
        return (Fault("NOTIFYFLOW_AWS_REGION", "is not set, and SQS needs one", "Give the region, such as eu-central-1"),)
    return endpoint_faults("SQS_QUEUE_URL", settings.sqs_queue_url, settings.trusted_endpoints)
