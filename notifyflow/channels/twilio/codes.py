"""The meaning of Twilio's error codes and statuses (twilio.com/docs, "Error and Warning Dictionary", one page a code).

Twilio adds and splits codes now and then (changelog of 10 July 2024, "Updates to the error code dictionary to clarify number
validation errors"); one that is not listed is classified by the HTTP status, or, in a receipt, counts as temporary.
"""

from collections.abc import Mapping

from notifyflow.channels.tables import Row, Status, Table, Verdict, table
from notifyflow.core.delivery.model import Evidence, Result

_API = "Twilio Error Dictionary"
_MESSAGE = "Twilio Messages resource, Message Status values"
_CALL = "Twilio Calls resource, Call Status values"
_TEMPORARY = Result.TEMPORARY_FAILURE

TWILIO: Table = table(
    Row("10001", Verdict.OURS, "our account is not active", _API, is_general=True),
    Row("10002", Verdict.OURS, "our trial account does not have the feature", _API),
    Row("10004", Verdict.TEMPORARY, "too many calls at a time", _API),
    Row("20003", Verdict.OURS, "our credentials are not accepted", _API, is_general=True),
    Row("20005", Verdict.OURS, "our account is not active", _API, is_general=True),
    Row("20006", Verdict.OURS, "we may not use the resource", _API, is_general=True),
    Row("20404", Verdict.OURS, "the resource does not exist: account SID or sender", _API),
    Row("20429", Verdict.TEMPORARY, "Twilio asks for fewer requests", _API),
    Row("20500", Verdict.TEMPORARY, "Twilio failed on its own side", _API),
    Row("20503", Verdict.TEMPORARY, "Twilio is not available now", _API),
    Row("21201", Verdict.OURS, "our request names no number to call", _API),
    Row("21203", Verdict.PERMANENT, "calls to the number are not allowed", _API),
    Row("21205", Verdict.OURS, "our URL is not valid", _API),
    Row("21210", Verdict.OURS, "our sender is not verified", _API),
    Row("21211", Verdict.PERMANENT, "the number is not valid", _API),
    Row("21212", Verdict.OURS, "our sender is not valid", _API),
    Row("21213", Verdict.OURS, "our request names no number to call from", _API),
    Row("21214", Verdict.PERMANENT, "the number cannot be reached", _API),
    Row("21215", Verdict.OURS, "our account may not call that country", _API),
    Row("21216", Verdict.OURS, "our account may not call the number", _API),
    Row("21217", Verdict.PERMANENT, "the number does not look valid", _API),
    Row("21219", Verdict.OURS, "a trial account calls verified numbers only", _API),
    Row("21223", Verdict.PERMANENT, "the number does not look valid", _API),
    Row("21264", Verdict.OURS, "our sender cannot be used", _API),
    Row("21265", Verdict.PERMANENT, "the number is a short code", _API),
    Row("21266", Verdict.PERMANENT, "the number is our own", _API),
    Row("21267", Verdict.OURS, "a trial account has no alphanumeric sender", _API),
    Row("21268", Verdict.PERMANENT, "the number is a premium number", _API),
    Row("21408", Verdict.OURS, "our account may not send to that region", _API),
    Row("21601", Verdict.OURS, "our sender cannot send texts", _API),
    Row("21602", Verdict.OURS, "our text is empty", _API, is_about_content=True),
    Row("21603", Verdict.OURS, "no sender was given", _API),
    Row("21604", Verdict.OURS, "our request names no number", _API),
    Row("21606", Verdict.OURS, "our sender cannot send texts", _API),
    Row("21608", Verdict.OURS, "a trial account writes to verified numbers only", _API),
    Row("21609", Verdict.OURS, "our callback URL is not valid", _API),
    Row("21610", Verdict.PERMANENT, "the recipient has opted out (STOP)", _API),
    Row("21611", Verdict.TEMPORARY, "our sender's queue is full", _API),
    Row("21612", Verdict.OURS, "our sender cannot reach that number's network", _API),
    Row("21614", Verdict.PERMANENT, "the number cannot receive texts", _API),
    Row("21617", Verdict.OURS, "our text is too long", _API, is_about_content=True),
    Row("21635", Verdict.PERMANENT, "the number is a landline", _API),
    Row("21659", Verdict.OURS, "our sender is not a Twilio number", _API),
    Row("21660", Verdict.OURS, "our sender belongs to another account", _API),
    Row("21661", Verdict.OURS, "our sender cannot send texts", _API),
    Row("21703", Verdict.OURS, "our messaging service has no sender", _API),
    Row("21704", Verdict.OURS, "our messaging service has no sender", _API),
    Row("21705", Verdict.OURS, "our messaging service is not valid", _API),
    Row("30001", Verdict.TEMPORARY, "the queue overflowed", _API),
    Row("30002", Verdict.OURS, "our account is suspended", _API, is_general=True),
    Row("30003", Verdict.TEMPORARY, "the phone cannot be reached: off, or without signal", _API),
    Row("30004", Verdict.PERMANENT, "the number or its carrier blocks us", _API),
    Row("30005", Verdict.PERMANENT, "the number is unknown, or not in service any more", _API),
    Row("30006", Verdict.PERMANENT, "the number is a landline, or its carrier cannot be reached", _API),
    Row("30007", Verdict.OURS, "the text was filtered as spam", _API, is_about_content=True),
    Row("30008", Verdict.TEMPORARY, "the carrier gave no reason", _API),
    Row("30010", Verdict.OURS, "the text costs more than our maximum", _API, is_about_content=True),
    Row("30022", Verdict.TEMPORARY, "our rate at the US carriers is used up", _API),
    Row("30023", Verdict.OURS, "our messages of the day at a US carrier are used up", _API),
    Row("30024", Verdict.OURS, "our number is not provisioned at the carrier", _API),
    Row("30027", Verdict.OURS, "our messages of the day at T-Mobile are used up", _API),
    Row("30032", Verdict.OURS, "our toll-free number is not verified", _API),
    Row("30034", Verdict.OURS, "our number is not registered for US texts (A2P 10DLC)", _API),
    Row("30036", Verdict.TEMPORARY, "the validity period passed before the text left", _API),
    Row("30037", Verdict.OURS, "our account may not send messages", _API, is_general=True),
    Row("30038", Verdict.OURS, "the text looks like a one-time password", _API, is_about_content=True),
    Row("30040", Verdict.OURS, "our sender is not registered where the carrier wants it", _API),
    Row("30041", Verdict.OURS, "our sender is not registered in the United Kingdom", _API),
    Row("30410", Verdict.TEMPORARY, "the carrier did not answer in time", _API),
    Row("30450", Verdict.OURS, "the carrier blocks texts that look like fraud", _API, is_about_content=True),
    Row("30454", Verdict.OURS, "our trial account has used up its messages", _API, is_general=True),
    Row("30485", Verdict.OURS, "Twilio defers texts that look like fraud", _API, is_about_content=True),
    Row("30500", Verdict.TEMPORARY, "the carrier failed on its own side", _API),
    Row("63038", Verdict.OURS, "our account has used up its messages of 24 hours", _API, is_general=True),
)

MESSAGE_STATUSES: Mapping[str, Status] = {
    "accepted": Status(Result.ACCEPTED, Evidence.ACCEPTED, "Twilio has it, and chooses a sender", _MESSAGE),
    "scheduled": Status(Result.ACCEPTED, Evidence.ACCEPTED, "Twilio has it, for later", _MESSAGE),
    "queued": Status(Result.ACCEPTED, Evidence.ACCEPTED, "it waits for its turn", _MESSAGE),
    "sending": Status(Result.ACCEPTED, Evidence.ACCEPTED, "it is being given to the carrier", _MESSAGE),
    "sent": Status(Result.ACCEPTED, Evidence.CARRIER, "the carrier has it", _MESSAGE),
    "delivered": Status(Result.DELIVERED, Evidence.CARRIER, "the carrier says that the phone has it", _MESSAGE),
    "read": Status(Result.DELIVERED, Evidence.DEVICE, "the device reports that somebody opened it", _MESSAGE),
    "undelivered": Status(None, Evidence.CARRIER, "the carrier could not deliver it", _MESSAGE),
    "failed": Status(None, Evidence.CARRIER, "it could not be sent", _MESSAGE),
    "canceled": Status(_TEMPORARY, Evidence.ACCEPTED, "it was cancelled at Twilio", _MESSAGE),
}

CALL_STATUSES: Mapping[str, Status] = {
    "queued": Status(Result.ACCEPTED, Evidence.ACCEPTED, "Twilio has it", _CALL),
    "initiated": Status(Result.ACCEPTED, Evidence.ACCEPTED, "the number is being dialled", _CALL),
    "ringing": Status(Result.ACCEPTED, Evidence.CARRIER, "the phone rings", _CALL),
    "in-progress": Status(Result.ACCEPTED, Evidence.CARRIER, "somebody, or a machine, has answered", _CALL),
    "completed": Status(_TEMPORARY, Evidence.CARRIER, "it was answered, and no key was pressed: perhaps by a machine", _CALL),
    "busy": Status(_TEMPORARY, Evidence.CARRIER, "the line was busy", _CALL),
    "no-answer": Status(_TEMPORARY, Evidence.CARRIER, "nobody answered", _CALL),
    "failed": Status(_TEMPORARY, Evidence.ACCEPTED, "the carriers could not connect it", _CALL),
    "canceled": Status(_TEMPORARY, Evidence.ACCEPTED, "it was cancelled at Twilio", _CALL),
}
