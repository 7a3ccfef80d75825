"""The use cases of delivery: notify, claim, record, receive, acknowledge, sweep, and their decisions."""
