"""The demo: one incident, five people, embedded parts and stand-ins; every sentence is checked."""
