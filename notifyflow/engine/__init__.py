"""What moves: the doorbell, the actors that handle its rings, the sweeper's loop; the only package that knows dramatiq.

Nothing here is needed for what was accepted to survive: the rows are the truth, and a ring only means "look".
"""
