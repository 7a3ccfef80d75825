"""The errors that notifyflow raises, as one tree.

This package imports none of ours, so that every other one may import it. An error carries its facts as attributes; its text is
made of them and never holds an address, a token or a message.
"""

from notifyflow.errors.access import AccessDenied as AccessDenied
from notifyflow.errors.access import ApiKeyNotFound as ApiKeyNotFound
from notifyflow.errors.access import ApiKeyRevoked as ApiKeyRevoked
from notifyflow.errors.access import InvalidApiKey as InvalidApiKey
from notifyflow.errors.access import InvalidLink as InvalidLink
from notifyflow.errors.access import LoginRefused as LoginRefused
from notifyflow.errors.access import MissingScope as MissingScope
from notifyflow.errors.access import NotLoggedIn as NotLoggedIn
from notifyflow.errors.access import SetupOver as SetupOver
from notifyflow.errors.access import TooManyAddresses as TooManyAddresses
from notifyflow.errors.access import TooManyLogins as TooManyLogins
from notifyflow.errors.access import TooManyRequests as TooManyRequests
from notifyflow.errors.access import TooManyTests as TooManyTests
from notifyflow.errors.access import UserExists as UserExists
from notifyflow.errors.access import UserNotFound as UserNotFound
from notifyflow.errors.incidents import AmbiguousKey as AmbiguousKey
from notifyflow.errors.incidents import Fenced as Fenced
from notifyflow.errors.incidents import IdempotencyMismatch as IdempotencyMismatch
from notifyflow.errors.incidents import IllegalMove as IllegalMove
from notifyflow.errors.incidents import IncidentResolved as IncidentResolved
from notifyflow.errors.incidents import NotConfirmed as NotConfirmed
from notifyflow.errors.incidents import NotFound as NotFound
from notifyflow.errors.incidents import OverrideNotFound as OverrideNotFound
from notifyflow.errors.incidents import RecipientInUse as RecipientInUse
from notifyflow.errors.incidents import RecipientNotFound as RecipientNotFound
from notifyflow.errors.incidents import RecipientUnknown as RecipientUnknown
from notifyflow.errors.input import NAMED as NAMED
from notifyflow.errors.input import Fault as Fault
from notifyflow.errors.input import InvalidAge as InvalidAge
from notifyflow.errors.input import InvalidDirectory as InvalidDirectory
from notifyflow.errors.input import InvalidIncident as InvalidIncident
from notifyflow.errors.input import InvalidInput as InvalidInput
from notifyflow.errors.input import InvalidNamespace as InvalidNamespace
from notifyflow.errors.input import InvalidOverride as InvalidOverride
from notifyflow.errors.input import InvalidPause as InvalidPause
from notifyflow.errors.input import InvalidPolicy as InvalidPolicy
from notifyflow.errors.input import InvalidRequest as InvalidRequest
from notifyflow.errors.input import InvalidScript as InvalidScript
from notifyflow.errors.input import InvalidSettings as InvalidSettings
from notifyflow.errors.input import InvalidUser as InvalidUser
from notifyflow.errors.input import UnreadableIncident as UnreadableIncident
from notifyflow.errors.input import count_more as count_more
from notifyflow.errors.input import named as named
from notifyflow.errors.providers import PermanentProviderError as PermanentProviderError
from notifyflow.errors.providers import ProviderError as ProviderError
from notifyflow.errors.providers import RefusedUsError as RefusedUsError
from notifyflow.errors.providers import RejectedCallback as RejectedCallback
from notifyflow.errors.providers import TemporaryProviderError as TemporaryProviderError
from notifyflow.errors.providers import UnknownOutcomeError as UnknownOutcomeError
from notifyflow.errors.root import NotifyflowError as NotifyflowError
from notifyflow.errors.servers import BrokerUnavailable as BrokerUnavailable
from notifyflow.errors.servers import CommitUnknown as CommitUnknown
from notifyflow.errors.servers import DatabaseInUse as DatabaseInUse
from notifyflow.errors.servers import PortUnavailable as PortUnavailable
from notifyflow.errors.servers import ProgramMissing as ProgramMissing
from notifyflow.errors.servers import SchemaMismatch as SchemaMismatch
from notifyflow.errors.servers import StaleRow as StaleRow
from notifyflow.errors.servers import StorageError as StorageError
from notifyflow.errors.servers import StorageUnavailable as StorageUnavailable
from notifyflow.errors.servers import UnreleasedSchema as UnreleasedSchema
from notifyflow.errors.servers import UnsuitableConnection as UnsuitableConnection
from notifyflow.errors.servers import WrongEnvironment as WrongEnvironment
