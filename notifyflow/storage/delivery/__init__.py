"""The rows that carry pages: incidents, escalations, notifications, attempts, steps, and what waits for them."""
