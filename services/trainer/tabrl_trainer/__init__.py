"""Runs from submission to the final checkpoint."""
