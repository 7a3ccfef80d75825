"""A storm: thousands of incidents to few people within a minute, and what it costs beside the same incidents one by one."""
