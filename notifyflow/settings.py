"""Settings: the only reader of the environment."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything that can be set; each field is ``NOTIFYFLOW_<NAME>``, secrets also ``NOTIFYFLOW_<NAME>_FILE``."""

    model_config = SettingsConfigDict(env_prefix="NOTIFYFLOW_", frozen=True, extra="ignore")

    database_url: SecretStr = SecretStr("sqlite:///notifyflow.db")
    broker_url: SecretStr = SecretStr("memory://")
    public_url: str | None = None
    secret_key: tuple[SecretStr, ...] = ()
    policies: Path | None = None
    templates: Path | None = None
    ops_recipients: str | None = None
    https_proxy: SecretStr | None = None
    ca_bundle: Path | None = None
    trusted_endpoints: tuple[str, ...] = ()
    notice: str = ""

    smtp_url: SecretStr | None = None
    mail_from: str | None = None
    aws_region: str | None = None
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_endpoint_url: str | None = None
    ses_from: str | None = None
    ses_configuration_set: str | None = None
    sns_is_configured: bool = False
    twilio_account_sid: str | None = None
    twilio_auth_token: tuple[SecretStr, ...] = ()
    twilio_sms_from: str | None = None
    twilio_voice_from: str | None = None
    twilio_base_url: str = "https://api.twilio.com"
    slack_bot_token: SecretStr | None = None
    slack_base_url: str = "https://slack.com/api/"

    lease_s: float = 60.0
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    concurrent_sends: int = 10
