"""The providers that ``notifyflow setup`` offers, with the settings that each needs; the others are set by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A provider that can be chosen.

    Attributes:
        settings: The settings without which it does not work.
        more: Settings that may be left out.
        address: The field of a person with the address that it carries to.
    """

    settings: Sequence[str] = ()
    more: Sequence[str] = ()
    address: str


OFFERS: Mapping[str, Offer] = {
    "smtp": Offer(settings=("smtp_url", "mail_from"), address="email"),
    "ses": Offer(settings=("ses_from", "aws_region"), more=("aws_access_key_id", "aws_secret_access_key"), address="email"),
    "twilio": Offer(
        settings=("twilio_account_sid", "twilio_auth_token", "twilio_sms_from"), more=("twilio_voice_from",), address="phone"
    ),
    "slack": Offer(more=("slack_bot_token", "slack_signing_secret"), address="slack"),
    "teams": Offer(address="teams"),
}
