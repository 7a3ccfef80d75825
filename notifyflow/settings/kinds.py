"""The kinds of values in settings: how each is read from text, and when it is refused."""

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

SHORTEST_KEY = 16
PHONE_PREFIX = re.compile(r"\+\d{0,15}", re.ASCII)
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z]{2}[a-z0-9-]{1,30}:\d{12}:[\w-]{1,256}(\.fifo)?", re.ASCII)


def _split(value: object) -> object:
    """Read a list from JSON or from comma-separated text."""
    if not isinstance(value, str):
        return value
    return _parse_json(value) if value.lstrip().startswith("[") else [part.strip() for part in value.split(",") if part.strip()]


def _parse_json(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise ValueError("begins like JSON, but is not valid JSON") from None


def be_url(*schemes: str) -> BeforeValidator:
    """Return a validator for a URL of one of the schemes, with a host if the scheme needs one."""
    prefixes = ", ".join(f"{scheme}://" for scheme in schemes)

    def check(value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        try:
            parts = urlsplit(text)
            if parts.scheme != "postgresql":  # which may name several servers, each with a port; the dialect checks them
                parts.port  # noqa: B018 - raises if it is not a number
        except ValueError:
            raise ValueError("is not a URL") from None
        if parts.scheme not in schemes:
            raise ValueError(f"does not begin with {prefixes}")
        if parts.scheme not in ("sqlite", "memory") and not parts.hostname:
            raise ValueError("has no host")
        return value

    return BeforeValidator(check)


def require(is_good: Callable[[Any], object], otherwise: str) -> AfterValidator:
    """Return a validator that refuses values which fail a test, or break it: a path that may not be looked at."""

    def check(value: object) -> object:
        try:
            is_met = is_good(value)
        except OSError:
            is_met = False
        if not is_met:
            raise ValueError(otherwise)
        return value

    return AfterValidator(check)


def _is_endpoint(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal()


def _read_network(value: object) -> object:
    try:
        return ip_network(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("is not an IP address or a network whose address ends in zeros") from None


def be_readable(read: Callable[[str], object]) -> AfterValidator:
    """Return a validator for secrets that a function reads without a ValueError."""

    def check(text: SecretStr) -> SecretStr:
        read(text.get_secret_value())
        return text

    return AfterValidator(check)


def _read_limits(value: object) -> object:
    """Read ``twilio=100,smtp=300``, or a JSON object."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return _parse_json(value)
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if not all(is_pair and number.strip().isdecimal() for _, is_pair, number in pairs):
        raise ValueError("is not a list of PROVIDER=NUMBER")
    return {name.strip(): int(number) for name, _, number in pairs}


WebUrl = Annotated[
    str,
    be_url("http", "https"),
    require(lambda url: "@" not in urlsplit(url).netloc, "contains a user name or password, but is not a secret setting"),
]
File = Annotated[Path, require(Path.is_file, "is not a file")]
Folder = Annotated[Path, require(Path.is_dir, "is not a folder")]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["console", "json", "logfmt"]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]
Keys = Annotated[
    tuple[
        Annotated[
            SecretStr,
            require(lambda key: len(key.get_secret_value()) >= SHORTEST_KEY, f"is shorter than {SHORTEST_KEY} characters"),
        ],
        ...,
    ],
    BeforeValidator(_split),
]
Networks = Annotated[tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(_read_network)], ...], BeforeValidator(_split)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Limits = Annotated[Mapping[str, Annotated[int, Field(ge=1, le=1_000_000)]], BeforeValidator(_read_limits)]
Topics = Annotated[
    tuple[Annotated[str, require(_TOPIC.fullmatch, "is not the ARN of an SNS topic")], ...], BeforeValidator(_split)
]
Prefixes = Annotated[tuple[Annotated[str, require(PHONE_PREFIX.fullmatch, "is not + and digits")], ...], BeforeValidator(_split)]
Endpoints = Annotated[tuple[Annotated[str, require(_is_endpoint, "is not host:port")], ...], BeforeValidator(_split)]
