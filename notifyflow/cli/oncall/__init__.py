"""The commands about who is on duty, the directory and people."""
