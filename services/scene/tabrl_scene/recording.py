"""Records a robot's real states in a process of its own: `python -m tabrl_scene.recording ENVIRONMENT_ID FILE`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tabrl_chassis import processes

__all__ = ["main"]


def main() -> None:
    """Record the states of an environment into a file."""
    processes.die_with_parent()
    from tabrl_simulation import environments
    from tabrl_simulation.rewards.real_states import record_states

    parser = argparse.ArgumentParser(prog="python -m tabrl_scene.recording", description=__doc__)
    parser.add_argument("environment_id")
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    given.file.write_bytes(record_states(environments.load(given.environment_id)).to_bytes())


if __name__ == "__main__":
    main()
