"""Which settings are valid, and the errors for those that are not."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from notifyflow.errors import Fault, InvalidSettings
from notifyflow.settings import Settings

KEY = "a secret of 16 or more"


def faults_of(**variables: str) -> dict[str, Fault]:
    with pytest.raises(InvalidSettings) as refused:
        Settings.from_variables({f"NOTIFYFLOW_{name}": value for name, value in variables.items()})
    return {fault.where.removeprefix("NOTIFYFLOW_"): fault for fault in refused.value.faults}


def test_with_nothing_set_it_runs_on_one_file_inside_one_process() -> None:
    settings = Settings.from_variables({})
    assert settings.database_url.get_secret_value() == "sqlite:///notifyflow.db"
    assert settings.is_embedded


def test_a_database_url_may_name_several_servers_each_with_its_port():
    url = "postgresql://notifyflow@db-1:5432,db-2:5433/notifyflow?target_session_attrs=read-write"
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": url})
    assert settings.database_url.get_secret_value() == url


def test_the_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFYFLOW_NOTICE", "drill")
    assert Settings().notice == "drill"
    assert Settings(notice="given").notice == "given"
    assert Settings.from_variables({}).notice == ""


def test_plain_text_is_taken_for_every_secret_path_and_list(tmp_path: Path) -> None:
    settings = Settings(database_url="sqlite:///pages.db", secret_key=[KEY], templates=str(tmp_path), provider_limits="twilio=5")
    assert settings.database_url == SecretStr("sqlite:///pages.db")
    assert settings.secret_key == (SecretStr(KEY),)
    assert settings.templates == tmp_path
    assert settings.provider_limits == {"twilio": 5}
    assert Settings(secret_key=KEY).secret_key == settings.secret_key


def test_an_argument_that_is_no_setting_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidSettings) as refused:
        Settings(databse_url="sqlite:///pages.db", colour="red")
    assert sorted(map(str, refused.value.faults)) == [
        "colour: is not a setting. Remove it: nothing reads it.",
        "databse_url: is not a setting. Use database_url, if that was meant.",
    ]


@pytest.mark.parametrize("text", [f"{KEY},{KEY} 2", f" {KEY} , {KEY} 2 ,", f'["{KEY}", "{KEY} 2"]'])
def test_a_list_is_read_from_commas_or_from_json(text: str) -> None:
    settings = Settings.from_variables({"NOTIFYFLOW_SECRET_KEY": text})
    assert [key.get_secret_value() for key in settings.secret_key] == [KEY, f"{KEY} 2"]


def test_an_invalid_json_list_is_refused() -> None:
    assert "JSON" in faults_of(TRUSTED_ENDPOINTS='["a:1"')["TRUSTED_ENDPOINTS"].what


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("xoxb-1\n")
    settings = Settings.from_variables({"NOTIFYFLOW_SLACK_BOT_TOKEN_FILE": str(path)})
    assert settings.slack_bot_token == SecretStr("xoxb-1")


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    assert "SECRET_KEY_FILE" in faults_of(SECRET_KEY=KEY, SECRET_KEY_FILE=str(path))["SECRET_KEY"].what


def test_an_unreadable_secrets_file_is_reported_with_its_path() -> None:
    assert "'/no/such/file'" in faults_of(SLACK_BOT_TOKEN_FILE="/no/such/file")["SLACK_BOT_TOKEN_FILE"].what


def test_only_secrets_may_stand_in_files() -> None:
    assert faults_of(NOTICE_FILE="/etc/hostname")["NOTICE_FILE"].what == "is not a setting"


def test_all_faults_are_reported_at_once() -> None:
    faults = faults_of(
        DATABASE_URL="mysql://host/db",
        BROKER_URL="kafka://host",
        PUBLIC_URL="ftp://host",
        LEASE_S="long",
        POLICIES="/no/such/file",
        TEMPLATES="/no/such/folder",
        TRUSTED_ENDPOINTS="localhost",
        SECRET_KEY="short",
        CONCURRENT_SENDS="0",
        DATABSE_URL="sqlite:///x.db",
    )
    assert len(faults) == 10
    for name, fault in faults.items():
        assert str(fault).startswith(f"NOTIFYFLOW_{name}: ")
        assert fault.what
        assert fault.remedy


@pytest.mark.parametrize(
    ("given", "meant"), [("DATABSE_URL", "DATABASE_URL"), ("SECRET_KEYS", "SECRET_KEY"), ("SMTP", "SMTP_URL")]
)
def test_an_unknown_name_is_refused_with_the_nearest_one(given: str, meant: str) -> None:
    assert faults_of(**{given: "x"})[given].remedy == f"Use NOTIFYFLOW_{meant}, if that was meant"


def test_a_name_like_no_other_is_refused_without_a_guess() -> None:
    assert "Perhaps" not in faults_of(XYZZY="x")["XYZZY"].remedy


@pytest.mark.parametrize("name", ["DATABASE_URL", "BROKER_URL", "SECRET_KEY", "HTTPS_PROXY"])
def test_the_value_of_a_secret_is_never_reported(name: str) -> None:
    assert "hunter2" not in str(faults_of(**{name: "x:hunter2"})[name])


@pytest.mark.parametrize("name", ["PUBLIC_URL", "TWILIO_BASE_URL", "SLACK_BASE_URL", "AWS_ENDPOINT_URL", "SQS_QUEUE_URL"])
@pytest.mark.parametrize("url", ["https://u:hunter2@host", "ftp://u:hunter2@host", "https://hunter2@host"])
def test_a_password_in_a_public_url_is_refused_and_not_repeated(name: str, url: str) -> None:
    assert "hunter2" not in str(faults_of(**{name: url})[name])


def test_a_password_in_the_wrong_place_is_not_repeated_either() -> None:
    assert "hunter2" not in str(faults_of(TRUSTED_ENDPOINTS="u:hunter2@host")["TRUSTED_ENDPOINTS"])


def test_a_value_that_is_not_secret_is_reported() -> None:
    assert "'ftp://host'" in faults_of(PUBLIC_URL="ftp://host")["PUBLIC_URL"].what


@pytest.mark.parametrize("url", ["http://", "http://host:port", "https:///path", "//host", "http://[::1"])
def test_a_url_without_a_host_or_scheme_or_with_a_bad_port_is_refused(url: str) -> None:
    assert "PUBLIC_URL" in faults_of(PUBLIC_URL=url)


def test_a_lease_that_a_send_may_outlive_is_refused() -> None:
    assert "14 s" in faults_of(LEASE_S="13.9")["LEASE_S"].what
    for lease, connect, read in (("14", "3", "10"), ("5", "1", "2"), ("2", "0.5", "0.5")):
        given = {"LEASE_S": lease, "CONNECT_TIMEOUT_S": connect, "READ_TIMEOUT_S": read}
        assert Settings.from_variables({f"NOTIFYFLOW_{name}": value for name, value in given.items()})


def test_a_send_longer_than_a_ring_has_time_for_is_refused() -> None:
    assert "60 s" in faults_of(LEASE_S="120", CONNECT_TIMEOUT_S="3", READ_TIMEOUT_S="58")["READ_TIMEOUT_S"].what


def test_a_lease_longer_than_a_worker_has_time_for_its_sends_is_refused() -> None:
    assert "120" in faults_of(LEASE_S="121")["LEASE_S"].what


def test_a_replica_is_one_of_another_server_than_the_database() -> None:
    url = "postgresql://notifyflow@db-1/pages"
    assert "SQLite" in faults_of(READ_URL=url)["READ_URL"].what
    assert "same" in faults_of(READ_URL=url, DATABASE_URL=url)["READ_URL"].what
    assert "postgresql://" in faults_of(READ_URL="sqlite:///pages.db")["READ_URL"].what
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": url, "NOTIFYFLOW_READ_URL": url.replace("1", "2")})
    assert settings.read_url == SecretStr("postgresql://notifyflow@db-2/pages")


def test_printed_settings_hold_no_secret() -> None:
    shown = repr(Settings(database_url=SecretStr("postgresql://u:hunter2@host/db"), secret_key=(SecretStr(KEY),)))
    assert "hunter2" not in shown
    assert KEY not in shown


def test_the_reference_shows_every_setting_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "settings.rst").read_text()
    shown = re.findall(r"^``NOTIFYFLOW_([A-Z_]+)``", page, flags=re.MULTILINE)
    assert sorted(shown) == sorted(name.upper() for name in Settings.model_fields)


@pytest.mark.parametrize(
    "arn",
    [
        "notifyflow",
        "arn:aws:sqs:eu-central-1:123456789012:notifyflow",
        "arn:aws:sns:eu-central-1:1234:notifyflow",
        "arn:aws:sns:evil.example/x:123456789012:notifyflow",
        "arn:aws:sns:eu-central-1:123456789012:notifyflow:5be8bb50-3cb2-4a4e-8f49-4a8e6f9a7a3b",
    ],
)
def test_an_invalid_topic_is_refused(arn: str) -> None:
    assert "is not the ARN of an SNS topic" in faults_of(SNS_TOPICS=arn)["SNS_TOPICS"].what


def test_topics_may_be_of_any_partition() -> None:
    arns = "arn:aws:sns:eu-central-1:123456789012:a_b-c,arn:aws-cn:sns:cn-north-1:123456789012:d.fifo"
    assert Settings.from_variables({"NOTIFYFLOW_SNS_TOPICS": arns}).sns_topics == tuple(arns.split(","))


def test_networks_are_read_from_addresses_and_networks() -> None:
    hosts = Settings.from_variables({"NOTIFYFLOW_METRICS_HOSTS": "10.0.0.5, 10.1.0.0/16,fd00::/8"}).metrics_hosts
    assert [str(each) for each in hosts] == ["10.0.0.5/32", "10.1.0.0/16", "fd00::/8"]


@pytest.mark.parametrize("text", ["localhost", "10.1.2.3/8", "10.0.0.0/33", "10.0.0.1,x"])
def test_a_wrong_network_is_refused(text: str) -> None:
    assert set(faults_of(METRICS_HOSTS=text)) == {"METRICS_HOSTS"}


@pytest.mark.parametrize("text", ["twilio=100,ses=3", " twilio = 100 , ses=3,", '{"twilio": 100, "ses": 3}'])
def test_limits_are_read_from_pairs_or_from_json(text: str) -> None:
    assert Settings.from_variables({"NOTIFYFLOW_PROVIDER_LIMITS": text}).provider_limits == {"twilio": 100, "ses": 3}


@pytest.mark.parametrize("text", ["twilio", "twilio=many", "twilio=-1", "twilio=0", "twilio=1000001", '{"twilio": ', "100"])
def test_invalid_limits_are_refused(text: str) -> None:
    assert set(faults_of(PROVIDER_LIMITS=text)) == {"PROVIDER_LIMITS"}
