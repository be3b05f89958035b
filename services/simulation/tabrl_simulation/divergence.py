"""What a training may not learn from: numbers that are not finite, and where they came from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import mujoco

    from tabrl_simulation import learner
    from tabrl_simulation.backends import Collector
    from tabrl_simulation.environments import Environment
    from tabrl_simulation.tally import EpisodeTally

__all__ = ["TrainingDiverged", "first_bad_joint", "refuse_bad_numbers"]

_SHARE_LIMIT: Final = 0.5
"""Above this share of control steps without a finite state, there is nothing to learn from."""

# What the learner reports, in the order in which one makes the next infinite.
_LEARNED: Final = ("value_loss", "policy_loss", "entropy", "gradient_norm", "kl")


class TrainingDiverged(ArithmeticError):
    """A number that learning depends on is not finite.

    Attributes:
        where: what is not finite, such as `reward term 'upright'`.
        env_steps: control steps before it happened.
    """

    def __init__(self, where: str, env_steps: int, advice: str) -> None:
        """Says where, when and what to do."""
        self.where = where
        self.env_steps = env_steps
        super().__init__(f"After {env_steps} steps the {where} is not finite; {advice}")


def refuse_bad_numbers(
    environment: Environment, rollouts: Collector, tally: EpisodeTally, report: learner.Report, env_steps: int
) -> None:
    """Makes sure that an update and what it learned from were finite.

    Looking for the cause costs nothing until there is one.

    Args:
        environment: what is trained in.
        rollouts: the environments, as they stand after the update; of no more use when this raises.
        tally: what happened in them since the update before, on the host.
        report: of the update, on the host.
        env_steps: control steps before it.

    Raises:
        TrainingDiverged: something was not finite.
    """
    for name, count in tally.bad_terms.items():
        if count:
            raise TrainingDiverged(f"reward term {name!r}", env_steps, "guard its divisions, roots and logarithms")
    if tally.diverged > _SHARE_LIMIT * rollouts.steps_per_collect:
        raise TrainingDiverged(*_search(environment, rollouts, env_steps))
    if not math.isfinite(tally.rewards):
        raise TrainingDiverged("sum of rewards", env_steps, "its terms are too large; give them smaller weights")
    for name in _LEARNED:
        if not math.isfinite(getattr(report, name)):
            where = "gradient" if name == "gradient_norm" else name.replace("_", " ")
            raise TrainingDiverged(where, env_steps, "try a smaller learning_rate or reward")


def first_bad_joint(model: mujoco.MjModel, state: Mapping[str, NDArray[np.float64]], steps: int) -> str | None:
    """Says which joint is the first to move beyond all bounds; None if none does.

    Args:
        model: the model; it is not changed.
        state: fields of MjData to start from, of one simulation, with the ctrl to hold.
        steps: physics steps to look at.
    """
    import copy

    import mujoco

    model = copy.copy(model)
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    data = mujoco.MjData(model)
    for name, values in state.items():
        setattr(data, name, values if np.ndim(values) else float(values))
    for _ in range(steps):
        mujoco.mj_step(model, data)
        # An acceleration goes wrong before the velocity that it leads to; of several, the worst leads the others along.
        for quantity, values in (("acceleration", data.qacc), ("velocity", data.qvel), ("position", data.qpos)):
            sizes = np.nan_to_num(np.abs(values), nan=np.inf)
            if sizes.size and sizes.max() >= mujoco.mjMAXVAL:
                return f"{quantity} of {_joint(model, quantity, int(sizes.argmax()))}"
    return None


def _search(environment: Environment, rollouts: Collector, env_steps: int) -> tuple[str, int, str]:
    """Takes one more control step to see what stops being finite first."""
    import mujoco

    next_step = rollouts.look_ahead()
    within = [(np.abs(values) < mujoco.mjMAXVAL).all(1) for values in next_step.moved.values()]
    bad = np.flatnonzero(~np.all(within, axis=0))
    if bad.size:
        state = {name: values[bad[0]] for name, values in next_step.before.items()}
        joint = first_bad_joint(environment.model, state, environment.physics_steps_per_control)
        where = f"physics ({joint})" if joint else "physics"
        return where, env_steps, "the simulation is not stable under this policy"
    seen = {"observation": next_step.observation, "privileged observation": next_step.privileged_observation}
    for name, values in seen.items():
        entries = np.flatnonzero(~np.isfinite(values).all(0))
        if entries.size:
            where = f"{name}'s entry {entries[0]} of {values.shape[1]}"
            return where, env_steps, f"{environment.id} computes it from a finite state: guard its divisions and roots"
    return "physics", env_steps, "the simulation is not stable under this policy"


def _joint(model: mujoco.MjModel, quantity: str, index: int) -> str:
    """Names the joint, and its body, that an entry of qpos or of qvel and qacc belongs to."""
    if quantity == "position":
        joint = int(np.searchsorted(model.jnt_qposadr, index, side="right")) - 1
    else:
        joint = int(model.dof_jntid[index])
    body = model.body(int(model.jnt_bodyid[joint])).name or f"number {model.jnt_bodyid[joint]}"
    return f"joint {model.joint(joint).name or joint!r} on body {body!r}"
