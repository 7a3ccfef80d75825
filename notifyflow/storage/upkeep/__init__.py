"""What keeps the database in order: the checker, the forgetting, the pruning, and the signs of health."""
