"""What texts and calls over Twilio share: the account, the way back, and whose signature a callback carries."""

import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from notifyflow.channels.base import Callback, Capabilities, Provider
from notifyflow.channels.guard import endpoint_faults
from notifyflow.channels.http import Http
from notifyflow.channels.tables import Verdict
from notifyflow.channels.templating import Templates
from notifyflow.channels.twilio_codes import TWILIO, Status
from notifyflow.core.model import Receipt, Word
from notifyflow.errors import Fault, RejectedCallback
from notifyflow.settings import Settings

# Retry a callback up to five times, whatever went wrong; the default is once, and on connection failures only (Twilio docs,
# "Webhooks (HTTP callbacks): Connection Overrides"). The fragment is no part of the request, nor of what is signed.
_INSIST = "#rc=5&rp=all"


class TwilioProvider(Provider):
    """One Twilio account, for one channel."""

    name = "twilio"

    def __init__(self, settings: Settings, templates: Templates, sender: str) -> None:
        """Take the account, and whom it sends as."""
        self._settings = settings
        self._templates = templates
        self._sender = sender
        self._public_url = settings.public_url.rstrip("/") if settings.public_url else None
        self._http = Http(settings)
        self._lock = threading.Lock()
        self._client: Any = None

    @property
    def capabilities(self) -> Capabilities:
        """It has receipts where there is a public URL for them to come to."""
        return Capabilities(has_receipts=self._public_url is not None)

    @property
    @abstractmethod
    def _path(self) -> str:
        """The path of its callbacks below the public URL."""

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _connected(self) -> Any:
        from notifyflow.channels.twilio_client import connect

        with self._lock:
            if self._client is None:
                self._client = connect(self._settings, self._http)
            return self._client

    def _way_back(self, attempt_id: str, more: str = "") -> str | None:
        """The URL of an attempt's callbacks; None without a public URL."""
        return f"{self._public_url}{self._path}/{attempt_id}{more}{_INSIST}" if self._public_url else None

    def _verify(self, callback: Callback) -> Mapping[str, str]:
        """Check the signature over the URL as we gave it, and the form; then read the form.

        Raises:
            RejectedCallback: When none of our tokens made the signature.
        """
        from twilio.request_validator import RequestValidator

        if self._public_url is None:
            raise RejectedCallback(self.name, "no public URL is configured, so none was given to it")
        try:
            form = dict(parse_qsl(callback.body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=200))
        except ValueError:
            raise RejectedCallback(self.name, "its body is not a form") from None
        signature = callback.headers.get("x-twilio-signature", "")
        url = self._public_url + callback.path
        for token in self._settings.twilio_auth_token:
            if RequestValidator(token.get_secret_value()).validate(url, form, signature):
                return form
        raise RejectedCallback(self.name, "its signature was not made with a token of ours")

    def _receipt(self, attempt_id: str, sid: str, status: str, known: Mapping[str, Status], code: str = "") -> Receipt:
        """Read one status; one that nobody knows is only noted."""
        found = known.get(status)
        if found is None:
            word, evidence, reason = None, None, "a status that is not in our table"
        else:
            word, evidence, reason = found.word or _word(code), found.evidence, found.meaning
        if row := TWILIO.get(code):
            reason = row.meaning
        return Receipt(
            provider=self.name,
            event_id=f"{sid}:{status}",
            word=word,
            attempt_id=attempt_id,
            provider_ref=sid,
            evidence=evidence,
            code=code if row else status,
            reason=reason,
        )


def _word(code: str) -> Word:
    row = TWILIO.get(code)
    return Word.PERMANENT if row and row.verdict is Verdict.PERMANENT else Word.TEMPORARY


def account_faults(settings: Settings, sender_setting: str, sender: str | None) -> Sequence[Fault]:
    """Find what is missing or wrong in the settings of a Twilio account.

    Args:
        settings: The settings.
        sender_setting: The setting of the sender, without its prefix.
        sender: Its value.
    """
    if not (settings.twilio_account_sid or settings.twilio_auth_token or sender):
        return (
            Fault("NOTIFYFLOW_TWILIO_ACCOUNT_SID", "is not set", f"Set it, TWILIO_AUTH_TOKEN and {sender_setting} to use Twilio"),
        )
    return tuple(_account_faults(settings, sender_setting, sender))


def _account_faults(settings: Settings, sender_setting: str, sender: str | None) -> Iterator[Fault]:
    if not (settings.twilio_account_sid or "").startswith("AC"):
        yield Fault("NOTIFYFLOW_TWILIO_ACCOUNT_SID", "is not an account SID", "Give the one that begins with AC")
    if not settings.twilio_auth_token:
        yield Fault("NOTIFYFLOW_TWILIO_AUTH_TOKEN", "is not set", "Give the account's auth token")
    if not sender:
        yield Fault(f"NOTIFYFLOW_{sender_setting}", "is not set", "Give a number of the account")
    yield from endpoint_faults("TWILIO_BASE_URL", settings.twilio_base_url, settings.trusted_endpoints)
