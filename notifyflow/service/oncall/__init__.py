"""Who is on duty, and how people can be reached."""
