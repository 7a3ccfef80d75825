"""Searches for the message of a call in doubt before it is sent again, if its provider can; outside any transaction.

A found message is not sent again, for none of the notifications that it carried. If none is found, or the provider does not
answer, it is sent: two are better than none.
"""

from collections.abc import Sequence
from dataclasses import replace

from notifyflow.channels.base import Provider
from notifyflow.channels.provider_protocols import FindsSentMessages
from notifyflow.core.delivery.model import Receipt, Result
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.engine.reporter import Reporter
from notifyflow.errors import NotifyflowError
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.limits.doubts import message_in_doubt
from notifyflow.pipeline.transaction.ports import Claimed, Dependencies

_log = get_logger("notifyflow.engine")


def find_sent_message(deps: Dependencies, reporter: Reporter, claimed: Claimed, providers: Sequence[Provider]) -> Result | None:
    """Search for the message of the previous call, and record it as a receipt for all that it carried if found.

    Args:
        deps: The dependencies of the use cases.
        reporter: Reports the follow-ups of the receipt.
        claimed: The attempt that would be a resend, with the others of its call.
        providers: The channel's.

    Returns:
        The result of the previous call; None if it was not in doubt, its provider cannot search, or nothing was found.

    Raises:
        StorageUnavailable: When the message could not be read, or the result not be recorded.
    """
    doubt = claimed.doubt
    finders = (each for each in providers if doubt and each.name == doubt.provider and isinstance(each, FindsSentMessages))
    finder = next(finders, None)
    if doubt is None or finder is None:
        return None
    message = message_in_doubt(deps, doubt, address=claimed.message.address)
    receipt = _search(finder, doubt.provider, claimed.channel, message) if message else None
    if receipt is None:
        return None
    receive(deps, replace(receipt, is_fetched=True), raw="").finish(reporter.report)
    return receipt.result


def _search(finder: FindsSentMessages, provider: str, channel: str, message: OutboundMessage) -> Receipt | None:
    ids = {"attempt_id": message.attempt_id, "notification_id": message.notification_id, "provider": provider}
    try:
        receipt = finder.find_sent_message(message)
    except NotifyflowError as error:
        _log.warning("engine.doubt_check_failed", **ids, error=type(error).__name__)
        return None
    except Exception as error:  # noqa: BLE001 - a channel of somebody else may raise anything, and the page has to go out
        _log.error("engine.channel_broke", **ids, channel=channel, error=type(error).__name__, place=source_line(error))
        return None
    _log.info("engine.doubt_checked", **ids, result=receipt.result.value if receipt and receipt.result else "unknown")
    return receipt
