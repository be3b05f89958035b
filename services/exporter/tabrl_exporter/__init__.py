"""Turns checkpoints into controllers that run anywhere."""
