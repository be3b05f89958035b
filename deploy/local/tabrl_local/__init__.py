"""Runs all of TabRL on one machine: `python -m tabrl_local` starts five services and their gateway, and restarts what ends."""
