"""The root of the tree of errors."""


class NotifyflowError(Exception):
    """Raised when notifyflow cannot do what was requested; the root of all its errors."""
