"""The maintenance use cases: the heartbeat, pruning, forgetting, adopting a copy."""
