"""What the export process keeps of each environment: all that its controllers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabrl_simulation.controllers.build import Workbench

__all__ = ["bench_of"]


def bench_of(environment_id: str, benches: dict[str, Workbench]) -> Workbench:
    """Returns the workbench of an environment, and adds it to `benches` where it is missing.

    Raises:
        UnknownEnvironment, MissingRobot, SplitError: as `controllers.build.prepare` says.
    """
    from tabrl_simulation.controllers import build

    if environment_id not in benches:
        benches[environment_id] = build.prepare(environment_id)
    return benches[environment_id]
