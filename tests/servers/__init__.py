"""Real servers for tests, on loopback and free ports, in folders of their own; each is a context manager that stops what it started."""
