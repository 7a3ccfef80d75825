"""The contents of messages, channel by channel; pure."""
