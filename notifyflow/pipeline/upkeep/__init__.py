"""The use cases that keep the system in order: the heartbeat, pruning, forgetting, adopting a copy."""
