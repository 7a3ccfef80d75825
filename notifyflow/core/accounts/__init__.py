"""Who may use the system: users, keys and how much each may ask for; pure."""
