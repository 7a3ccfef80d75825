"""The composition root: puts the parts together, and owns time and randomness."""

from notifyflow.app.flow import NotifyFlow

__all__ = ["NotifyFlow"]
