"""The commands that show what became of incidents and messages."""
