"""Translates a provider's response or failure into the outcome of an attempt."""

from dataclasses import replace

from notifyflow.channels.base import Accepted, Provider
from notifyflow.core.delivery.attempts import BROKE_OFF
from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import Condition, Result
from notifyflow.errors import (
    NotifyflowError,
    PermanentProviderError,
    ProviderError,
    RefusedUsError,
    TemporaryProviderError,
    UnknownOutcomeError,
)

_THROTTLE_S = 10.0
"""How long no requests go to a provider that asks for fewer without naming a time."""


def outcome_of(response: Accepted | NotifyflowError) -> Outcome:
    """Return the outcome of a provider's response or failure."""
    match response:
        case Accepted():
            return Outcome(result=Result.ACCEPTED, provider_ref=response.provider_ref, evidence=response.evidence)
        case TemporaryProviderError():
            return Outcome(
                result=Result.TEMPORARY_FAILURE, code=response.code, reason=response.reason, retry_after_s=response.retry_after_s
            )
        case PermanentProviderError():
            return Outcome(
                result=Result.PERMANENT_FAILURE,
                code=response.code,
                reason=response.reason,
                is_about_content=response.is_about_content,
            )
        case RefusedUsError():
            return Outcome(
                result=Result.TEMPORARY_FAILURE,
                code=response.code,
                reason=response.reason,
                is_our_fault=True,
                is_about_content=response.is_about_content,
            )
        case UnknownOutcomeError() | ProviderError():
            return Outcome(result=Result.IN_DOUBT, code=response.code, reason=response.reason)
        case _:
            return Outcome(
                result=Result.TEMPORARY_FAILURE,
                code=BROKE_OFF,
                reason=f"could not be rendered: {type(response).__name__}",
                is_our_fault=True,
                is_about_content=True,
            )


def with_condition(outcome: Outcome, error: NotifyflowError, provider: Provider) -> Outcome:
    """Add the provider's condition, as a failure shows it, to its outcome."""
    if provider.has_server_per_address:
        return outcome
    match error:
        case ProviderError(is_unhealthy=True):
            outcome = replace(outcome, condition=Condition.UNHEALTHY)
        case RefusedUsError(is_general=True) if not provider.is_bound_to_address:
            return replace(outcome, condition=Condition.REFUSING)
    if provider.is_bound_to_address:
        return outcome
    is_throttled = isinstance(error, TemporaryProviderError) and error.is_throttled
    return replace(outcome, throttle_s=_THROTTLE_S if is_throttled and not outcome.retry_after_s else outcome.retry_after_s)
