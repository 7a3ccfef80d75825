"""Checks a submission as a whole, its document, incident, recipients and policy, and stores it with those of other threads."""

import threading
from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from notifyflow.core.delivery.model import Notified, Severity
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.forms import unknown
from notifyflow.core.intake import validation
from notifyflow.core.intake.chains import check_chain
from notifyflow.core.intake.policy_validation import validate_policy
from notifyflow.core.intake.requests import Submission
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.errors import CommitUnknown, Fault, InvalidIncident, InvalidPolicy, StorageUnavailable
from notifyflow.pipeline.delivery.notify import Submitted, store_all
from notifyflow.pipeline.transaction.group_commit import GroupCommit, ItemDeadline, TimeIsOver
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.transaction.use_case import moved_nothing
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.storage.dialects.deadline import LONGEST_PAUSE_S

_MOST_ROWS = 500
"""How many rows one transaction of several submissions writes at most; a larger submission runs separately."""
_ALONE_S = 2.0
"""The time that a submission keeps for itself at the end: another one of its set may wait for the application's transaction."""


def check_submission(
    deps: Dependencies,
    submission: Submission,
    policies: Mapping[str, Policy],
    *,
    names: Collection[str] = (),
    most_faults: int | None = None,
) -> tuple[CheckedIncident, Policy]:
    """Validate a submission, without the database, and return it with its policy.

    A step of its chain may use the directory's ``names``. Of the faults of single recipients, the first ``most_faults`` are
    listed and the others counted; None lists all.

    Raises:
        InvalidIncident: When a fault refuses it, with every fault.
        InvalidPolicy: When only the policy is wrong.
    """
    try:
        policy = find_policy(submission.policy, policies, deps.channels)
    except InvalidPolicy as unknown:
        if faults := _faults(deps, submission, None, names, most_faults):
            raise InvalidIncident((*faults, *unknown.faults)) from None
        raise
    return _checked(deps, submission, policy, names, most_faults), policy


def find_policy(policy: str | Policy, policies: Mapping[str, Policy], channels: Collection[str]) -> Policy:
    """Return a policy that was given by name or as a value.

    Raises:
        InvalidPolicy: When there is no such policy, or the value is faulty.
    """
    if isinstance(policy, str):
        if policy not in policies:
            raise InvalidPolicy((unknown("policy", "policy", policy, policies),))
        return policies[policy]
    if faults := validate_policy(policy, channels):
        raise InvalidPolicy(faults)
    return policy


def _checked(
    deps: Dependencies, submission: Submission, policy: Policy | None, names: Collection[str], most_faults: int | None
) -> CheckedIncident:
    return validation.check_incident(
        submission.incident,
        submission.recipients,
        deps.check_address,
        deps.channels,
        is_strict=submission.strict,
        unread=submission.unread,
        most_faults=most_faults,
        chain=check_chain(
            submission.then,
            submission.recipients,
            deps.check_address,
            deps.channels,
            over_after=submission.over_after,
            policy=policy,
            names=names,
        ),
    )


def _faults(
    deps: Dependencies, submission: Submission, policy: Policy | None, names: Collection[str], most_faults: int | None
) -> tuple[Fault, ...]:
    try:
        return _checked(deps, submission, policy, names, most_faults).faults
    except InvalidIncident as invalid:
        return invalid.faults


class Submissions:
    """Stores the submissions of all threads of a process together, each within its own time.

    Args:
        use_cases: Runs use cases.
        within: Limits the time of a transaction, in seconds.
        monitor: The lock on which the threads wait for each other.
    """

    def __init__(
        self,
        use_cases: UseCases,
        *,
        within: Callable[[float], AbstractContextManager[object]],
        monitor: Callable[[], AbstractContextManager[bool]] = threading.Condition,
    ) -> None:
        self._use_cases = use_cases
        self._within = within
        self._monitor = monitor
        self._group_commit = self._new_group_commit()

    def begin_anew(self) -> None:
        """Begin anew in a forked child."""
        self._group_commit.begin_anew()

    def store(self, submitted: Submitted, deadline: ItemDeadline) -> Notified:
        """Store a validated submission; see ``store_all``.

        Args:
            submitted: The submission.
            deadline: The end of its time. If its set's time ends sooner, it is stored with another set, or alone.
        """
        with self._within(deadline.left_s):  # and not in a set, for which it takes too long the first time
            self._use_cases.prepare()
        together = _Sooner(deadline, _ALONE_S)
        may_share = _rows(submitted) <= _MOST_ROWS
        is_urgent = submitted.checked.incident.severity is Severity.CRITICAL
        while True:
            group_commit, until = (
                (self._group_commit, together) if may_share and together.left_s else (self._new_group_commit(), deadline)
            )
            try:
                return group_commit.commit(submitted, is_urgent=is_urgent, until=until, known_by=deadline)
            except TimeIsOver:
                if not deadline.left_s:
                    raise StorageUnavailable(deadline.waited_s, "submissions that came earlier took all the time") from None
            except CommitUnknown as unknown:
                if not (moved_nothing(unknown) and deadline.left_s):  # a repetition is counted twice at worst
                    raise
            except StorageUnavailable as error:
                if deadline.left_s <= LONGEST_PAUSE_S:
                    raise error.after(deadline.waited_s) from None

    def _new_group_commit(self) -> GroupCommit[Submitted, Notified]:
        return GroupCommit(
            partial(self._use_cases.commit, store_all),
            self._use_cases.report,
            most=_MOST_ROWS,
            size=_rows,
            names=_names,
            within=self._within,
            monitor=self._monitor,
        )


@dataclass(frozen=True, slots=True)
class _Sooner:
    """A deadline some seconds before another."""

    deadline: ItemDeadline
    by_s: float

    @property
    def waited_s(self) -> float:
        return self.deadline.waited_s

    @property
    def left_s(self) -> float:
        return max(0.0, self.deadline.left_s - self.by_s)


def _rows(submitted: Submitted) -> int:
    """Return how many rows a submission writes at most, without the log: each address gets a page, if its tier opens at once."""
    return 1 + sum(2 + len(contact.addresses) for contact in submitted.checked.contacts)


def _names(submitted: Submitted) -> Collection[Hashable]:
    """Return the names that no other submission of its set may have: its incident's key, and its idempotency key."""
    key = ("key", *submitted.name)
    return (key,) if submitted.once is None else (key, ("once", *submitted.once.name))
