"""The root of the tree of errors."""


class NotifyflowError(Exception):
    """Raised when notifyflow cannot do what it was asked; the root of all its errors."""
