"""What people are shown, read from rows."""
