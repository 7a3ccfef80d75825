"""The composition root: puts the whole together, and owns time and chance."""

from notifyflow.app.flow import NotifyFlow

__all__ = ["NotifyFlow"]
