"""Environments, physics, rewards, learning and controllers of TabRL, without any network."""

import os

# XLA logs two kilobytes per program that it loads from its compilation cache, about CPU "features" that are its own
# tuning flags; what goes wrong in earnest arrives as an exception. It reads this when jax is first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
