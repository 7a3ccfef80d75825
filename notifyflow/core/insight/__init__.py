"""Views for people: lists, the timeline, the next events, and their words; pure."""
