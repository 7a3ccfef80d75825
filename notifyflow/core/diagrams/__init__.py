"""The machines as diagrams, and the tiers of a policy as a picture; pure."""
