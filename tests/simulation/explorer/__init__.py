"""The explorer: random policies, providers and events, and an oracle that asks of each story whether a phone stayed silent.

A *story* is what is drawn (``story``); a *stage* plays it over the real pipeline (``stage``), and the oracle judges what was seen
outside (``oracle``) without the product's rules. A story that fails is shrunk to a shortest one (``shrink``).
"""
