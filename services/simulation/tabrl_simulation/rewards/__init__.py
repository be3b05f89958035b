"""Rewards: the language they are written in, the jail that traces them, and the sealed programs that leave it.

Only `state`, `shaping`, `tracing`, `verification` and `program` import jax, and only processes made for it import
those.
"""
