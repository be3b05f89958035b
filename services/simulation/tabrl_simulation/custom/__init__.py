"""Environments from any MJCF: what a scene's configuration says, what its robot is made of, where scenes are kept."""
