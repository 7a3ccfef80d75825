"""How a page is carried: machines, tiers, rounds, retries, chains and the pages of operations; pure."""
