"""Judges what is submitted, whole, before anything is opened: its document, the incident, the recipients, the policy."""

from collections.abc import Collection, Mapping

from notifyflow.core import intake, text
from notifyflow.core.intake import Admitted
from notifyflow.core.judgement import judge
from notifyflow.core.policy import Policy
from notifyflow.core.requests import Submission
from notifyflow.errors import Fault, InvalidIncident, InvalidPolicy
from notifyflow.pipeline.ports import Tools


def admit(tools: Tools, submission: Submission, policies: Mapping[str, Policy]) -> tuple[Admitted, Policy]:
    """Judge what is submitted; the database is not asked.

    Args:
        tools: What every use case needs.
        submission: As it was read, or said.
        policies: By name.

    Returns:
        What may be stored, and the policy by which it is told.

    Raises:
        InvalidIncident: When anything is wrong that refuses it, with all that is.
        InvalidPolicy: When nothing but the policy is wrong.
    """
    try:
        policy = _find_policy(submission.policy, policies, tools.channels)
    except InvalidPolicy as unknown:
        if beside := _faults(tools, submission):
            raise InvalidIncident((*beside, *unknown.faults)) from None
        raise
    return _admit(tools, submission), policy


def _find_policy(policy: str | Policy, policies: Mapping[str, Policy], channels: Collection[str]) -> Policy:
    if isinstance(policy, str):
        if policy not in policies:
            raise InvalidPolicy((Fault("policy", f"{text.quoted(policy)} is not known", f"Choose one of {', '.join(policies)}"),))
        return policies[policy]
    if faults := judge(policy, channels):
        raise InvalidPolicy(faults)
    return policy


def _admit(tools: Tools, submission: Submission) -> Admitted:
    return intake.admit(
        submission.incident,
        submission.recipients,
        tools.check_address,
        tools.channels,
        is_strict=submission.strict,
        unread=submission.unread,
    )


def _faults(tools: Tools, submission: Submission) -> tuple[Fault, ...]:
    try:
        return _admit(tools, submission).faults
    except InvalidIncident as invalid:
        return invalid.faults
