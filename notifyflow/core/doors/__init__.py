"""The doors: what systems that are there already send, made into what is asked of us; one module a door.

Nothing is turned away for its content: what is too long is cut with a mark, what is unknown has a stand-in, and only what cannot
be read at all is refused. No recipients come in here; the directory finds them.
"""
