"""Runs policies on the server."""
