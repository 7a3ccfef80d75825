"""What is counted and measured, read from rows."""
