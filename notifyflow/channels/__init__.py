"""The channels: the only package that talks to providers. ``base`` is the port, ``registry`` finds what is installed."""
