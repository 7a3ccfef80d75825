"""Parses mail as a mail program does."""

from email import message_from_bytes, policy
from email.message import EmailMessage

from notifyflow.sandbox.inbox import Mail


def parse(raw: bytes) -> EmailMessage:
    """Parse a mail."""
    return message_from_bytes(raw, EmailMessage, policy=policy.default)


def read(message: EmailMessage) -> Mail:
    """Read a mail's sender, subject, and its bodies as text and as HTML."""
    return Mail(
        sender=str(message.get("From", "")),
        subject=str(message.get("Subject", "")),
        text=_body(message, "plain"),
        html=_body(message, "html"),
    )


def attempt_id(message: EmailMessage) -> str:
    """Return our attempt, from its own header or else from the Message-ID before the ``@``."""
    own = message.get("X-Notifyflow-Attempt")
    return str(own).strip() if own else str(message.get("Message-ID", "")).strip("<> ").partition("@")[0]


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return "\n".join(str(part.get_content()).splitlines()) if isinstance(part, EmailMessage) else ""
