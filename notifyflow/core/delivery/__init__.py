"""How pages are delivered: machines, tiers, rounds, retries, chains and the pages of operations; pure."""
