"""The routes and pages about who is on duty, and about people."""
