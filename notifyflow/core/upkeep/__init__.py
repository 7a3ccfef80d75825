"""What is checked, rehearsed and forecast; pure."""
