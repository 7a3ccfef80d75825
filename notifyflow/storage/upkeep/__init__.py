"""Maintenance of the database: the checker, forgetting, pruning, and health checks."""
