"""A sealed reward, read from the files that an order names; in the export process alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tabrl_exporter import exchange

if TYPE_CHECKING:
    from tabrl_simulation.controllers.build import Reward

__all__ = ["read_reward"]


def read_reward(files: exchange.RewardFiles | None) -> Reward | None:
    """Returns the reward; None for the environment's own.

    Raises:
        ProgramRefused: the program cannot be read.
    """
    if files is None:
        return None
    from tabrl_simulation.controllers.build import Reward
    from tabrl_simulation.rewards.program import RewardProgram

    return Reward(
        program=RewardProgram.from_bytes(Path(files.program).read_bytes()),
        onnx=Path(files.onnx).read_bytes(),
        program_sha256=files.program_sha256,
        weights=files.weights,
    )
