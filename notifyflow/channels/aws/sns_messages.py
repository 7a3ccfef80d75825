"""SNS messages over HTTP: the signature is verified before anything in them is used.

Sources: SNS Developer Guide, "Verifying the signatures of Amazon SNS messages", "HTTP/HTTPS subscription confirmation JSON
format"; SNS API Reference, ConfirmSubscription. Only signature version 2 (SHA-256) is accepted; a topic signs with version 1
until its attribute ``SignatureVersion`` is 2.

The only outgoing requests go to ``https://sns.REGION.amazonaws.com`` in the region of an allowed topic: to fetch its certificate
and to confirm a subscription, at URLs that are validated or built here.
"""

import base64
import binascii
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from notifyflow.channels.aws.codes import SNS
from notifyflow.channels.aws.events import read_event
from notifyflow.channels.http import Http, HttpResponse, read_object, refusal
from notifyflow.core.delivery.model import Receipt
from notifyflow.core.delivery.ports import Clock
from notifyflow.errors import RejectedCallback, TemporaryProviderError
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_NAME = "sns"
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")
_MOST_KEYS = 16
_TIMEOUT_S = 1.0
_FETCHED_EVERY = timedelta(minutes=1)
_ASKED_EVERY = timedelta(seconds=15)  # SNS repeats a message that was refused for now after 20 s
_MOST_CONFIRMED = 1_000
_NEVER = datetime.min.replace(tzinfo=UTC)


def _origin(topic: str) -> str:
    """Return the origin of the API in a topic's region."""
    _, partition, _, region, *_ = topic.split(":")
    return f"https://sns.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}"


class SnsReceiver:
    """Receives the messages of the allowed topics; any number of threads may use it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._fetched_at: dict[str, datetime] = {}
        self._keys: dict[str, RSAPublicKey] = {}
        self._confirmations: dict[str, datetime | None] = {}  # by token: when it was asked for last; None once that was answered
        self._lock = threading.Lock()
        self._confirming = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock) -> Self | None:
        """Return a receiver, or None if no topic is allowed."""
        if not settings.sns_topics:
            return None
        import cryptography.x509  # noqa: F401 - it loads slowly: where messages can come, and before the first one

        return cls(settings, clock)

    def read(self, body: bytes) -> tuple[Receipt, ...]:
        """Verify a message, then read it; a subscription is confirmed, once.

        Returns:
            The receipts in it.

        Raises:
            RejectedCallback: When SNS did not sign it for an allowed topic.
            ProviderError: When fetching the certificate or confirming fails for now.
        """
        fields = {name: value for name, value in read_object(body).items() if isinstance(value, str)}
        topic = fields.get("TopicArn", "")
        if topic not in self._settings.sns_topics:
            raise RejectedCallback(_NAME, "it is of no topic that is allowed")
        self._verify(topic, fields)
        match fields["Type"]:
            case "Notification":
                return read_event(fields["Message"])
            case "SubscriptionConfirmation":
                self._confirm(topic, fields["Token"])
        return ()  # after an UnsubscribeConfirmation, do not subscribe again

    def _confirm(self, topic: str, token: str) -> None:
        """Confirm a subscription, unless SNS has answered before: anybody who has read a genuine message can send it again."""
        if not self._confirming.acquire(timeout=_TIMEOUT_S):
            raise TemporaryProviderError("another subscription is just being confirmed", code="busy")
        try:
            now, asked_at = self._clock.now(), self._confirmations.get(token, _NEVER)
            if asked_at is None:
                return
            if asked_at <= now < asked_at + _ASKED_EVERY:
                raise TemporaryProviderError("the same subscription was just asked for", code="busy")
            if token not in self._confirmations and len(self._confirmations) >= _MOST_CONFIRMED:
                del self._confirmations[next(iter(self._confirmations))]
            self._confirmations[token] = now
            self._get(_origin(topic) + "/", {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": token})
            self._confirmations[token] = None
        except RejectedCallback:  # an answer, too: the token was used before, or is too old
            self._confirmations[token] = None
            raise
        finally:
            self._confirming.release()

    def _verify(self, topic: str, fields: Mapping[str, str]) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        signed = _SIGNED.get(fields.get("Type", ""), ())
        if fields.get("SignatureVersion") != "2" or any(name not in fields for name in signed if name != "Subject") or not signed:
            raise RejectedCallback(_NAME, "it is no message with a signature of version 2")
        text = "".join(f"{name}\n{fields[name]}\n" for name in signed if name in fields)
        try:
            signature = base64.b64decode(fields.get("Signature", ""), validate=True)
            self._key(topic, fields.get("SigningCertURL", "")).verify(signature, text.encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, binascii.Error, ValueError):
            raise RejectedCallback(_NAME, "its signature does not fit") from None

    def _key(self, topic: str, url: str) -> "RSAPublicKey":
        """Return the key of a certificate; a new certificate is fetched from the topic's own region.

        Anybody can name certificates, so one is fetched at a time, and one per region and minute. SNS repeats a message that was
        refused for now, and a known certificate is not fetched again.
        """
        origin = _origin(topic)
        path = url.removeprefix(origin)
        if path == url or not _CERTIFICATE.fullmatch(path):
            raise RejectedCallback(_NAME, "its certificate is not of SNS")
        if (key := self._keys.get(url)) is not None:
            return key
        if not self._lock.acquire(timeout=_TIMEOUT_S):
            raise TemporaryProviderError("another certificate is just being fetched", code="busy")
        try:
            if url not in self._keys:
                self._note_fetch(origin)
                key = _read_key(self._get(url))
                if len(self._keys) >= _MOST_KEYS:
                    del self._keys[next(iter(self._keys))]
                self._keys[url] = key
            return self._keys[url]
        finally:
            self._lock.release()

    def _note_fetch(self, origin: str) -> None:
        now, last = self._clock.now(), self._fetched_at.get(origin)
        if last is not None and last <= now < last + _FETCHED_EVERY:
            raise TemporaryProviderError("a certificate was asked for less than a minute ago", code="busy")
        self._fetched_at[origin] = now

    def _get(self, url: str, query: Mapping[str, str] | None = None) -> HttpResponse:
        http = Http(self._settings)  # not kept open: a process makes few such requests
        try:
            response = http.get(url, query=query)
        finally:
            http.close()
        if response.is_success:
            return response
        if response.status < 500 and response.status != 429:
            raise RejectedCallback(_NAME, f"{urlsplit(url).hostname} answered {response.status}")
        raise refusal(response.status, SNS, retry_after_s=response.retry_after_s)


def _read_key(response: HttpResponse) -> "RSAPublicKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_pem_x509_certificate

    try:
        key = load_pem_x509_certificate(response.body).public_key()
    except ValueError:
        key = None
    if not isinstance(key, RSAPublicKey):
        raise RejectedCallback(_NAME, "its certificate cannot be read")
    return key
