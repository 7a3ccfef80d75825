"""The email channel: over SES, over SMTP, or over both (SES is preferred)."""

from notifyflow.channels.aws.client import aws_faults
from notifyflow.channels.aws.codes import SES
from notifyflow.channels.aws.events import MAIL_EVENTS
from notifyflow.channels.aws.ses import Ses
from notifyflow.channels.base import Channel, Provider
from notifyflow.channels.mail import MailWriter, check_mail_address, parse_sender
from notifyflow.channels.smtp import Smtp, SmtpServer
from notifyflow.channels.smtp_codes import SMTP
from notifyflow.channels.templating import Templates
from notifyflow.core.capabilities import ChannelCapabilities
from notifyflow.errors import Fault, InvalidSettings
from notifyflow.settings import Settings


class EmailChannel(Channel):
    """Mail in text and HTML, with a link to acknowledge."""

    name = "email"
    capabilities = ChannelCapabilities(gets_status_updates=True, is_bundled=True, shows_without_receipt=True)
    provider_names = ("ses", "smtp")
    codes = (("SMTP", SMTP), ("SES", SES), ("Events of SES", MAIL_EVENTS))

    @classmethod
    def from_settings(cls, settings: Settings) -> "EmailChannel":
        """Build it; see ``Channel.from_settings``."""
        templates = Templates(settings.templates)
        faults = list(templates.faults("email"))
        providers: list[Provider] = []
        for is_wanted, build in ((settings.ses_from is not None, _ses), (settings.smtp_url is not None, _smtp)):
            try:
                if is_wanted:
                    providers.append(build(settings, templates))
            except InvalidSettings as error:
                faults += error.faults
        if not providers and not faults:
            remedy = "Set one of them to send mail"
            faults.append(Fault("NOTIFYFLOW_SMTP_URL", "is not set, and no SES_FROM either", remedy, is_unset=True))
        return cls(providers, faults)

    def check_address(self, address: str) -> str:
        """Validate a mail address; see ``Channel.check_address``."""
        return check_mail_address(address)


def _smtp(settings: Settings, templates: Templates) -> Provider:
    faults: list[Fault] = []
    url = settings.smtp_url.get_secret_value() if settings.smtp_url else ""
    try:
        server = SmtpServer.parse(url, trusted_endpoints=settings.trusted_endpoints)
    except ValueError as error:
        faults.append(Fault("NOTIFYFLOW_SMTP_URL", f"the value {error}", "Give smtp://USER:PASSWORD@HOST:PORT or smtps://…"))
    try:
        sender = parse_sender(settings.mail_from or "")
    except ValueError as error:
        faults.append(Fault("NOTIFYFLOW_MAIL_FROM", f"the value {error}", "Give the address that mail comes from"))
    if faults:
        raise InvalidSettings(tuple(faults))
    return Smtp(settings, server, MailWriter(templates, sender))


def _ses(settings: Settings, templates: Templates) -> Provider:
    faults = list(aws_faults(settings, "SES"))
    try:
        sender = parse_sender(settings.ses_from or "")
    except ValueError as error:
        faults.append(Fault("NOTIFYFLOW_SES_FROM", f"the value {error}", "Give an address that SES has verified"))
    if faults:
        raise InvalidSettings(tuple(faults))
    return Ses(settings, MailWriter(templates, sender))
