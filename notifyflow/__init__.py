"""Durable incident notification: every recipient is told, or operations knows why not.

Importing this opens nothing and reads no environment; each public name is loaded when it is first used (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notifyflow.app import NotifyFlow as NotifyFlow
    from notifyflow.core.model import Incident as Incident
    from notifyflow.core.model import Notified as Notified
    from notifyflow.core.model import Recipient as Recipient
    from notifyflow.core.model import Severity as Severity
    from notifyflow.core.policy import Policy as Policy
    from notifyflow.core.views import IncidentStatus as IncidentStatus
    from notifyflow.errors import NotifyflowError as NotifyflowError
    from notifyflow.settings import Settings as Settings

__version__ = "0.1.0.dev0"

_MODULES = {
    "Incident": "notifyflow.core.model",
    "IncidentStatus": "notifyflow.core.views",
    "Notified": "notifyflow.core.model",
    "NotifyFlow": "notifyflow.app",
    "NotifyflowError": "notifyflow.errors",
    "Policy": "notifyflow.core.policy",
    "Recipient": "notifyflow.core.model",
    "Settings": "notifyflow.settings",
    "Severity": "notifyflow.core.model",
}

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
