"""The common part of texts and calls over Twilio: the account, the callback path, and the signature of callbacks."""

import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from notifyflow.channels.base import Callback, Provider, ProviderCapabilities
from notifyflow.channels.http import Http
from notifyflow.channels.http.guard import endpoint_faults
from notifyflow.channels.tables import Status, Verdict
from notifyflow.channels.templating import Templates
from notifyflow.channels.twilio.codes import TWILIO
from notifyflow.core.delivery.model import Receipt, Result
from notifyflow.errors import Fault, RefusedUsError, RejectedCallback
from notifyflow.settings import Settings

# Retry a callback up to five times, after any failure; the default is once, and on connection failures only (Twilio docs,
# "Webhooks (HTTP callbacks): Connection Overrides"). The fragment is not sent.
_INSIST = "#rc=5&rp=all"
_FAILURES = (Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE)
_UNKNOWN_STATUS = Status(None, None, "a status that is not in our table", "")


class TwilioProvider(Provider):
    """One Twilio account, for one channel."""

    libraries = ("notifyflow.channels.twilio.client", "twilio.rest.api", "twilio.request_validator")
    setting_prefixes = ("TWILIO_",)

    def __init__(self, settings: Settings, templates: Templates, sender: str, *, name: str = "twilio") -> None:
        self.name = name
        self._settings = settings
        self._templates = templates
        self.sender = sender
        self._public_url = settings.public_url.rstrip("/") if settings.public_url else None
        self._http = Http(settings)
        self.clients = (self._http,)
        self._lock = threading.Lock()
        self._client: Any = None

    @property
    def capabilities(self) -> ProviderCapabilities:
        """Receipts come in if a public URL is configured."""
        return ProviderCapabilities(has_receipts=self._public_url is not None)

    @property
    @abstractmethod
    def _channel(self) -> str:
        """The channel's name in callback paths."""

    def try_login(self) -> str:
        """Fetch the account (Twilio docs, "REST API: Accounts"); see ``LogsIn``."""
        status = self._connected().api.v2010.accounts(self._settings.twilio_account_sid).fetch().status
        if status != "active":
            raise RefusedUsError("the account is not active", code=str(status))
        return "the account is active"

    def _connected(self) -> Any:
        from notifyflow.channels.twilio.client import connect

        with self._lock:
            if self._client is None:
                self._client = connect(self._settings, self._http)
            return self._client

    def _callback_url(self, attempt_id: str, more: str = "") -> str | None:
        """Return the URL of an attempt's callbacks; None without a public URL."""
        path = f"/callbacks/{self.name}/{self._channel}/{attempt_id}{more}"
        return f"{self._public_url}{path}{_INSIST}" if self._public_url else None

    def _verify(self, callback: Callback) -> Mapping[str, str]:
        """Check the signature over the callback URL and the form, then read the form.

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
            validator = RequestValidator(token.get_secret_value())
            # "the full URL" is signed; Twilio's documentation does not say whether that includes our fragment
            if validator.validate(url, form, signature) or validator.validate(url + _INSIST, form, signature):
                return form
        raise RejectedCallback(self.name, "its signature was not made with a token of ours")

    def _receipt(self, attempt_id: str, sid: str, status: str, known: Mapping[str, Status], code: str = "") -> Receipt:
        """Return the receipt of a status; that of an unknown status has no result."""
        row = TWILIO.get(code)
        verdict = row.verdict if row else Verdict.TEMPORARY
        failure = Result.PERMANENT_FAILURE if verdict is Verdict.PERMANENT else Result.TEMPORARY_FAILURE
        entry = known.get(status, _UNKNOWN_STATUS)
        result = entry.result or failure if status in known else None
        is_our_fault = verdict is Verdict.OURS and result is Result.TEMPORARY_FAILURE
        return Receipt(
            provider=self.name,
            event_id=f"{sid}:{status}",
            result=result,
            attempt_id=attempt_id,
            provider_ref=sid,
            evidence=entry.evidence,
            code=code if row else status,
            reason=row.meaning if row else entry.meaning,
            is_our_fault=is_our_fault,
            is_general=is_our_fault and row is not None and row.is_general,
            is_about_content=row is not None and row.is_about_content and result in _FAILURES,
        )


T = TypeVar("T", bound=TwilioProvider)


def accounts(
    kind: type[T], settings: Settings, templates: Templates, sender: str, *, is_required: bool = True
) -> tuple[Sequence[T], Sequence[Fault]]:
    """Return a channel's providers, the preferred account first, and the missing or wrong settings.

    The sender's setting is named without the account's prefix (``SMS_FROM``). If it is not required, an account without one
    does not carry this channel.
    """
    providers: list[T] = []
    faults: list[Fault] = []
    for name, prefix, account in _accounts(settings):
        value: str | None = getattr(account, f"twilio_{sender.lower()}")
        if value is None and not is_required:
            continue
        wrong = tuple(_account_faults(account, prefix, sender, value))
        faults += wrong
        if not wrong:
            providers.append(kind(account, templates, str(value), name=name))
    return providers, faults


def _accounts(settings: Settings) -> Iterator[tuple[str, str, Settings]]:
    """Yield each account's name, the prefix of its settings, and the settings as if it were the only account."""
    yield "twilio", "TWILIO", settings
    second = {name: getattr(settings, f"twilio_b_{name}") for name in ("account_sid", "auth_token", "sms_from", "voice_from")}
    if any(second.values()):
        yield "twilio-b", "TWILIO_B", settings.model_copy(update={f"twilio_{name}": value for name, value in second.items()})


def _account_faults(settings: Settings, prefix: str, sender_setting: str, sender: str | None) -> Iterator[Fault]:
    """Yield the missing or wrong settings of one Twilio account, or a single fault if none of them is set."""
    if not (settings.twilio_account_sid or settings.twilio_auth_token or sender):
        remedy = f"Set it, {prefix}_AUTH_TOKEN and {prefix}_{sender_setting} to use Twilio"
        yield Fault(f"NOTIFYFLOW_{prefix}_ACCOUNT_SID", "is not set", remedy, is_unset=True)
        return
    if not sender and (settings.twilio_sms_from or settings.twilio_voice_from):  # the account carries the other channel only
        yield Fault(f"NOTIFYFLOW_{prefix}_{sender_setting}", "is not set", "Give a number of the account", is_unset=True)
        return
    if not (settings.twilio_account_sid or "").startswith("AC"):
        yield Fault(f"NOTIFYFLOW_{prefix}_ACCOUNT_SID", "is not an account SID", "Give the one that begins with AC")
    if not settings.twilio_auth_token:
        yield Fault(f"NOTIFYFLOW_{prefix}_AUTH_TOKEN", "is not set", "Give the account's auth token")
    if not sender:
        yield Fault(f"NOTIFYFLOW_{prefix}_{sender_setting}", "is not set", "Give a number of the account")
    yield from endpoint_faults("TWILIO_BASE_URL", settings.twilio_base_url, settings.trusted_endpoints)
