"""Measures a controller in a process of its own: `python -m tabrl_rewardgen.measuring ENVIRONMENT_ID FOLDER CHECK`.

The folder holds `controller.onnx` and `manifest.json`. Prints one line of JSON: the fields of
`tabrl_simulation.motion.measure.Measures`, or `{"refused": ...}` where the check cannot be computed for this robot.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Final

from tabrl_chassis import processes

__all__ = ["CONTROLLER", "MANIFEST", "main"]

CONTROLLER: Final = "controller.onnx"
MANIFEST: Final = "manifest.json"


def main() -> None:
    """Measure, and print what came of it."""
    processes.die_with_parent()
    from tabrl.play.manifest_json import loads
    from tabrl.play.player import Controller
    from tabrl_simulation import environments
    from tabrl_simulation.motion import Check, CheckError
    from tabrl_simulation.motion.measure import measure

    parser = argparse.ArgumentParser(prog="python -m tabrl_rewardgen.measuring", description=__doc__)
    parser.add_argument("environment_id")
    parser.add_argument("folder", type=Path)
    parser.add_argument("check")
    given = parser.parse_args()
    manifest = loads((given.folder / MANIFEST).read_text())
    controller = Controller((given.folder / CONTROLLER).read_bytes(), manifest)
    try:
        found = measure(controller, environments.load(given.environment_id), Check(given.check))
    except CheckError as error:
        print(json.dumps({"refused": str(error)}))
        return
    print(json.dumps(dataclasses.asdict(found)))


if __name__ == "__main__":
    main()
