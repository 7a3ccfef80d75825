"""Validates a submission as a whole before it is stored: its document, incident, recipients and policy."""

from collections.abc import Collection, Mapping

from notifyflow.core.intake import validation
from notifyflow.core.intake.policy_validation import validate_policy
from notifyflow.core.intake.requests import Submission
from notifyflow.core.intake.validation import Admitted
from notifyflow.core.policy import Policy
from notifyflow.core.wording import text
from notifyflow.errors import Fault, InvalidIncident, InvalidPolicy
from notifyflow.pipeline.ports import Dependencies


def admit(
    deps: Dependencies, submission: Submission, policies: Mapping[str, Policy], *, most_faults: int | None = None
) -> tuple[Admitted, Policy]:
    """Validate a submission, without the database, and return it with its policy.

    Of the faults of single recipients, the first ``most_faults`` are listed and the others counted; None lists all.

    Raises:
        InvalidIncident: When a fault refuses it, with every fault.
        InvalidPolicy: When only the policy is wrong.
    """
    try:
        policy = _find_policy(submission.policy, policies, deps.channels)
    except InvalidPolicy as unknown:
        if faults := _faults(deps, submission, most_faults):
            raise InvalidIncident((*faults, *unknown.faults)) from None
        raise
    return _admit(deps, submission, most_faults), policy


def _find_policy(policy: str | Policy, policies: Mapping[str, Policy], channels: Collection[str]) -> Policy:
    if isinstance(policy, str):
        if policy not in policies:
            raise InvalidPolicy((Fault("policy", f"{text.quoted(policy)} is not known", f"Choose one of {', '.join(policies)}"),))
        return policies[policy]
    if faults := validate_policy(policy, channels):
        raise InvalidPolicy(faults)
    return policy


def _admit(deps: Dependencies, submission: Submission, most_faults: int | None) -> Admitted:
    return validation.admit(
        submission.incident,
        submission.recipients,
        deps.check_address,
        deps.channels,
        is_strict=submission.strict,
        unread=submission.unread,
        most_faults=most_faults,
    )


def _faults(deps: Dependencies, submission: Submission, most_faults: int | None) -> tuple[Fault, ...]:
    try:
        return _admit(deps, submission, most_faults).faults
    except InvalidIncident as invalid:
        return invalid.faults
