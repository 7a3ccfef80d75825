"""The mail itself: one message in text and HTML, for SMTP and SES alike."""

import re
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formatdate

from notifyflow.channels.aws.events import HEADER
from notifyflow.channels.templating import Templates
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.text import cut, one_line

_SUBJECT_LIMIT = 200
# RFC 2047 §2. Mail programs decode it, possibly to another address, so no mail can be addressed to it.
_ENCODED_WORD = re.compile(r"=\?[^?]+\?[^?]*\?.*\?=")
_WORD_LIMIT = 75  # of an encoded word (RFC 2047 §2)
_LONGEST = 1_000  # in any script and spelling; 254 are allowed in ASCII (RFC 5321, section 4.5.3.1.3)


def check_mail_address(address: str) -> str:
    """Validate a mail address and normalise it to ASCII; its domain is not looked up.

    Raises:
        ValueError: With the fault as a sentence, without the address.
    """
    from email_validator import EmailNotValidError, validate_email  # it loads slowly, and a worker validates no address

    if len(address) > _LONGEST:  # parsing a very long text would be slow
        raise ValueError(f"is not a mail address: it is longer than {_LONGEST} characters")
    try:
        validated = validate_email(address.strip(), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        reason = str(error).partition(" (")[0].rstrip(".")  # the brackets may contain a part of the address
        raise ValueError(f"is not a mail address: {reason}") from None
    if _ENCODED_WORD.search(validated.local_part):
        raise ValueError("is not a mail address: an encoded word (=?…?=) stands before the @-sign")
    return str(validated.ascii_email)


def parse_sender(text: str) -> Address:
    """Read a sender: an address, or a name and an address in angle brackets.

    Raises:
        ValueError: With the fault as a sentence.
    """
    name, _, address = text.strip().removesuffix(">").rpartition("<")
    return Address(display_name=one_line(name).strip('" '), addr_spec=check_mail_address(address))


def encoded(sender: Address) -> str:
    """Return a sender as ASCII text; a name in another script becomes encoded words (RFC 2047)."""
    if sender.display_name.isascii():
        return str(sender)
    name = Header(sender.display_name, "utf-8", maxlinelen=_WORD_LIMIT).encode(linesep="")
    return f"{name} <{sender.addr_spec}>"


class _Policy(EmailPolicy):
    """Folds subjects; one in another script becomes encoded words (RFC 2047), blanks included.

    The folding of the standard policy loses or doubles blanks there, and may leave an encoded word that no program decodes.
    Before a long word it leaves the first line empty, so that the subject begins with a blank.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        """Return a header as lines."""
        if name != "Subject":
            return super().fold_binary(name, value)
        charset, limit = (None, self.max_line_length) if value.isascii() else ("utf-8", _WORD_LIMIT)
        words = Header(str(value), charset, maxlinelen=limit, header_name=name).encode(linesep=self.linesep)
        return f"{name}: {words}{self.linesep}".encode("ascii")


_SMTP = _Policy(linesep="\r\n")


class MailWriter:
    """Writes the messages of one sender."""

    def __init__(self, templates: Templates, sender: Address) -> None:
        self._templates = templates
        self.sender = sender

    def write(self, message: OutboundMessage) -> bytes:
        """Return a message as it is transmitted: ASCII, with lines that end in CR LF.

        All mail about one incident refers to one id, which no mail has itself, and keeps its subject, so that mail programs show
        it as one thread with any provider: RFC 5322, section 3.6.4; for Gmail, Google Workspace Updates, "Threading changes in
        Gmail conversation view" (references "that consistently refer to the same message ID"). SES keeps both headers.
        """
        content = message.content
        mail = EmailMessage(policy=_SMTP)
        mail["Subject"] = cut(one_line(self._templates.render("email/subject.txt.jinja", content)), _SUBJECT_LIMIT)
        mail["From"] = self.sender
        mail["To"] = Address(addr_spec=message.address)
        mail["Date"] = formatdate()  # the time of this call; no decision depends on it
        mail["Message-ID"] = f"<{message.attempt_id}@{self.sender.domain}>"
        if message.incident_id and not content.bundled:
            mail["In-Reply-To"] = mail["References"] = f"<{message.incident_id}@incidents.notifyflow.invalid>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: keeps vacation replies away
        mail[HEADER] = message.attempt_id
        mail.set_content(self._templates.render("email/body.txt.jinja", content), cte="quoted-printable")
        mail.add_alternative(self._templates.render("email/body.html.jinja", content), subtype="html", cte="quoted-printable")
        return mail.as_bytes()
