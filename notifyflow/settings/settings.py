"""Settings: the only reader of the environment.

All settings are validated at once. Each channel checks by itself whether its providers' settings are complete, so that a missing
provider does not stop the others.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ModelWrapValidatorHandler, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from notifyflow.core.delivery.incident_events import read_subscribers
from notifyflow.core.limits.mode import read_delivery
from notifyflow.errors import Fault, InvalidSettings
from notifyflow.settings.kinds import (
    PHONE_PREFIX,
    SHORTEST_KEY,
    Endpoints,
    File,
    Folder,
    Keys,
    Limits,
    LogFormat,
    LogLevel,
    Names,
    Networks,
    Prefixes,
    Seconds,
    Secrets,
    Topics,
    WebUrl,
    be_readable,
    be_url,
    require,
)
from notifyflow.settings.variables import FAULTS, PREFIX, TOLERATED, Variables, is_secret, of_environment, unknown

_VARIABLES = "variables"
LONGEST_SEND_S = 60.0
"""How long a send may take at most: a ring is handled by at most eight, and dramatiq interrupts it after ten minutes."""
_MARGIN_S = 1.0  # of a lease, to commit the claim before the send and to record its outcome after it


class Settings(BaseSettings):
    """The settings; each field is ``NOTIFYFLOW_<NAME>``, a secret also ``NOTIFYFLOW_<NAME>_FILE``.

    Raises:
        InvalidSettings: When any setting is wrong, with every fault.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: Annotated[SecretStr, be_url("sqlite", "postgresql")] = Field(
        default=SecretStr("sqlite:///notifyflow.db"), description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    )
    read_url: Annotated[SecretStr, be_url("postgresql")] | None = Field(
        default=None, description="postgresql://USER:PASSWORD@HOST/DATABASE, a replica of the database that lists are read from"
    )
    prepared_statements: bool = Field(
        default=True, description="off for a connection pooler that does not support prepared statements"
    )
    broker_url: Annotated[SecretStr, be_url("memory", "redis", "rediss", "amqp", "amqps")] = Field(
        default=SecretStr("memory://"),
        description="memory:// (this process delivers), redis://HOST:PORT/NUMBER, amqp://USER:PASSWORD@HOST/VHOST, rediss:// or amqps://",
    )
    require_disk: bool = Field(
        default=False,
        description="true to refuse an SQLite file that is in memory (tmpfs) or a container's own layer (overlay)",
    )
    public_url: WebUrl | None = Field(default=None, description="the http(s) URL of the web service, as seen from the internet")
    secret_key: Keys = Field(
        default=(),
        description=f"one or more texts of {SHORTEST_KEY} characters or more; the first signs links, all are accepted",
    )
    policies: File | None = Field(default=None, description="a TOML file of named policies")
    directory: File | None = Field(default=None, description="a TOML file of recipients, groups and routes")
    templates: Folder | None = Field(default=None, description="a folder with your own message templates")
    ops_recipients: str | None = Field(default=None, description="a JSON list of recipients, or a file that holds one")
    ops_contact: Annotated[str, Field(max_length=100)] = Field(
        default="", description="whom to ask in order to get no more messages: a name, a mail address or a web address"
    )
    https_proxy: Annotated[SecretStr, be_url("http", "https")] | None = Field(
        default=None, description="the http(s) URL of the proxy through which providers are reached"
    )
    ca_bundle: File | None = Field(default=None, description="a PEM file of the authorities to trust instead of the usual ones")
    trusted_endpoints: Endpoints = Field(
        default=(), description="host:port of endpoints that may be http, private or on other hosts"
    )
    heartbeat_url: Annotated[SecretStr, be_url("http", "https")] | None = Field(
        default=None, description="the http(s) URL of a monitor that alerts when heartbeats stop"
    )
    heartbeat_s: Seconds = Field(default=60.0, description="seconds between two heartbeats")
    log_level: LogLevel | None = Field(
        default=None,
        description="debug, info, warning or error; by default info for up, web and worker, error for other commands",
    )
    log_format: LogFormat | None = Field(
        default=None, description="console, json or logfmt; by default console on a terminal and json elsewhere"
    )
    status_updates: bool = Field(
        default=True, description="false to send no status updates about who acknowledged or resolved an incident"
    )
    bundling: bool = Field(default=True, description="false to send each page by itself, however many a person gets at once")
    notice: str = Field(default="", description="a short text that every message shows")

    webhooks: Annotated[SecretStr, be_readable(read_subscribers)] | None = Field(
        default=None,
        description='JSON: {"NAME": {"url": "https://…", "secrets": ["whsec_…"]}}, the systems that receive every incident event',
    )
    delivery: Annotated[SecretStr, be_readable(read_delivery)] = Field(
        default=SecretStr("live"), description="live, redirect:CHANNEL=ADDRESS,…, allow:PATTERN,… or dry-run"
    )
    environment: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = Field(
        default=None, description="the name of this environment, up to 64 letters, digits, dots, dashes"
    )
    recipient_caps: Limits | None = Field(
        default=None,
        description="CHANNEL=NUMBER pairs: messages an hour from one namespace to one address; by default sms=60,voice=30",
    )
    prefix_caps: Annotated[
        Limits, require(lambda caps: all(map(PHONE_PREFIX.fullmatch, caps)), "is not a list of +DIGITS=NUMBER")
    ] = Field(default={}, description="+DIGITS=NUMBER pairs: texts, and calls, an hour to all numbers with the prefix")
    costly_numbers: Prefixes = Field(
        default=(), description="+DIGITS prefixes of premium-rate, shared-cost and satellite numbers that may be paged"
    )

    smtp_url: SecretStr | None = Field(default=None, description="smtp://USER:PASSWORD@HOST:PORT (STARTTLS) or smtps://…")
    mail_from: str | None = Field(default=None, description="the sender of mail over SMTP")
    aws_region: str | None = Field(default=None, description="the AWS region of SES and SNS")
    aws_access_key_id: SecretStr | None = Field(
        default=None, description="an AWS access key; the default AWS credential chain if unset"
    )
    aws_secret_access_key: SecretStr | None = Field(default=None, description="the secret of that access key")
    aws_endpoint_url: WebUrl | None = Field(default=None, description="another base URL of SES, SNS, SQS and STS")
    ses_from: str | None = Field(default=None, description="the sender of mail over SES")
    ses_configuration_set: str | None = Field(default=None, description="the SES configuration set that publishes events")
    sns_is_configured: bool = Field(default=False, description="true to send push messages over SNS")
    sns_sms: bool = Field(default=False, description="true to allow texts over SNS")
    sns_sms_sender_id: (
        Annotated[str, Field(pattern=r"^[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*$", min_length=3, max_length=11)] | None
    ) = Field(default=None, description="the sender of texts over SNS: 3 to 11 letters and digits, at least one letter")
    sns_topics: Topics = Field(default=(), description="ARNs of the SNS topics whose messages are accepted")
    sqs_queue_url: WebUrl | None = Field(default=None, description="the URL of the SQS queue subscribed to those topics")
    twilio_account_sid: str | None = Field(default=None, description="the account SID, AC…")
    twilio_auth_token: Secrets = Field(default=(), description="one or two auth tokens; the first is used, all verify callbacks")
    twilio_sms_from: str | None = Field(default=None, description="a number, or a messaging service MG…, that texts come from")
    twilio_sms_replies: bool = Field(
        default=False, description="true if Twilio posts the number's incoming messages to …/callbacks/twilio/sms"
    )
    twilio_voice_from: str | None = Field(default=None, description="a number that calls come from")
    twilio_b_account_sid: str | None = Field(default=None, description="the SID of a second account, used when the first fails")
    twilio_b_auth_token: Secrets = Field(default=(), description="one or two auth tokens of the second account")
    twilio_b_sms_from: str | None = Field(default=None, description="a number, or a messaging service MG…, of the second account")
    twilio_b_voice_from: str | None = Field(default=None, description="a number of the second account that calls come from")
    twilio_base_url: WebUrl = Field(default="https://api.twilio.com", description="another base URL of Twilio")
    slack_bot_token: SecretStr | None = Field(default=None, description="a bot token, xoxb-…")
    slack_signing_secret: Secrets = Field(
        default=(), description="one or two signing secrets of the bot's app; with one, the button acknowledges in Slack"
    )
    slack_base_url: WebUrl = Field(default="https://slack.com/api/", description="another base URL of Slack's Web API")

    lease_s: Annotated[float, Field(gt=0, le=120)] = Field(
        default=60.0, description="seconds, at most 120, for which a claimed notification belongs to its worker"
    )
    connect_timeout_s: Seconds = Field(default=3.0, description="seconds to connect to a provider")
    read_timeout_s: Seconds = Field(default=10.0, description="seconds to wait for a provider's response")
    drain_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=10.0, description="seconds to deliver due notifications for before the process stops"
    )
    concurrent_sends: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="concurrent sends in one process, 1 to 1000"
    )
    provider_limits: Limits = Field(
        default={}, description="PROVIDER=NUMBER pairs: sends a minute, 1 to 1,000,000; 100 for those not named"
    )
    provider_order: Names = Field(
        default=(), description="providers in order of preference; the others follow in their default order"
    )

    api_requests_a_minute: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=600, description="requests a minute that one API key may make to one process, 1 to 1000000"
    )
    incident_recipients: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=5_000, description="recipients in one request to /v1/incidents, 1 to 100000"
    )
    unknown_addresses_a_minute: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=5_000, description="addresses a minute unknown to the directory that one namespace may submit, 1 to 1000000"
    )
    metrics_hosts: Networks = Field(
        default=(), description="addresses or networks, as 10.0.0.0/8, from which /metrics is read without an API key"
    )
    web_connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1_000, description="concurrent connections to the web service, 1 to 100000"
    )

    trusted_proxies: Annotated[Networks, require(lambda those: all(each.prefixlen for each in those), "is everybody")] = Field(
        default=(), description="addresses or networks of the reverse proxies whose X-Forwarded-For and user header are trusted"
    )
    proxy_user_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")] | None = Field(
        default=None, description="the name of the header in which a trusted proxy gives the name of the user"
    )

    def __init__(self, **values: Any) -> None:
        """Take settings by name, and what is not given from the environment; secrets, paths and lists also as plain text."""
        super().__init__(**values)

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> Self:
        """Read ``NOTIFYFLOW_*`` from a mapping instead of the environment.

        Raises:
            InvalidSettings: When any setting is wrong, with every fault.
        """
        return cls(**{_VARIABLES: variables})

    @classmethod
    def tolerant(cls) -> tuple[Self, tuple[Fault, ...]]:
        """Read the environment, with the defaults of settings that are wrong; only to look for more that is wrong.

        Returns:
            The settings, and every fault of theirs.
        """
        faults: list[Fault] = []
        return cls(**{TOLERATED: faults}), tuple(faults)

    @property
    def is_embedded(self) -> bool:
        """Whether each process delivers by itself, without a shared broker."""
        return self.broker_url.get_secret_value().startswith("memory:")

    @property
    def send_budget_s(self) -> float:
        """The longest time one send may take, in seconds."""
        return self.connect_timeout_s + self.read_timeout_s

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the variables; no dotenv file, no folder of secrets."""
        del env_settings, dotenv_settings, file_secret_settings
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101 - pydantic-settings says so
        variables = init_settings.init_kwargs.pop(_VARIABLES, of_environment())
        tolerated = init_settings.init_kwargs.pop(TOLERATED, None)
        return init_settings, Variables(settings_cls, variables, tolerated)

    @model_validator(mode="wrap")
    @classmethod
    def _validate(cls, values: dict[str, Any], handler: ModelWrapValidatorHandler[Self]) -> Self:
        faults: list[Fault] = values.pop(FAULTS, [])
        tolerated: list[Fault] | None = values.pop(TOLERATED, None)
        try:
            settings = handler(values)
        except ValidationError as error:
            details = error.errors(include_url=False)
            faults += [_fault(detail) for detail in details]
            wrong = {str(detail["loc"][0]) for detail in details}
            settings = handler({name: value for name, value in values.items() if name not in wrong})
        named = {fault.where for fault in faults}
        faults += [fault for fault in _contradictions(settings) if fault.where not in named]
        if tolerated is not None:
            tolerated += faults
        elif faults:
            raise InvalidSettings(tuple(faults)) from None
        return settings


def _fault(detail: ErrorDetails) -> Fault:
    """Return the fault of a pydantic error, with the value unless it is a secret or may contain one before an @."""
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return unknown(name, Settings.model_fields)
    field = Settings.model_fields[name]
    what = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else f"is refused: {detail['msg'].lower()}"
    value = repr(detail["input"])
    shown = "the value" if is_secret(field) or "@" in value else value[:100]
    return Fault(PREFIX + name.upper(), f"{shown} {what}", f"Give {field.description}")


def _contradictions(settings: Settings) -> list[Fault]:
    """Return the faults of settings that are valid alone and contradict each other."""
    faults: list[Fault] = []
    if settings.send_budget_s > LONGEST_SEND_S:
        what = f"and CONNECT_TIMEOUT_S make {settings.send_budget_s:g} s together; at most {LONGEST_SEND_S:g} s are allowed"
        faults.append(Fault(PREFIX + "READ_TIMEOUT_S", what, "Lower one of them"))
    least_s = settings.send_budget_s + _MARGIN_S
    if settings.lease_s < least_s:
        what = f"{settings.lease_s:g} s is less than the {least_s:g} s that a send and its two transactions may take"
        faults.append(Fault(PREFIX + "LEASE_S", what, "Raise it, or lower CONNECT_TIMEOUT_S and READ_TIMEOUT_S"))
    if settings.read_url is not None and not settings.database_url.get_secret_value().startswith("postgresql:"):
        what = "names a replica, and the database is an SQLite file, which has none"
        faults.append(Fault(PREFIX + "READ_URL", what, f"Unset it, or name a PostgreSQL in {PREFIX}DATABASE_URL"))
    elif settings.read_url == settings.database_url:
        what = f"is the same as {PREFIX}DATABASE_URL, so that it takes nothing off that server"
        faults.append(Fault(PREFIX + "READ_URL", what, "Name a replica of it, or unset it"))
    if settings.proxy_user_header is not None and not settings.trusted_proxies:
        what = "is set, but no proxy is trusted, so that nobody could log in"
        faults.append(Fault(PREFIX + "PROXY_USER_HEADER", what, f"List the proxies in {PREFIX}TRUSTED_PROXIES, or unset it"))
    return faults
