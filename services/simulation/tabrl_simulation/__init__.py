"""Environments, physics, rewards, learning and controllers of TabRL, without any network."""
