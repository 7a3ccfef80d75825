"""Delivery in a process: the doorbell, the actors that handle its rings, the sweeper; the only package that knows dramatiq.

Accepted incidents survive without any of it: the rows are the truth, and a ring only tells a worker to look at them.
"""
