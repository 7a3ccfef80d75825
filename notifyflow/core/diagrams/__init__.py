"""The machines as diagrams, and the ladder of a policy as a picture; pure."""
