"""A database that is waited for as long as a busy machine needs: the product's own deadline is for the tests of that deadline."""

from contextlib import AbstractContextManager

from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.store import Store

PATIENCE_S = 60.0
_OWN_S = 5.0


class PatientStore(Store):
    """A store whose calls may take a minute where the product gives them five seconds; another limit stays as it is."""

    def within(self, timeout_s: float) -> AbstractContextManager[Deadline]:
        return super().within(_patient(timeout_s))

    def _deadline(self, timeout_s: float) -> Deadline:
        return super()._deadline(_patient(timeout_s))


def _patient(timeout_s: float) -> float:
    return PATIENCE_S if timeout_s == _OWN_S else timeout_s
