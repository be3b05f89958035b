"""Measurements of learning, stepping and resuming on one machine; `make bench` runs them."""
