"""The files that run notifyflow under systemd, compose or Kubernetes: templates, and the values that several of them have.

A command stands here once. No file lists queues: a worker without ``--queues`` serves all that its code declares.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from jinja2 import Environment, PackageLoader, StrictUndefined

from notifyflow.version import __version__


class Platform(StrEnum):
    """What starts the processes, and starts them again."""

    SYSTEMD = "systemd"
    COMPOSE = "compose"
    KUBERNETES = "kubernetes"


Command = tuple[str, ...]

_VERSION = re.findall(r"\d+(?:\.\d+)*", __version__)[0]
"""The version that is released or comes next, so that the files stay the same until there is another."""
_PORT = 8000
_INBOX_PORT = 8025
_GRACE_S = 45
"""How long a process may take to stop: its sends end within 13 s, ``up`` delivers for 10 s before; the rest is in reserve."""
_WHOLE_FILES = ("directory.toml", "operations.json")
_FOLDERS_OF_WHOLE_FILES: Mapping[Platform, str] = {Platform.SYSTEMD: "", Platform.COMPOSE: "etc/", Platform.KUBERNETES: ""}


def _worker(processes: int) -> Command:
    return "dramatiq", "notifyflow.worker", "--processes", str(processes), "--threads", "8"


_COMMON: Mapping[str, object] = {
    "version": _VERSION,
    "port": _PORT,
    "grace_s": _GRACE_S,
    "etc": "/etc/notifyflow",
    "upgrade": ("notifyflow", "db", "upgrade"),
    "prune": ("notifyflow", "prune", "--older-than", "90d"),
    "check": ("notifyflow", "check"),
}
_IN_CONTAINERS: Mapping[str, object] = {
    "worker": _worker(1),
    "web": ("notifyflow", "web", "--host", "0.0.0.0", "--port", str(_PORT)),  # noqa: S104 - the container's own network
}
_VALUES: Mapping[Platform, Mapping[str, object]] = {
    Platform.SYSTEMD: {
        "bin": "/opt/notifyflow/bin",
        "secrets": "/etc/notifyflow",
        "worker": _worker(2),
        "web": ("notifyflow", "web", "--port", "%i"),
        "up": ("notifyflow", "up", "--port", str(_PORT)),
    },
    Platform.COMPOSE: {
        **_IN_CONTAINERS,
        "secrets": "/run/secrets",
        "inbox_port": _INBOX_PORT,
        "sandbox": ("notifyflow", "sandbox", "--host", "0.0.0.0", "--port", str(_INBOX_PORT)),  # noqa: S104 - as above
        "page": ("notifyflow", "test-page", "ada", "--by", "compose"),
    },
    Platform.KUBERNETES: {**_IN_CONTAINERS, "secrets": "/run/secrets/notifyflow"},
}


def render(platform: Platform) -> Mapping[str, str]:
    """Return the files of a platform: the path of each below its folder, and its text."""
    templates = Environment(  # noqa: S701 - no markup
        loader=PackageLoader("notifyflow.cli.upkeep", "deployments"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values = {**_COMMON, **_VALUES[platform], "sandbox_settings": _sandbox_settings()}
    own = f"{platform}/"
    places = {name: name.removeprefix(own) for name in templates.list_templates() if name.startswith(own)}
    places |= {f"shared/{name}.jinja": f"{_FOLDERS_OF_WHOLE_FILES[platform]}{name}" for name in _WHOLE_FILES}
    return {place.removesuffix(".jinja"): templates.get_template(name).render(values) for name, place in places.items()}


def make_secrets(password: str, key: str) -> Mapping[str, str]:
    """Return the secrets that the containers of a compose file share: the name of each file, and its text."""
    return {
        "database-password": password,
        "database-url": f"postgresql://notifyflow:{password}@postgres/notifyflow",
        "secret-key": key,
    }


def _sandbox_settings() -> Mapping[str, str]:
    """Return the settings that lead to a sandbox on the host of that name; the key that signs links is the deployment's own."""
    from notifyflow.sandbox.system import Sandbox  # with its servers, which the help of the command does not need

    settings = Sandbox(host="sandbox", port=_INBOX_PORT).settings()
    return {name: value for name, value in settings.items() if name != "NOTIFYFLOW_SECRET_KEY"}
