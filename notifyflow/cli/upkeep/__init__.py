"""The commands that check, rehearse, serve and keep in order."""
