"""Turns words into sealed reward programs."""
