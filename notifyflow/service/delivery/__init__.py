"""Submissions, use cases of many threads at once, and whether notifyflow is ready for them."""
