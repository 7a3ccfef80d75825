"""The capabilities of providers besides sending. A provider has one if it defines its methods.

Each call has the time of a send, and raises ``ProviderError`` when the provider does not respond or refuses.
"""

from typing import Protocol, runtime_checkable

from notifyflow.channels.base import Callback, CallbackResponse, Channel, Provider
from notifyflow.core.delivery.model import Receipt
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.messages.replies import HandledReply, Reply


@runtime_checkable
class ReadsCallbacks(Protocol):
    """A provider that reports results to our callback URL."""

    def read_callback(self, callback: Callback) -> CallbackResponse:
        """Verify a callback on its raw body, then read it.

        Raises:
            RejectedCallback: When it is not this provider's, or cannot be parsed.
        """


@runtime_checkable
class Responds(Protocol):
    """A provider that responds to a person's reply, or to the key that they pressed."""

    def respond(self, handled: HandledReply) -> CallbackResponse:
        """Return the response to a reply or to a pressed key, once it is committed."""


@runtime_checkable
class RespondsToKeys(Protocol):
    """A provider whose calls go on after a pressed key: they say the next title, or everything once more."""

    def respond_to_key(self, callback: Callback, handled: HandledReply) -> CallbackResponse:
        """Return the response to the key that a verified callback reports, once it is committed; ``respond`` is not called."""


@runtime_checkable
class ReadsReplies(Protocol):
    """A provider that passes on people's replies."""

    def read_reply(self, callback: Callback) -> Reply | None:
        """Verify the callback of a reply on its raw body, then read it.

        Returns:
            The reply; None if the callback is about something else.

        Raises:
            RejectedCallback: When it is not this provider's, or cannot be parsed.
        """


@runtime_checkable
class FetchesStatus(Protocol):
    """A provider that returns the status of a message by the provider's id of it."""

    def fetch_status(self, attempt_id: str, provider_ref: str) -> Receipt:
        """Fetch the status of a message that it accepted.

        Returns:
            A receipt with the event id of the matching callback.

        Raises:
            ProviderError: Also when it does not know the message.
        """


@runtime_checkable
class FindsSentMessages(Protocol):
    """A provider that can find the message of an attempt in doubt."""

    def find_sent_message(self, message: OutboundMessage) -> Receipt | None:
        """Find a message that may have been sent.

        Returns:
            A receipt with a result; None if the provider has no such message, so that it is sent again.
        """


@runtime_checkable
class LogsIn(Protocol):
    """A provider whose account can be tried without sending anything."""

    def try_login(self) -> str:
        """Connect and log in as before a send; nothing is sent.

        Returns:
            What it accepted, in words and without personal data; empty if there is nothing to log in to.

        Raises:
            ProviderError: When it refuses us, or could not be reached.
        """


@runtime_checkable
class Recalls(Protocol):
    """A provider that can stop a message on its way, such as a call that rings."""

    def recall(self, attempt_id: str, provider_ref: str) -> None:
        """Stop a message that it accepted."""


def shows_arrival(channel: Channel) -> bool:
    """Return whether pages on a channel are shown to have arrived, by receipts or by being accepted; a call is by a key only."""
    capabilities = channel.capabilities
    return capabilities.shows_without_receipt or (
        not capabilities.is_call and any(reports(each) for each in channel.providers[:1])
    )


def reports(provider: Provider) -> bool:
    """Return whether receipts for a provider's messages can come: it calls back, or can be polled."""
    return provider.capabilities.has_receipts or isinstance(provider, FetchesStatus)
