"""What watches the threads of a world."""

from collections.abc import Callable

from tests.simulation.database import SimulatedDatabase
from tests.simulation.outside import Broker
from tests.simulation.world import World


class ThreadWatch:
    """Has what it needs to see that threads go on as they should; ``disturbances`` are what keeps them from it."""

    def __init__(
        self, world: World, database: SimulatedDatabase, broker: Broker, disturbances: Callable[[], tuple[int, ...]]
    ) -> None:
        self._world = world
        self._database = database
        self._broker = broker
        self._disturbances = disturbances
