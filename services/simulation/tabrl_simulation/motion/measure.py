"""Lets a controller drive its robot and judges the motion by a check, in a process of its own.

    python -m tabrl_simulation.motion.measure ENVIRONMENT_ID CONTROLLER MANIFEST CHECK [ROLLOUTS]

prints one line of JSON: `{"held": ..., "rollouts": ..., "score": ..., "measures": {...}}`, or `{"refused": ...}` where
the check cannot be computed for this robot.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tabrl_simulation.motion.checks import Check, CheckError, Judgement
from tabrl_simulation.motion.recording import record

if TYPE_CHECKING:
    from tabrl_simulation.controllers.player import Controller
    from tabrl_simulation.environments import Environment

__all__ = ["ROLLOUTS", "Measures", "measure"]

ROLLOUTS: Final = 5


@dataclass(frozen=True)
class Measures:
    """What came of some rollouts.

    Attributes:
        held: in how many the check held.
        rollouts: how many there were.
        score: how near the motion came to the check, from 0 to 1, on average.
        measures: the sides of the check's comparisons, by their text, on average.
    """

    held: int
    rollouts: int
    score: float
    measures: Mapping[str, float]


def measure(controller: Controller, environment: Environment, check: Check, *, rollouts: int = ROLLOUTS) -> Measures:
    """Returns what a controller does from the first of its starting states.

    Raises:
        CheckError: the check names what the robot does not have.
    """
    judged = [check.judged(record(controller, environment.model, reset=index)) for index in range(rollouts)]
    return Measures(
        held=sum(each.holds for each in judged),
        rollouts=rollouts,
        score=sum(each.score for each in judged) / rollouts,
        measures=_averaged(judged),
    )


def _averaged(judged: Sequence[Judgement]) -> dict[str, float]:
    names = dict.fromkeys(name for each in judged for name in each.sides)
    values = {name: [each.sides[name] for each in judged if name in each.sides] for name in names}
    return {name: sum(found) / len(found) for name, found in values.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures a controller from files and prints what came of it."""
    from tabrl_simulation import environments
    from tabrl_simulation.controllers.manifest_json import loads
    from tabrl_simulation.controllers.player import Controller

    parser = argparse.ArgumentParser(prog="python -m tabrl_simulation.motion.measure", description=__doc__)
    parser.add_argument("environment_id")
    parser.add_argument("controller", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("check")
    parser.add_argument("rollouts", type=int, nargs="?", default=ROLLOUTS)
    given = parser.parse_args(arguments)
    controller = Controller(given.controller.read_bytes(), loads(given.manifest.read_text()))
    try:
        found = measure(
            controller, environments.load(given.environment_id), Check(given.check), rollouts=given.rollouts
        )
    except CheckError as error:
        print(json.dumps({"refused": str(error)}))
        return
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
