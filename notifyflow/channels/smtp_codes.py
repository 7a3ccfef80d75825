"""What SMTP's replies mean (RFC 5321 §4.2.3, and the RFCs named); enhanced codes (RFC 3463) are looked up first."""

from notifyflow.channels.tables import Row, Table, Verdict, table

_RFC = "RFC 5321 §4.2.3"
_ENHANCED = "RFC 3463 §3"

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
    Row("552", Verdict.PERMANENT, "the mailbox is full, or the message too large", _RFC),
    Row("553", Verdict.PERMANENT, "the mailbox's name is not allowed", _RFC),
    Row("554", Verdict.PERMANENT, "the message was refused", _RFC),
    Row("555", Verdict.OURS, "the server does not know the parameters", _RFC),
    Row("556", Verdict.PERMANENT, "the domain does not accept mail at all", "RFC 7504 §4"),
    Row("5xx", Verdict.PERMANENT, "the server refused for good", "RFC 5321 §4.2.1"),
    Row("4.7.0", Verdict.TEMPORARY, "the server defers us, for a reason of security or reputation", _ENHANCED),
    Row("5.1.7", Verdict.OURS, "our sender's address is not understood", _ENHANCED),
    Row("5.1.8", Verdict.OURS, "our sender's domain does not exist", _ENHANCED),
    Row("5.7.0", Verdict.OURS, "the server refuses us, for a reason of security", _ENHANCED),
    Row("5.7.1", Verdict.OURS, "we may not send there: relaying, or our reputation, is refused", _ENHANCED),
    Row("5.7.8", Verdict.OURS, "our credentials are invalid", "RFC 4954 §6"),
    Row("5.7.9", Verdict.OURS, "a stronger authentication is wanted", "RFC 4954 §6"),
    Row("5.7.11", Verdict.OURS, "encryption is wanted for this authentication", "RFC 4954 §6"),
    Row("5.7.23", Verdict.OURS, "our sender's SPF check failed", "RFC 7372 §3.2"),
    Row("5.7.25", Verdict.OURS, "our server's reverse DNS check failed", "RFC 7372 §3.3"),
    Row("5.7.26", Verdict.OURS, "our sender's authentication checks failed", "RFC 7372 §3.4"),
)
