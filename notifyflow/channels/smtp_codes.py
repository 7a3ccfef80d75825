"""The meaning of SMTP's replies (RFC 5321 §4.2.3, and the pages named).

Enhanced codes (RFC 3463) are looked up first: the code itself, the range it stands in, then its subject (``5.7.x``).
"""

import re

from notifyflow.channels.tables import Row, Table, Verdict, table

_RFC = "RFC 5321 §4.2.3"
_ENHANCED = "RFC 3463 §3"
_GMAIL = "Google Workspace Admin Help, Gmail SMTP errors and codes"
_EXCHANGE = "learn.microsoft.com, Email non-delivery reports and SMTP errors in Exchange Online"
_OUTLOOK = "support.microsoft.com, Fix NDR error 550 5.7.515 in Outlook.com"
_PRINTERS = "learn.microsoft.com, Fix issues with printers, scanners, and LOB applications that send email"

_RANGE = re.compile(r"(\d\.\d)\.(\d+)-(\d+)")

SMTP: Table = table(
    Row("421", Verdict.TEMPORARY, "the server is closing down", _RFC),
    Row("450", Verdict.TEMPORARY, "the mailbox is busy, or the server asks for patience", _RFC),
    Row("451", Verdict.TEMPORARY, "the server failed on its own side", _RFC),
    Row("452", Verdict.TEMPORARY, "the server has no room now", _RFC),
    Row("454", Verdict.TEMPORARY, "the server cannot authenticate or encrypt now", "RFC 4954 §6, RFC 3207 §4"),
    Row("455", Verdict.TEMPORARY, "the server cannot heed the parameters now", _RFC),
    Row("4xx", Verdict.TEMPORARY, "the server refused for now", "RFC 5321 §4.2.1"),
    Row("500", Verdict.OURS, "the server does not know the command", _RFC),
    Row("501", Verdict.PERMANENT, "the server does not understand the address", _RFC),
    Row("502", Verdict.OURS, "the server does not have the command", _RFC),
    Row("503", Verdict.OURS, "the server wants other commands first", _RFC),
    Row("504", Verdict.OURS, "the server does not have the parameter", _RFC),
    Row("521", Verdict.PERMANENT, "the host does not accept mail at all", "RFC 7504 §3"),
    Row("530", Verdict.OURS, "the server wants us to authenticate or to encrypt first", "RFC 4954 §6, RFC 3207 §4"),
    Row("534", Verdict.OURS, "the server wants a stronger authentication", "RFC 4954 §6"),
    Row("535", Verdict.OURS, "the server does not accept our credentials", "RFC 4954 §6"),
    Row("538", Verdict.OURS, "the server wants encryption for this authentication", "RFC 4954 §6"),
    Row("550", Verdict.PERMANENT, "there is no such mailbox, or it may not be used", _RFC),
    Row("551", Verdict.PERMANENT, "the mailbox has moved to another server", _RFC),
    Row("552", Verdict.PERMANENT, "the mailbox is full, or the message too large", _RFC, is_about_content=True),
    Row("553", Verdict.PERMANENT, "the mailbox's name is not allowed", _RFC),
    Row("554", Verdict.OURS, "our message was refused", _RFC, is_about_content=True),
    Row("555", Verdict.OURS, "the server does not know the parameters", _RFC),
    Row("556", Verdict.PERMANENT, "the domain does not accept mail at all", "RFC 7504 §4"),
    Row("5xx", Verdict.PERMANENT, "the server refused for good", "RFC 5321 §4.2.1", is_about_content=True),
    Row("4.7.0", Verdict.TEMPORARY, "the server defers us, for a reason of security or reputation", _ENHANCED),
    Row("5.1.1", Verdict.PERMANENT, "there is no such mailbox", _ENHANCED),
    Row("5.1.2", Verdict.PERMANENT, "the domain does not exist, or accepts no mail", _ENHANCED),
    Row("5.1.3", Verdict.PERMANENT, "the server does not understand the address", _ENHANCED),
    Row("5.1.6", Verdict.PERMANENT, "the mailbox has moved", _ENHANCED),
    Row("5.1.7", Verdict.OURS, "our sender's address is not understood", _ENHANCED),
    Row("5.1.8", Verdict.OURS, "our sender's domain does not exist", _ENHANCED),
    Row("5.1.10", Verdict.PERMANENT, "the domain does not accept mail at all", "RFC 7505 §4.1"),
    Row("5.2.1", Verdict.PERMANENT, "the mailbox is disabled", _ENHANCED),
    Row("5.2.2", Verdict.PERMANENT, "the mailbox is full", _ENHANCED),
    Row("5.2.3", Verdict.OURS, "our message is longer than the mailbox accepts", _ENHANCED, is_about_content=True),
    Row("5.3.4", Verdict.OURS, "our message is longer than the server accepts", _ENHANCED, is_about_content=True),
    Row("5.4.5", Verdict.OURS, "our mail of the day is used up", _GMAIL),
    Row("5.5.1", Verdict.OURS, "the server does not have our command", _ENHANCED),
    Row("5.5.2", Verdict.OURS, "the server does not understand our command", _ENHANCED),
    Row("5.5.4", Verdict.OURS, "the server does not accept our command's parameters", _ENHANCED),
    Row("5.6.x", Verdict.OURS, "the server does not accept our message's form", _ENHANCED, is_about_content=True),
    Row("5.7.0", Verdict.OURS, "the server refuses us, for a reason of security", _ENHANCED),
    Row("5.7.1", Verdict.OURS, "we may not send there: relaying, or our reputation, is refused", _ENHANCED),
    Row("5.7.8", Verdict.OURS, "our credentials are invalid", "RFC 4954 §6"),
    Row("5.7.9", Verdict.OURS, "a stronger authentication is wanted", "RFC 4954 §6"),
    Row("5.7.11", Verdict.OURS, "encryption is wanted for this authentication", "RFC 4954 §6"),
    Row("5.7.12", Verdict.PERMANENT, "the recipient accepts mail from their own organization only", _EXCHANGE),
    Row("5.7.23", Verdict.OURS, "our sender's SPF check failed", "RFC 7372 §3.2"),
    Row("5.7.25", Verdict.OURS, "our server's reverse DNS check failed", "RFC 7372 §3.3"),
    Row("5.7.26", Verdict.OURS, "our sender's authentication checks failed", "RFC 7372 §3.4"),
    Row("5.7.27", Verdict.OURS, "our sender's domain accepts no mail, or its SPF check failed", f"RFC 7505 §4.2; {_GMAIL}"),
    Row("5.7.30", Verdict.OURS, "our sender's DKIM check failed", _GMAIL),
    Row("5.7.57", Verdict.OURS, "we have to authenticate to send there", _EXCHANGE),
    Row("5.7.60", Verdict.OURS, "our credentials may not send as our sender", _PRINTERS),
    Row("5.7.64", Verdict.OURS, "we may not relay there", _EXCHANGE),
    Row("5.7.124", Verdict.PERMANENT, "the list accepts mail from some senders only", _EXCHANGE),
    Row("5.7.133", Verdict.PERMANENT, "the list accepts mail from its own organization only", _EXCHANGE),
    Row("5.7.134", Verdict.PERMANENT, "the mailbox accepts mail from its own organization only", _EXCHANGE),
    Row("5.7.135", Verdict.PERMANENT, "the folder accepts mail from its own organization only", _EXCHANGE),
    Row("5.7.136", Verdict.PERMANENT, "the recipient accepts mail from their own organization only", _EXCHANGE),
    Row("5.7.501", Verdict.OURS, "our account is banned: spam was detected", _EXCHANGE),
    Row("5.7.502", Verdict.OURS, "our account is banned: spam was detected", _EXCHANGE),
    Row("5.7.503", Verdict.OURS, "our account is banned: spam was detected", _EXCHANGE),
    Row("5.7.504", Verdict.PERMANENT, "the recipient's address is not valid", _EXCHANGE),
    Row("5.7.505", Verdict.PERMANENT, "the recipient is not valid", _EXCHANGE),
    Row("5.7.506", Verdict.OURS, "our server introduces itself by a wrong name", _EXCHANGE),
    Row("5.7.507", Verdict.OURS, "our server is blocked by the recipient's organization", _EXCHANGE),
    Row("5.7.508", Verdict.OURS, "our network has sent too much", _EXCHANGE),
    Row("5.7.509", Verdict.OURS, "our sender's domain fails DMARC, and its policy is reject", _EXCHANGE),
    Row("5.7.510", Verdict.OURS, "our server came over IPv6, which the recipient does not accept", _EXCHANGE),
    Row("5.7.511", Verdict.OURS, "our server is banned", _EXCHANGE),
    Row("5.7.512", Verdict.OURS, "our sender's address is not valid", _EXCHANGE),
    Row("5.7.513", Verdict.OURS, "our server is blocked by the recipient's domain", _EXCHANGE),
    Row("5.7.515", Verdict.OURS, "our sender's domain is not authenticated well enough", _OUTLOOK),
    Row("5.7.606-649", Verdict.OURS, "our server is banned", _EXCHANGE),
    Row("5.7.703", Verdict.OURS, "our own organization blocks the recipient", _EXCHANGE),
    Row("5.7.705", Verdict.OURS, "our tenant has sent too much", _EXCHANGE),
    Row("5.7.708", Verdict.OURS, "our server's traffic is not accepted", _EXCHANGE),
    Row("5.7.750", Verdict.OURS, "our sender's domain is not registered at our tenant", _EXCHANGE),
    Row("5.7.800", Verdict.OURS, "our sender's domain is banned", _EXCHANGE),
    Row("5.7.x", Verdict.OURS, "the server refuses us, for a reason of security or policy", _ENHANCED),
)

_RANGES = tuple((match[1], range(int(match[2]), int(match[3]) + 1), code) for code in SMTP if (match := _RANGE.fullmatch(code)))


def find(code: int, enhanced: str) -> Row | None:
    """Return the row of the narrowest code that matches a reply's code and enhanced code (or an empty text); None without one."""
    subject, _, detail = enhanced.rpartition(".")
    ranges = [row for of, numbers, row in _RANGES if enhanced and of == subject and int(detail) in numbers]
    keys = (enhanced, *ranges, f"{subject}.x", str(code), f"{code // 100}xx")
    return next((SMTP[key] for key in keys if key in SMTP), None)
