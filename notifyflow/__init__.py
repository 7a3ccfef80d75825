"""Durable incident notification: every recipient is told, or operations knows why not.

Importing this opens nothing and reads no environment; each public name is loaded when it is first used (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notifyflow.app import NotifyFlow as NotifyFlow
    from notifyflow.core.delivery.chain import ChainPlace as ChainPlace
    from notifyflow.core.delivery.facts import AttemptFacts as AttemptFacts
    from notifyflow.core.delivery.facts import EscalationFacts as EscalationFacts
    from notifyflow.core.delivery.facts import IncidentFacts as IncidentFacts
    from notifyflow.core.delivery.facts import NotificationFacts as NotificationFacts
    from notifyflow.core.delivery.facts import StepFacts as StepFacts
    from notifyflow.core.delivery.facts import Transition as Transition
    from notifyflow.core.delivery.incident_events import IncidentEvent as IncidentEvent
    from notifyflow.core.delivery.model import AttemptState as AttemptState
    from notifyflow.core.delivery.model import Contact as Contact
    from notifyflow.core.delivery.model import DeferralReason as DeferralReason
    from notifyflow.core.delivery.model import Ended as Ended
    from notifyflow.core.delivery.model import EscalationState as EscalationState
    from notifyflow.core.delivery.model import Evidence as Evidence
    from notifyflow.core.delivery.model import Incident as Incident
    from notifyflow.core.delivery.model import IncidentState as IncidentState
    from notifyflow.core.delivery.model import Kind as Kind
    from notifyflow.core.delivery.model import NotificationState as NotificationState
    from notifyflow.core.delivery.model import Notified as Notified
    from notifyflow.core.delivery.model import Page as Page
    from notifyflow.core.delivery.model import Recipient as Recipient
    from notifyflow.core.delivery.model import Result as Result
    from notifyflow.core.delivery.model import Severity as Severity
    from notifyflow.core.delivery.model import Step as Step
    from notifyflow.core.delivery.model import StepState as StepState
    from notifyflow.core.delivery.model import Stopped as Stopped
    from notifyflow.core.delivery.model import Via as Via
    from notifyflow.core.delivery.policy import DEFAULT as DEFAULT
    from notifyflow.core.delivery.policy import INSISTENT as INSISTENT
    from notifyflow.core.delivery.policy import OPERATIONS as OPERATIONS
    from notifyflow.core.delivery.policy import Acknowledgement as Acknowledgement
    from notifyflow.core.delivery.policy import Failed as Failed
    from notifyflow.core.delivery.policy import Policy as Policy
    from notifyflow.core.delivery.policy import Repeat as Repeat
    from notifyflow.core.delivery.policy import Retries as Retries
    from notifyflow.core.delivery.policy import RetrySchedule as RetrySchedule
    from notifyflow.core.delivery.policy import Tier as Tier
    from notifyflow.core.delivery.policy import Unacknowledged as Unacknowledged
    from notifyflow.core.insight.message_log import LoggedMessage as LoggedMessage
    from notifyflow.core.insight.message_log import MessageFilter as MessageFilter
    from notifyflow.core.insight.message_log import MessagePage as MessagePage
    from notifyflow.core.insight.views import EscalationStatus as EscalationStatus
    from notifyflow.core.insight.views import IncidentFilter as IncidentFilter
    from notifyflow.core.insight.views import IncidentLine as IncidentLine
    from notifyflow.core.insight.views import IncidentPage as IncidentPage
    from notifyflow.core.insight.views import IncidentSilence as IncidentSilence
    from notifyflow.core.insight.views import IncidentStatus as IncidentStatus
    from notifyflow.core.insight.views import ListPlace as ListPlace
    from notifyflow.core.insight.views import Note as Note
    from notifyflow.core.insight.views import RecipientCounts as RecipientCounts
    from notifyflow.core.limits.pauses import Pause as Pause
    from notifyflow.core.limits.pauses import PauseScope as PauseScope
    from notifyflow.core.limits.silences import Author as Author
    from notifyflow.core.limits.silences import AuthorKind as AuthorKind
    from notifyflow.core.limits.silences import Matchers as Matchers
    from notifyflow.core.limits.silences import Silence as Silence
    from notifyflow.core.limits.silences import read_matchers as read_matchers
    from notifyflow.errors import AccessDenied as AccessDenied
    from notifyflow.errors import AmbiguousKey as AmbiguousKey
    from notifyflow.errors import ApiKeyNotFound as ApiKeyNotFound
    from notifyflow.errors import ApiKeyRevoked as ApiKeyRevoked
    from notifyflow.errors import BrokerUnavailable as BrokerUnavailable
    from notifyflow.errors import CommitUnknown as CommitUnknown
    from notifyflow.errors import Contended as Contended
    from notifyflow.errors import DamagedIncident as DamagedIncident
    from notifyflow.errors import DatabaseInUse as DatabaseInUse
    from notifyflow.errors import Fault as Fault
    from notifyflow.errors import FeedNotFound as FeedNotFound
    from notifyflow.errors import Fenced as Fenced
    from notifyflow.errors import HeartbeatNotFound as HeartbeatNotFound
    from notifyflow.errors import IdempotencyMismatch as IdempotencyMismatch
    from notifyflow.errors import IllegalMove as IllegalMove
    from notifyflow.errors import IncidentResolved as IncidentResolved
    from notifyflow.errors import InvalidAge as InvalidAge
    from notifyflow.errors import InvalidApiKey as InvalidApiKey
    from notifyflow.errors import InvalidCalendar as InvalidCalendar
    from notifyflow.errors import InvalidDirectory as InvalidDirectory
    from notifyflow.errors import InvalidIncident as InvalidIncident
    from notifyflow.errors import InvalidInput as InvalidInput
    from notifyflow.errors import InvalidLink as InvalidLink
    from notifyflow.errors import InvalidNamespace as InvalidNamespace
    from notifyflow.errors import InvalidOverride as InvalidOverride
    from notifyflow.errors import InvalidPause as InvalidPause
    from notifyflow.errors import InvalidPolicy as InvalidPolicy
    from notifyflow.errors import InvalidRequest as InvalidRequest
    from notifyflow.errors import InvalidScript as InvalidScript
    from notifyflow.errors import InvalidSettings as InvalidSettings
    from notifyflow.errors import InvalidSilence as InvalidSilence
    from notifyflow.errors import InvalidUser as InvalidUser
    from notifyflow.errors import LoginRefused as LoginRefused
    from notifyflow.errors import MissingScope as MissingScope
    from notifyflow.errors import NotConfirmed as NotConfirmed
    from notifyflow.errors import NotFound as NotFound
    from notifyflow.errors import NotifyflowError as NotifyflowError
    from notifyflow.errors import NotLoggedIn as NotLoggedIn
    from notifyflow.errors import OtherHeartbeat as OtherHeartbeat
    from notifyflow.errors import OverrideNotFound as OverrideNotFound
    from notifyflow.errors import PermanentProviderError as PermanentProviderError
    from notifyflow.errors import PortUnavailable as PortUnavailable
    from notifyflow.errors import ProgramMissing as ProgramMissing
    from notifyflow.errors import ProviderError as ProviderError
    from notifyflow.errors import RecipientInUse as RecipientInUse
    from notifyflow.errors import RecipientNotFound as RecipientNotFound
    from notifyflow.errors import RecipientUnknown as RecipientUnknown
    from notifyflow.errors import Refused as Refused
    from notifyflow.errors import RefusedUsError as RefusedUsError
    from notifyflow.errors import RejectedCallback as RejectedCallback
    from notifyflow.errors import SchemaMismatch as SchemaMismatch
    from notifyflow.errors import SetupOver as SetupOver
    from notifyflow.errors import SilenceNotFound as SilenceNotFound
    from notifyflow.errors import StaleRow as StaleRow
    from notifyflow.errors import StorageError as StorageError
    from notifyflow.errors import StorageUnavailable as StorageUnavailable
    from notifyflow.errors import TemporaryProviderError as TemporaryProviderError
    from notifyflow.errors import TooManyAddresses as TooManyAddresses
    from notifyflow.errors import TooManyLogins as TooManyLogins
    from notifyflow.errors import TooManyRequests as TooManyRequests
    from notifyflow.errors import TooManyTests as TooManyTests
    from notifyflow.errors import UnknownOutcomeError as UnknownOutcomeError
    from notifyflow.errors import UnreadableIncident as UnreadableIncident
    from notifyflow.errors import UnreadableRow as UnreadableRow
    from notifyflow.errors import UnreleasedSchema as UnreleasedSchema
    from notifyflow.errors import UnsuitableConnection as UnsuitableConnection
    from notifyflow.errors import UserExists as UserExists
    from notifyflow.errors import UserNotFound as UserNotFound
    from notifyflow.errors import WrongEnvironment as WrongEnvironment
    from notifyflow.settings import Settings as Settings
    from notifyflow.version import __version__ as __version__

_NAMES = {
    "notifyflow.app": "NotifyFlow",
    "notifyflow.core.delivery.chain": "ChainPlace",
    "notifyflow.core.delivery.facts": "AttemptFacts EscalationFacts IncidentFacts NotificationFacts StepFacts Transition",
    "notifyflow.core.delivery.incident_events": "IncidentEvent",
    "notifyflow.core.insight.message_log": "LoggedMessage MessageFilter MessagePage",
    "notifyflow.core.delivery.model": (
        "AttemptState Contact DeferralReason Ended EscalationState Evidence Incident IncidentState Kind NotificationState "
        "Notified Page Recipient Result Severity Step StepState Stopped Via"
    ),
    "notifyflow.core.limits.pauses": "Pause PauseScope",
    "notifyflow.core.limits.silences": "Author AuthorKind Matchers Silence read_matchers",
    "notifyflow.core.delivery.policy": (
        "DEFAULT INSISTENT OPERATIONS Acknowledgement Failed Policy Repeat Retries RetrySchedule Tier Unacknowledged"
    ),
    "notifyflow.core.insight.views": (
        "EscalationStatus IncidentFilter IncidentLine IncidentPage IncidentSilence IncidentStatus ListPlace Note RecipientCounts"
    ),
    "notifyflow.errors": (
        "AccessDenied AmbiguousKey ApiKeyNotFound ApiKeyRevoked BrokerUnavailable CommitUnknown Contended DamagedIncident "
        "DatabaseInUse Fault FeedNotFound Fenced HeartbeatNotFound IdempotencyMismatch IllegalMove IncidentResolved InvalidAge "
        "InvalidApiKey InvalidCalendar InvalidDirectory InvalidIncident InvalidInput InvalidLink InvalidNamespace "
        "InvalidOverride InvalidPause InvalidPolicy InvalidRequest InvalidScript InvalidSettings InvalidSilence InvalidUser "
        "LoginRefused MissingScope NotConfirmed NotFound NotLoggedIn NotifyflowError OtherHeartbeat OverrideNotFound "
        "PermanentProviderError PortUnavailable ProgramMissing ProviderError RecipientInUse RecipientNotFound RecipientUnknown "
        "Refused RefusedUsError RejectedCallback SchemaMismatch SetupOver SilenceNotFound StaleRow StorageError "
        "StorageUnavailable TemporaryProviderError TooManyAddresses TooManyLogins TooManyRequests TooManyTests "
        "UnknownOutcomeError UnreadableIncident UnreadableRow UnreleasedSchema UnsuitableConnection UserExists UserNotFound "
        "WrongEnvironment"
    ),
    "notifyflow.settings": "Settings",
    "notifyflow.version": "__version__",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [*_MODULES]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
