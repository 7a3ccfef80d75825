"""Validates and stores a submission as the service does, but alone and at once."""

from collections.abc import Sequence
from datetime import timedelta

from notifyflow.core.delivery.model import Incident, Notified, Recipient, Step
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.intake.requests import Submission
from notifyflow.pipeline.delivery.notify import Submitted, store_all
from notifyflow.pipeline.transaction.idempotency import Once
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.service.delivery.submissions import check_submission


def notify(
    deps: Dependencies,
    incident: Incident,
    recipients: Sequence[Recipient],
    *,
    policy: Policy,
    namespace: str = "",
    strict: bool = False,
    then: Sequence[Step] = (),
    over_after: timedelta | None = None,
    once: Once | None = None,
) -> Committed[Notified]:
    """Validate and store an incident, or refuse it as a whole."""
    submission = Submission(
        incident=incident,
        recipients=tuple(recipients),
        then=tuple(then),
        over_after=over_after,
        policy=policy.name,
        strict=strict,
    )
    checked, policy = check_submission(deps, submission, {policy.name: policy})
    return store_all(deps, [Submitted(checked=checked, policy=policy, namespace=namespace, once=once)]).only()
