"""Asks what became of an attempt in doubt before it is made again, where its provider can be asked; outside any transaction.

A message that is found is not sent again. Where nothing is found, or nobody answers, it is: rather twice than not at all.
"""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from notifyflow.channels.base import Letter, Provider
from notifyflow.core.model import Receipt, Result
from notifyflow.engine.reporter import Reporter, place
from notifyflow.errors import NotifyflowError
from notifyflow.pipeline.ports import Claimed, Dependencies, Doubt
from notifyflow.pipeline.receive import receive

_log = structlog.get_logger("notifyflow.engine")


def find(deps: Dependencies, reporter: Reporter, claimed: Claimed, providers: Sequence[Provider]) -> Result | None:
    """Ask after the attempt before, and record what is said of it as a receipt.

    Args:
        deps: The dependencies of the use cases.
        reporter: Passes on what the receipt led to.
        claimed: The attempt that would be a resend.
        providers: The channel's.

    Returns:
        What became of the attempt before; None where that was no doubt, nobody could be asked, or nothing was found.

    Raises:
        StorageUnavailable: When what was found could not be recorded.
    """
    doubt = claimed.doubt
    if doubt is None:
        return None
    provider = next((each for each in providers if each.name == doubt.provider and each.capabilities.can_be_asked), None)
    receipt = _ask(provider, claimed, doubt) if provider else None
    if receipt is None:
        return None
    reporter.report(receive(deps, replace(receipt, is_asked=True), raw="").consequences)
    return receipt.result


def _ask(provider: Provider, claimed: Claimed, doubt: Doubt) -> Receipt | None:
    letter = Letter(
        attempt_id=doubt.attempt_id,
        notification_id=claimed.notification_id,
        incident_id=claimed.incident_id,
        address=claimed.address,
        content=doubt.content,
        at=doubt.started_at,
    )
    ids = {"attempt_id": doubt.attempt_id, "notification_id": claimed.notification_id, "provider": doubt.provider}
    try:
        receipt = provider.ask(letter)
    except NotifyflowError as error:
        _log.warning("engine.doubt_not_answered", **ids, error=type(error).__name__)
        return None
    except Exception as error:  # noqa: BLE001 - a channel of somebody else may raise anything, and the page has to go out
        _log.error("engine.channel_broke", **ids, channel=claimed.channel, error=type(error).__name__, place=place(error))
        return None
    _log.info("engine.doubt_answered", **ids, result=receipt.result.value if receipt and receipt.result else "unknown")
    return receipt
