"""The use cases that carry a page: notify, claim, record, receive, acknowledge, sweep, and what they decide."""
