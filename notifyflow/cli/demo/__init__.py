"""The demo: one incident, five people, embedded parts and stand-ins; every sentence it tells is checked against what is there."""
