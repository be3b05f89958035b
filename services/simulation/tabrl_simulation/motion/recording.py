"""What a robot did for some seconds, sampled at the control rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    import mujoco
    from tabrl.play.player import Controller

__all__ = ["SECS", "SETTLED_AFTER_SECS", "Recorder", "Recording", "record"]

SECS: Final = 10.0
SETTLED_AFTER_SECS: Final = 2.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A rollout. `T` samples, `B` bodies with the world first.

    Attributes:
        control_period_secs: time between two samples.
        survived: share of the time that passed before the environment ended the episode, 0 to 1.
        positions: of the bodies' frames in the world, in m, [T, B, 3].
        rotations: from the bodies' frames into the world's, [T, B, 3, 3].
        velocities: of the bodies' frames, in m/s along the world's axes, [T, B, 3].
        spins: angular velocities, in rad/s about the world's axes, [T, B, 3].
        joint_positions: of each hinge and slide, in rad or m, [T] each.
        joint_velocities: of the same, in rad/s or m/s, [T] each.
        bodies: number of each named body.
    """

    control_period_secs: float
    survived: float
    positions: Floats = field(repr=False)
    rotations: Floats = field(repr=False)
    velocities: Floats = field(repr=False)
    spins: Floats = field(repr=False)
    joint_positions: Mapping[str, Floats] = field(repr=False)
    joint_velocities: Mapping[str, Floats] = field(repr=False)
    bodies: Mapping[str, int] = field(repr=False)

    @property
    def samples(self) -> int:
        """How many samples there are, `T`."""
        return len(self.positions)

    def since(self, secs: float) -> Recording:
        """Returns the recording without its first seconds; what survived stays that of the whole."""
        first = round(secs / self.control_period_secs)
        return Recording(
            control_period_secs=self.control_period_secs,
            survived=self.survived,
            positions=self.positions[first:],
            rotations=self.rotations[first:],
            velocities=self.velocities[first:],
            spins=self.spins[first:],
            joint_positions={name: values[first:] for name, values in self.joint_positions.items()},
            joint_velocities={name: values[first:] for name, values in self.joint_velocities.items()},
            bodies=self.bodies,
        )


class Recorder:
    """Samples a simulation once in each control period, for so many seconds at most."""

    def __init__(self, model: mujoco.MjModel, *, control_period_secs: float, secs: float = SECS) -> None:
        """Starts without a sample.

        Args:
            model: of the robot.
            control_period_secs: time between two samples.
            secs: how long a whole motion is; what comes after is not looked at.
        """
        self._model = model
        self._period_secs = control_period_secs
        self._wanted = round(secs / control_period_secs)
        self._positions: list[Floats] = []
        self._rotations: list[Floats] = []
        self._motions: list[Floats] = []
        self._qpos: list[Floats] = []
        self._qvel: list[Floats] = []

    @property
    def is_full(self) -> bool:
        """Whether all that counts was seen."""
        return len(self._positions) >= self._wanted

    def sample(self, data: mujoco.MjData) -> None:
        """Takes a sample of the state that the robot is in; none once all was seen."""
        import mujoco

        if self.is_full:
            return
        moved, motion = np.zeros((self._model.nbody, 6)), np.zeros(6)
        for body in range(1, self._model.nbody):
            mujoco.mj_objectVelocity(self._model, data, int(mujoco.mjtObj.mjOBJ_XBODY), body, motion, 0)
            moved[body] = motion  # angular, then linear
        self._positions.append(np.array(data.xpos))
        self._rotations.append(np.array(data.xmat).reshape(-1, 3, 3))
        self._motions.append(moved)
        self._qpos.append(np.array(data.qpos))
        self._qvel.append(np.array(data.qvel))

    def recording(self) -> Recording:
        """Returns what was seen; a motion that is not full did not survive to its end."""
        import mujoco

        model, samples = self._model, len(self._positions)
        motions = np.reshape(self._motions, (samples, model.nbody, 6))
        scalar = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
        joints = [model.joint(index) for index in range(model.njnt) if int(model.jnt_type[index]) in scalar]
        qpos, qvel = np.reshape(self._qpos, (samples, model.nq)), np.reshape(self._qvel, (samples, model.nv))
        return Recording(
            control_period_secs=self._period_secs,
            survived=min(1.0, samples / self._wanted),
            positions=np.reshape(self._positions, (samples, model.nbody, 3)),
            rotations=np.reshape(self._rotations, (samples, model.nbody, 3, 3)),
            velocities=motions[..., 3:],
            spins=motions[..., :3],
            joint_positions={joint.name: qpos[:, joint.qposadr[0]] for joint in joints if joint.name},
            joint_velocities={joint.name: qvel[:, joint.dofadr[0]] for joint in joints if joint.name},
            bodies={model.body(index).name: index for index in range(model.nbody) if model.body(index).name},
        )


def record(
    controller: Controller,
    model: mujoco.MjModel,
    *,
    secs: float = SECS,
    reset: int = 0,
    held: Mapping[str, NDArray[np.float32]] | None = None,
) -> Recording:
    """Lets a controller drive MuJoCo C, without the environment's noise, and records what the robot does.

    Args:
        controller: what drives.
        model: of the robot; it is not changed.
        secs: how long.
        reset: number of the reset state to start from.
        held: entries of the carry that stay as they are, such as a command.

    Raises:
        ControllerError: `held` names an entry that the carry does not have.
    """
    from tabrl.play.player import Player

    player = Player(controller, model)
    recorder = Recorder(model, control_period_secs=controller.manifest.control_period_secs, secs=secs)
    for tick in player.episode(reset=reset, held=held):
        if tick.decision.done or recorder.is_full:
            break
        recorder.sample(player.data)
    return recorder.recording()
