"""AWS over boto3: one client per service, without boto3's own retries, with its errors classified.

boto3 loads slowly, so only a process that sends imports it (``Provider.libraries``).
"""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from notifyflow.channels.aws.codes import STS
from notifyflow.channels.base import Accepted, Provider
from notifyflow.channels.http import refusal, retry_after_s
from notifyflow.channels.http.guard import endpoint_faults
from notifyflow.channels.tables import Table
from notifyflow.errors import Fault, ProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings

# SNS's wording: "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"
_BLAMED = re.compile(r"Invalid parameter: (\w{1,64}) Reason:")


class AwsClient:
    """Calls one service; any number of threads may use it (clients are thread-safe, sessions are not).

    Args:
        service: Its name, as boto3 knows it.
        settings: The account, the endpoint and the time-outs.
        codes: The table of its refusals.
    """

    def __init__(self, service: str, settings: Settings, codes: Table) -> None:
        self._service = service
        self._settings = settings
        self._codes = codes
        self._lock = threading.Lock()
        self._client: Any = None
        self._seen = threading.local()

    def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Call an operation once.

        Raises:
            ProviderError: When the call fails, by what the failure means.
        """
        from botocore import exceptions
        from botocore.parsers import ResponseParserError

        try:
            response: Mapping[str, Any] = getattr(self._connected(), operation)(**arguments)
        except exceptions.ClientError as error:
            raise self._refusal(error.response) from error
        except exceptions.BotoCoreError as error:
            raise _failure(error) from error
        except (ResponseParserError, AttributeError) as error:  # the latter where JSON is not of the shape that botocore expects
            raise self._unread() from error
        return response

    def submit(self, operation: str, **arguments: object) -> Accepted:
        """Call an operation that takes a message and returns its id.

        Raises:
            ProviderError: When the message was not accepted, or the outcome is unknown.
        """
        response = self.call(operation, **arguments)
        if not response.get("MessageId"):
            raise UnknownOutcomeError("answered without an id of the message", code="garbage")
        return Accepted(provider_ref=str(response["MessageId"]))

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _connect(self._service, self._settings)
                self._client.meta.events.register("before-parse", self._note_status)
            return self._client

    def _note_status(self, response_dict: Mapping[str, Any], **_: object) -> None:
        self._seen.status = response_dict["status_code"]

    def _unread(self) -> ProviderError:
        """Classify a response that botocore could not read by its status, which botocore's error does not keep."""
        status: int = self._seen.status
        if 200 <= status < 300:
            return UnknownOutcomeError("the response cannot be understood", code="garbage")
        return refusal(status, self._codes)

    def _blaming(self, code: str, message: str) -> str:
        """Add the rejected parameter, if the table has a row for it."""
        blamed = _BLAMED.match(message)
        narrow = f"{code}:{blamed[1]}" if blamed else code
        return narrow if narrow in self._codes else code

    def _refusal(self, response: Mapping[str, Any]) -> ProviderError:
        about = response.get("ResponseMetadata", {})
        error = response.get("Error", {})
        code = self._blaming(error.get("Code", ""), error.get("Message", ""))
        headers = about.get("HTTPHeaders", {})
        retry_after = retry_after_s({"Retry-After": headers.get("retry-after", ""), "Date": headers.get("date", "")})
        return refusal(about.get("HTTPStatusCode", 0), self._codes, code=code, retry_after_s=retry_after)


class AwsProvider(Provider):
    """A service of one AWS account, for one channel."""

    libraries = ("boto3", "botocore.parsers")

    def __init__(self, service: str, settings: Settings, codes: Table) -> None:
        """Make the client; see ``AwsClient``."""
        self._settings = settings
        self._client = AwsClient(service, settings, codes)
        self.clients = (self._client,)

    def try_login(self) -> str:
        """Ask STS who we are, for which no permission is needed (STS API Reference, GetCallerIdentity); see ``LogsIn``."""
        with contextlib.closing(AwsClient("sts", self._settings, STS)) as identity:
            identity.call("get_caller_identity")
        return "AWS accepts the key"


def aws_faults(settings: Settings, service: str) -> Iterator[Fault]:
    """Yield the missing or wrong settings of a service."""
    if not settings.aws_region:
        yield Fault("NOTIFYFLOW_AWS_REGION", f"is not set, and {service} needs one", "Give the region, such as eu-central-1")
    yield from endpoint_faults("AWS_ENDPOINT_URL", settings.aws_endpoint_url, settings.trusted_endpoints)


def _connect(service: str, settings: Settings) -> Any:
    import boto3
    from botocore.config import Config

    key, secret = settings.aws_access_key_id, settings.aws_secret_access_key
    session: Any = boto3.session.Session(
        aws_access_key_id=key.get_secret_value() if key else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        region_name=settings.aws_region,
    )
    return session.client(
        service,
        endpoint_url=settings.aws_endpoint_url,
        verify=str(settings.ca_bundle) if settings.ca_bundle else None,
        config=Config(
            connect_timeout=settings.connect_timeout_s,
            read_timeout=settings.read_timeout_s,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=settings.concurrent_sends,
            # an empty mapping, not None: None would let the environment choose
            proxies={"https": settings.https_proxy.get_secret_value()} if settings.https_proxy else {},
        ),
    )


def _failure(error: Exception) -> ProviderError:
    """Translate one of botocore's own errors (``botocore.exceptions``)."""
    from botocore import exceptions

    no_connection = (exceptions.EndpointConnectionError, exceptions.ProxyConnectionError, exceptions.SSLError)
    no_key = (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.CredentialRetrievalError)
    match error:
        case _ if isinstance(error, (*no_connection, exceptions.ConnectTimeoutError)):
            return TemporaryProviderError("could not be reached", code="no_connection", is_unhealthy=True)
        case _ if isinstance(error, (*no_key, exceptions.NoRegionError, exceptions.TokenRetrievalError)):
            return RefusedUsError("there are no AWS credentials", code="no_credentials")
        case exceptions.ParamValidationError():
            return RefusedUsError("our request is not one that AWS takes", code="parameters", is_about_content=True)
        case exceptions.ReadTimeoutError():
            return UnknownOutcomeError("did not answer in time", code="timeout")
        case _:
            return UnknownOutcomeError("the connection broke before a response came", code="connection_lost")
