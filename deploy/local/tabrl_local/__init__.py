"""Runs all of TabRL on one machine: `python -m tabrl_local` starts the services and the gateway, and restarts them."""

import os

# The launcher forks while it has gRPC channels open, and its children do nothing but exec: gRPC's own handling of forks
# would restart its threads in them.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
