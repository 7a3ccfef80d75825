"""The rows of the state machines (incidents, escalations, notifications, attempts, steps), and the tables around them."""
