"""The use cases about who is on duty."""
