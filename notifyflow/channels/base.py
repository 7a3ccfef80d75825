"""The interfaces of channels and providers: a channel renders a message and hands it to a provider.

A channel knows no rows and no broker. It is built from the settings once per process and is used by many threads.
A third party's channel subclasses ``Channel`` and is registered under the entry point group ``notifyflow.channels``.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, Protocol

from notifyflow.channels.tables import Statuses, Table
from notifyflow.core.capabilities import NO_CAPABILITIES, ChannelCapabilities
from notifyflow.core.delivery.model import Evidence, Receipt
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import Fault
from notifyflow.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCapabilities:
    """The capabilities of a provider as it is configured.

    Attributes:
        has_receipts: Whether it sends receipts for the messages that it accepted: a callback path is configured.
        has_replies: Whether people's replies come in.
        doubts_resolved_within_s: How soon one of its events shows that it accepted an attempt in doubt; 0 without such events.
    """

    has_receipts: bool = False
    has_replies: bool = False
    doubts_resolved_within_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The provider accepted the message.

    Attributes:
        provider_ref: The provider's id of the message; empty if it gives none.
        evidence: The evidence in its response.
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
        attempt_id: Our attempt, if the path names it; otherwise empty.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    attempt_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackResponse:
    """The response to a provider's callback, sent after its receipts are committed.

    Attributes:
        receipts: The reports in the callback; may be empty.
        body: Replaced by that of ``respond`` if a receipt ``is_key_press``.
    """

    receipts: tuple[Receipt, ...]
    content_type: str = "text/plain; charset=utf-8"
    body: str = ""


class Closable(Protocol):
    """Connections to a service."""

    def close(self) -> None:
        """Close the connections."""


class Provider(ABC):
    """One configured account with a service that carries a channel's messages: SMTP, SES, Slack, Teams, SNS, Twilio.

    It has further capabilities if it defines their methods: ``ReadsCallbacks`` and its neighbours in ``notifyflow.plugin``.

    Attributes:
        name: Our name for it; unique in its channel.
        sender: Our number, from which it texts and at which replies come in; empty without one.
        is_bound_to_address: Whether its limits and refusals concern the address only (a webhook).
        has_server_per_address: Whether each address is a server of its own, so that a failure at one says nothing about others.
        clients: Its connections, which are closed with it.
        libraries: Modules that load slowly, and that it imports where it needs them: a process that sends, or that serves
            requests, imports them when it starts.
        setting_prefixes: The beginnings of its settings' names, without ``NOTIFYFLOW_``; while one is invalid, no login is tried.
    """

    name: str
    sender: str = ""
    is_bound_to_address: bool = False
    has_server_per_address: bool = False
    clients: Sequence[Closable] = ()
    libraries: Sequence[str] = ()
    setting_prefixes: Sequence[str] = ()

    @property
    def capabilities(self) -> ProviderCapabilities:
        """Its capabilities as it is configured; none by default."""
        return ProviderCapabilities()

    @abstractmethod
    def send(self, message: OutboundMessage) -> Accepted:
        """Render and hand over one message, within 3 s to connect and 10 s to answer.

        Raises:
            TemporaryProviderError: When the provider refuses it for now, or there was no connection.
            PermanentProviderError: When the provider will never carry this to this address.
            RefusedUsError: When the provider refuses us.
            UnknownOutcomeError: When the request left and no definite response came.
        """

    def import_libraries(self) -> None:
        """Import its libraries, before threads share it: two threads that import one at once may each find half of it."""
        for module in ("notifyflow.channels.http.pools", *self.libraries):
            with suppress(ImportError):  # its sends fail, and say so; those of the others do not
                import_module(module)

    def close(self) -> None:
        """Close the connections."""
        for client in self.clients:
            client.close()


class Channel(ABC):
    """One way to reach a person.

    Attributes:
        name: The name by which it is registered, and by which recipients and policies refer to it.
        capabilities: Its capabilities, as decisions use them.
        provider_names: The names of its providers that settings may mention, configured or not.
        codes: The tables of its providers' codes and reported statuses, each with its title in the reference.
        providers: The configured providers, the preferred one first; each can carry every message. Empty if none is configured.
        faults: Missing or wrong settings. A channel that is not configured has a fault that says so, and that
            ``is_unset``.
        is_loaded: False for the stand-in of a channel that could not be loaded.
    """

    name: ClassVar[str]
    capabilities: ClassVar[ChannelCapabilities] = NO_CAPABILITIES
    provider_names: ClassVar[Collection[str]] = ()
    codes: ClassVar[Sequence[tuple[str, Table | Statuses]]] = ()
    providers: Sequence[Provider] = ()
    faults: Sequence[Fault] = ()
    is_loaded: ClassVar[bool] = True

    def __init__(self, providers: Sequence[Provider] = (), faults: Sequence[Fault] = ()) -> None:
        """Set providers and faults; an empty argument keeps the class's value."""
        self.providers = tuple(providers) or self.providers
        self.faults = tuple(faults) or self.faults

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Settings) -> "Channel":
        """Build the channel. It does not raise: missing or wrong settings go into ``faults``."""

    @abstractmethod
    def check_address(self, address: str) -> str:
        """Validate and normalise an address.

        Raises:
            ValueError: When it is invalid; the text completes a sentence ("is not a mail address: …") and leaves out the address.
        """

    def warning(self, address: str) -> str:
        """Return a warning about an address that ``check_address`` accepts.

        Returns:
            A text like those that ``check_address`` raises; empty if nothing is unusual.
        """
        del address
        return ""

    def close(self) -> None:
        """Close the connections; a closed channel may be used again."""
        for provider in self.providers:
            provider.close()
