"""Behind the doors: the directory finds who is told, and what was asked is done, whatever it says."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from notifyflow.app.directory import DirectoryFile
from notifyflow.core.doors.asked import Action, Asked
from notifyflow.core.keys import ApiKey
from notifyflow.core.policy import Policy
from notifyflow.errors import NotFound
from notifyflow.pipeline.acknowledge import acknowledge
from notifyflow.pipeline.notify import notify
from notifyflow.pipeline.ports import Consequences, Tools
from notifyflow.pipeline.resolve import resolve
from notifyflow.pipeline.tell import tell


class Doors:
    """Does what is asked through the doors.

    Args:
        tools: What every use case needs.
        policies: By name.
        directory: Its file; None where there is none.
        report: Logs and rings for what a use case led to.
    """

    def __init__(
        self, tools: Tools, policies: Mapping[str, Policy], directory: Path | None, report: Callable[[Consequences], None]
    ) -> None:
        self._tools = tools
        self._policies = policies
        self._report = report
        self._directory = DirectoryFile(
            directory, policies, tools.clock, tell=lambda reason: report(tell(tools, reason, "the directory"))
        )

    def on_routes(self, number: str) -> tuple[str, ...]:
        """Name those at the end of a route whose texts go to a number.

        Raises:
            StorageUnavailable: When operations is to be told of a broken file, and the database does not answer in time.
        """
        return self._directory.on_routes(number, self._tools.check_address)

    def ask(self, asked: Asked, caller: ApiKey, via: str) -> None:
        """Do what is asked, in the namespace of whoever asks; returning means committed.

        Args:
            asked: What is to be done; for an incident that nobody knows, or that is over, there is nothing to do.
            caller: The API key that it came with.
            via: Through which door.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        key, by, namespace = asked.incident.key, caller.name, caller.namespace
        match asked.action:
            case Action.NOTIFY:
                self._notify(asked, caller)
            case Action.ACKNOWLEDGE:
                with suppress(NotFound):
                    self._report(acknowledge(self._tools, key, by=by, via=via, namespace=namespace).consequences)
            case Action.RESOLVE:
                with suppress(NotFound):
                    self._report(resolve(self._tools, key, by=by, via=via, namespace=namespace).consequences)

    def _notify(self, asked: Asked, caller: ApiKey) -> None:
        directory = self._directory.current()
        route = directory.route(asked.labels, caller.name)
        accepted = notify(
            self._tools,
            asked.incident,
            directory.at(route),
            policy=self._policies[route.policy],
            namespace=caller.namespace,
            may_reach_nobody=True,
        )
        self._report(accepted.consequences)
