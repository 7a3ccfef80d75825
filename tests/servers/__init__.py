"""Real servers for tests, on loopback, free ports and in folders of their own; context managers that stop what they started."""
