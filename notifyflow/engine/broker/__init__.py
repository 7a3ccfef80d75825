"""The brokers: how rings get from one process to another."""
