"""Integrations over a directory's file, as the service puts them together."""

from pathlib import Path

from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.integrations import Integrations
from notifyflow.service.oncall.directory import DirectoryFile
from notifyflow.service.oncall.roster import Rosters
from notifyflow.service.oncall.routes import Routes
from notifyflow.storage.store import Store


def integrations_of(store: Store, use_cases: UseCases, path: Path | None) -> Integrations:
    """Return integrations whose directory is read from a file; without one, the stored directory counts."""
    file = DirectoryFile(path, SHIPPED, use_cases.deps.clock, tell=lambda reason: None)
    return Integrations(use_cases, Routes(use_cases.deps, SHIPPED, Rosters(store, use_cases, file)).route)
