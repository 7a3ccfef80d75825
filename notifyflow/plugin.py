"""All that a channel from outside needs; a package with a channel imports nothing else of notifyflow.

It only names what stands elsewhere. These names stay where they are when the modules behind them move.
"""

from notifyflow.channels.base import Accepted as Accepted
from notifyflow.channels.base import Callback as Callback
from notifyflow.channels.base import CallbackResponse as CallbackResponse
from notifyflow.channels.base import Channel as Channel
from notifyflow.channels.base import Closable as Closable
from notifyflow.channels.base import Provider as Provider
from notifyflow.channels.base import ProviderCapabilities as ProviderCapabilities
from notifyflow.channels.http import Http as Http
from notifyflow.channels.http import HttpResponse as HttpResponse
from notifyflow.channels.http import refusal as refusal
from notifyflow.channels.http.guard import Guard as Guard
from notifyflow.channels.provider_protocols import FetchesStatus as FetchesStatus
from notifyflow.channels.provider_protocols import FindsSentMessages as FindsSentMessages
from notifyflow.channels.provider_protocols import LogsIn as LogsIn
from notifyflow.channels.provider_protocols import ReadsCallbacks as ReadsCallbacks
from notifyflow.channels.provider_protocols import ReadsReplies as ReadsReplies
from notifyflow.channels.provider_protocols import Recalls as Recalls
from notifyflow.channels.provider_protocols import Responds as Responds
from notifyflow.channels.provider_protocols import RespondsToKeys as RespondsToKeys
from notifyflow.channels.tables import Row as Row
from notifyflow.channels.tables import Status as Status
from notifyflow.channels.tables import Statuses as Statuses
from notifyflow.channels.tables import Table as Table
from notifyflow.channels.tables import Verdict as Verdict
from notifyflow.channels.tables import table as table
from notifyflow.core.capabilities import ChannelCapabilities as ChannelCapabilities
from notifyflow.core.delivery.model import Evidence as Evidence
from notifyflow.core.delivery.model import Kind as Kind
from notifyflow.core.delivery.model import Receipt as Receipt
from notifyflow.core.delivery.model import Result as Result
from notifyflow.core.delivery.model import Severity as Severity
from notifyflow.core.messages.content import Content as Content
from notifyflow.core.messages.looks import Look as Look
from notifyflow.core.messages.outbound import OutboundMessage as OutboundMessage
from notifyflow.core.messages.replies import Choice as Choice
from notifyflow.core.messages.replies import Effect as Effect
from notifyflow.core.messages.replies import HandledReply as HandledReply
from notifyflow.core.messages.replies import Intent as Intent
from notifyflow.core.messages.replies import Reply as Reply
from notifyflow.core.messages.replies import read_text as read_text
from notifyflow.core.messages.replies import write_response as write_response
from notifyflow.core.text import cut as cut
from notifyflow.core.text import one_line as one_line
from notifyflow.errors import Fault as Fault
from notifyflow.errors import PermanentProviderError as PermanentProviderError
from notifyflow.errors import ProviderError as ProviderError
from notifyflow.errors import RefusedUsError as RefusedUsError
from notifyflow.errors import RejectedCallback as RejectedCallback
from notifyflow.errors import TemporaryProviderError as TemporaryProviderError
from notifyflow.errors import UnknownOutcomeError as UnknownOutcomeError
from notifyflow.settings import Settings as Settings
