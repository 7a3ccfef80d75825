"""Parses the requests of existing systems, one module per integration.

An alert is never refused for its content: text that is too long is cut and marked, unknown values get a default, and only a
body that cannot be parsed is refused. The requests name no recipients; the directory finds them.
"""
