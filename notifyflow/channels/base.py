"""What a channel is: it renders a message, hands it to a provider, and reads what the provider says back.

A channel knows no rows and no broker. It is built once a process from the settings and used by many threads.
A third party's channel subclasses ``Channel`` and is registered under the entry point group ``notifyflow.channels``.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from notifyflow.core.messages import OutboundMessage
from notifyflow.core.model import Evidence, Receipt
from notifyflow.core.replies import HandledReply, Reply
from notifyflow.core.traits import NO_TRAITS, Traits
from notifyflow.errors import Fault, RejectedCallback
from notifyflow.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a provider can do for us, as it is configured here.

    Attributes:
        has_receipts: Whether it reports later what became of an attempt, and a callback path is configured.
        can_find_sent_messages: Whether it can find the message of an attempt in doubt.
        can_fetch_status: Whether it reports the status of a message by its own id of it.
        doubts_resolved_within_s: How soon an event of its own says that it accepted an attempt; 0 where none comes.
        can_acknowledge: Whether the recipient can acknowledge by a reply on the channel itself.
        can_be_recalled: Whether what is on its way can be stopped: a call that rings.
    """

    has_receipts: bool = False
    can_find_sent_messages: bool = False
    can_fetch_status: bool = False
    doubts_resolved_within_s: float = 0.0
    can_acknowledge: bool = False
    can_be_recalled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The provider accepted the message.

    Attributes:
        provider_ref: Its id of the message; empty where it gives none.
        evidence: What its response proves.
    """

    provider_ref: str = ""
    evidence: Evidence = Evidence.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A provider's request, exactly as it came in.

    Attributes:
        path: Path and query below our public URL, beginning with ``/``.
        headers: Names in lower case.
        body: The raw bytes.
        attempt_id: Our attempt, as the path names it; empty where it names none.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    attempt_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackResponse:
    """The response to a provider's callback, sent after its receipts are committed.

    Attributes:
        receipts: What the callback reported; may be empty.
        content_type: The response's.
        body: The response's; where a receipt ``is_key_press``, ``Provider.respond`` makes another.
    """

    receipts: tuple[Receipt, ...]
    content_type: str = "text/plain; charset=utf-8"
    body: str = ""


class Provider(ABC):
    """Who carries a channel's messages: one configured account at SMTP, SES, Slack, Teams, SNS, Twilio.

    Attributes:
        name: Ours for it; one of its channel's.
        sender: The number of ours that it texts from, at which replies come in; empty where there is none.
        is_bound_to_address: Whether its limits and refusals are about the address (a webhook), and tell nothing about others.
        has_server_per_address: Whether each address is a server of its own, and no failure at one tells anything about others.
    """

    name: str
    sender: str = ""
    is_bound_to_address: bool = False
    has_server_per_address: bool = False

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do as it is configured."""

    @abstractmethod
    def send(self, message: OutboundMessage) -> Accepted:
        """Render and hand over one message, within 3 s to connect and 10 s to answer.

        Raises:
            TemporaryProviderError: When it says no for now, or there was no connection.
            PermanentProviderError: When it will never carry this to this address.
            RefusedUsError: When it refuses us.
            UnknownOutcomeError: When the request left and no definite response came.
        """

    def find_sent_message(self, message: OutboundMessage) -> Receipt | None:
        """Find the message of an attempt in doubt, within the time of a send; only where ``can_find_sent_messages``.

        Args:
            message: The message that may have been sent.

        Returns:
            A receipt with a result; None if the provider has no such message, so that it is sent again.

        Raises:
            ProviderError: When it does not answer, or refuses to.
        """
        raise NotImplementedError(f"{self.name} cannot find sent messages (attempt {message.attempt_id})")

    def fetch_status(self, attempt_id: str, provider_ref: str) -> Receipt:
        """Fetch the status of a message that it accepted, within the time of a send; only where ``can_fetch_status``.

        Returns:
            A receipt with the event id of the matching callback.

        Raises:
            ProviderError: When it does not answer, or does not know it.
        """
        raise NotImplementedError(f"{self.name} cannot fetch the status of {provider_ref} (attempt {attempt_id})")

    def read_callback(self, callback: Callback) -> CallbackResponse:
        """Verify a callback on its raw body, then read it.

        Raises:
            RejectedCallback: When it is not this provider's, or cannot be parsed.
        """
        raise RejectedCallback(self.name, f"{self.name} calls nobody back (attempt {callback.attempt_id})")

    def read_reply(self, callback: Callback) -> Reply | None:
        """Verify the callback of a reply on its raw body, then read it.

        Returns:
            The reply; None where the callback is about something else.

        Raises:
            RejectedCallback: When it is not this provider's, or cannot be parsed.
        """
        raise RejectedCallback(self.name, f"{self.name} passes on no replies ({callback.path})")

    def respond(self, handled: HandledReply) -> CallbackResponse:
        """Return the response to a reply or to a pressed key, once it is committed."""
        del handled
        return CallbackResponse(receipts=())

    def recall(self, attempt_id: str, provider_ref: str) -> None:
        """Stop what is on its way, within the time of a send; only where ``can_be_recalled``.

        Raises:
            ProviderError: When it does not answer, or refuses to.
        """
        raise NotImplementedError(f"{self.name} cannot recall {provider_ref} (attempt {attempt_id})")

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of connections."""


class Channel(ABC):
    """One way to reach a person.

    Attributes:
        name: As recipients and policies call it, and as it is registered.
        traits: What the rest of the system has to know about it.
        provider_names: The names that its providers may have, configured or not; settings may name them.
        providers: Those that are configured, the preferred one first; each can carry every message; empty where none is.
        faults: What is missing or wrong in the settings; a channel that nobody configured has one that says so.
        is_loaded: False where it stands for a channel that could not be loaded.
    """

    name: ClassVar[str]
    traits: ClassVar[Traits] = NO_TRAITS
    provider_names: ClassVar[Collection[str]] = ()
    providers: Sequence[Provider] = ()
    faults: Sequence[Fault] = ()
    is_loaded: ClassVar[bool] = True

    def __init__(self, providers: Sequence[Provider] = (), faults: Sequence[Fault] = ()) -> None:
        """Take what was built, and what was found wrong; what is left out is as the class has it."""
        self.providers = tuple(providers) or self.providers
        self.faults = tuple(faults) or self.faults

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Settings) -> "Channel":
        """Build it; what is missing or wrong stands in ``faults``, it does not raise."""

    @abstractmethod
    def check_address(self, address: str) -> str:
        """Validate and normalise an address.

        Raises:
            ValueError: With what is wrong as a sentence ("is not a mail address: …"), without the address itself.
        """

    def warning(self, address: str) -> str:
        """Say what is odd about an address that ``check_address`` takes all the same.

        Returns:
            A sentence as ``check_address`` raises it; empty where nothing is odd.
        """
        del address
        return ""

    def close(self) -> None:
        """Let go of connections; a closed channel may be used again."""
        for provider in self.providers:
            provider.close()
