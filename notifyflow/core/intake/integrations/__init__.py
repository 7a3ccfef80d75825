"""Reads what existing systems send, one module an integration.

An alert is never refused for its content: text that is too long is cut with a mark, unknown values have a default, and only a
body that cannot be read at all is refused. An integration brings no recipients; the directory finds them.
"""
