"""The sms channel, over Twilio: two segments at most, the link whole."""

from notifyflow.channels.base import Accepted, Callback, Channel, Letter, Reply
from notifyflow.channels.phone import check_phone_number
from notifyflow.channels.templating import Templates
from notifyflow.channels.twilio import TwilioProvider, account_faults
from notifyflow.channels.twilio_codes import MESSAGE_STATUSES
from notifyflow.core.content import Content
from notifyflow.core.segments import fit
from notifyflow.errors import RejectedCallback
from notifyflow.settings import Settings

_SEGMENTS = 2
# Twilio Messages resource, ValidityPeriod: 1 to 36,000 seconds, the longest by default
_VALID_S = range(1, 36_001)


class TwilioSms(TwilioProvider):
    """Sends texts."""

    _path = "/callbacks/twilio/sms"

    def send(self, letter: Letter) -> Accepted:
        """Hand one text over; see ``Provider.send``."""
        sender = "messaging_service_sid" if self._sender.startswith("MG") else "from_"
        optional = {"status_callback": self._way_back(letter.attempt_id), "validity_period": _validity(letter.valid_for_s)}
        given = {name: value for name, value in optional.items() if value is not None}
        message = self._connected().messages.create(
            to=letter.address, body=self.text(letter.content), **{sender: self._sender}, **given
        )
        return Accepted(provider_ref=message.sid)

    def text(self, content: Content) -> str:
        """Write the text: two segments at most, the link whole at its end."""
        return fit(self._templates.render("sms/text.txt.jinja", content), content.link, segments=_SEGMENTS)

    def read_callback(self, callback: Callback) -> Reply:
        """Read a message's status; see ``Provider.read_callback``."""
        form = self._verify(callback)
        sid, status = form.get("MessageSid", ""), form.get("MessageStatus", "")
        if not (sid and status):
            raise RejectedCallback(self.name, "it tells no message or no status")
        return Reply(receipts=(self._receipt(callback, sid, status, MESSAGE_STATUSES, form.get("ErrorCode", "")),))


def _validity(valid_for_s: int | None) -> int | None:
    return None if valid_for_s is None else min(max(valid_for_s, _VALID_S[0]), _VALID_S[-1])


class SmsChannel(Channel):
    """Texts to a phone."""

    name = "sms"

    @classmethod
    def from_settings(cls, settings: Settings) -> "SmsChannel":
        """Build it; see ``Channel.from_settings``."""
        templates = Templates(settings.templates)
        faults = account_faults(settings, "TWILIO_SMS_FROM", settings.twilio_sms_from)
        providers = () if faults else (TwilioSms(settings, templates, str(settings.twilio_sms_from)),)
        return cls(providers, (*faults, *templates.faults("sms")))

    def check_address(self, address: str) -> str:
        """Judge a phone number; see ``Channel.check_address``."""
        return check_phone_number(address)
