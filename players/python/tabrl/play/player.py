"""Drives a robot with a controller in native MuJoCo, by the rules of `ControllerManifest` and nothing else.

Needs MuJoCo, onnxruntime and numpy: no jax, no environment code. What the browser's player does in TypeScript, this
does in Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tabrl.play import compatibility
from tabrl.play.compatibility import ControllerError
from tabrl.play.manifest import GraphInput, InputSource, Manifest, OutputRole, ResetState

if TYPE_CHECKING:
    import mujoco

__all__ = ["Controller", "ControllerError", "Decision", "Player", "Tick"]

Array = NDArray[Any]
Values = Mapping[str, Array]


@dataclass(frozen=True)
class Decision:
    """What a controller says at one tick.

    Attributes:
        ctrl: to be held through the coming control period, [nu].
        action: the policy's action, [action_size].
        observation: what the policy saw, [observation_size].
        reward: the reward of the period that lies behind; 0 at the first tick after a reset.
        terms: its terms, weights applied, in the order to show them.
        done: whether the environment would end the episode here.
        carry: what to give back at the next tick.
        state: what to write to the simulation before the ctrl, by mjData name; mostly nothing.
        pushes: what a player that wants training's disturbances writes too, by mjData name.
    """

    ctrl: Array
    action: Array
    observation: Array
    reward: float
    terms: dict[str, float]
    done: bool
    carry: dict[str, Array]
    state: dict[str, Array] = field(default_factory=dict)
    pushes: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Tick:
    """One tick of an episode.

    Attributes:
        step: control periods since the reset.
        time_secs: simulated time since the reset.
        decision: what the controller said.
        qpos: joint positions that it decided from, [nq], float64.
        feed: the graph's inputs by name.
        outputs: the graph's outputs by name.
    """

    step: int
    time_secs: float
    decision: Decision
    qpos: NDArray[np.float64]
    feed: Values = field(repr=False)
    outputs: Values = field(repr=False)


class Controller:
    """The graph with its manifest: values and carry in, a decision out. Stateless, so threads may share one."""

    def __init__(self, onnx: bytes, manifest: Manifest, *, threads: int = 1) -> None:
        """Loads the graph.

        Args:
            onnx: the serialized ONNX model.
            manifest: the manifest that belongs to it.
            threads: threads that one decision may use.

        Raises:
            ControllerError: the graph cannot be loaded, or it is not the one the manifest describes.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Bytes that are a graph in two formats are the one that was checked.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # Weights of 8 bits are multiplied out once, not at every decision.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions share no narrower base
            raise ControllerError("controller", _unloadable(manifest, onnxruntime.__version__, error)) from error
        given = {value.name for value in session.get_inputs()}
        expected = {entry.tensor.name for entry in manifest.inputs}
        missing = {entry.tensor.name for entry in manifest.outputs} - {value.name for value in session.get_outputs()}
        if given != expected or missing:
            odd = sorted((given ^ expected) | missing)
            raise ControllerError(odd[0], "graph and manifest do not name the same inputs and outputs")
        self.manifest = manifest
        self._session = session
        self._names = list(dict.fromkeys(entry.tensor.name for entry in manifest.outputs))
        self._required = {
            role: next((entry.tensor.name for entry in manifest.outputs if entry.role is role), "")
            for role in OutputRole
            if role not in (OutputRole.TERM, OutputRole.CARRY, OutputRole.STATE, OutputRole.PUSH)
        }
        for role, name in self._required.items():
            if not name:
                raise ControllerError(role.name.lower(), "the manifest lists no such output")

    @property
    def data_inputs(self) -> tuple[GraphInput, ...]:
        """The inputs that are mjData arrays."""
        return self._of(InputSource.DATA, InputSource.DATA_BEFORE)

    @property
    def carry_inputs(self) -> tuple[GraphInput, ...]:
        """The inputs that are carry entries."""
        return self._of(InputSource.CARRY)

    def initial_carry(self, reset: int = 0) -> dict[str, Array]:
        """Returns the carry to start an episode with, from the reset state of that number."""
        return {
            given.field: np.asarray(self.manifest.resets[reset].carry[given.field], given.tensor.dtype)
            for given in self.carry_inputs
        }

    def tick(self, values: Values, carry: Values, noise: np.random.Generator | None = None) -> Decision:
        """Decides once.

        Args:
            values: the data inputs by their names in the graph, in their shapes.
            carry: entries by name, as a reset state or the decision before gave them.
            noise: draws for the environment's own noise; None for none of it.

        Raises:
            ControllerError: an input is missing or has another shape.
        """
        feed = self.feed(values, carry, noise)
        return self.decision(feed, self.run(feed))

    def feed(self, values: Values, carry: Values, noise: np.random.Generator | None = None) -> dict[str, Array]:
        """Gathers the graph's inputs by name; arguments and errors as for `tick`."""
        return {given.tensor.name: _value(given, values, carry, noise) for given in self.manifest.inputs}

    def run(self, feed: Values) -> dict[str, Array]:
        """Runs the graph; returns its outputs by name."""
        return dict(zip(self._names, self._session.run(self._names, dict(feed)), strict=True))

    def decision(self, feed: Values, outputs: Values) -> Decision:
        """Sorts the outputs of a run by their roles."""
        carry = {given.field: feed[given.tensor.name] for given in self.carry_inputs}
        following = {**carry, **{copy.field: feed[copy.input] for copy in self.manifest.copies}}
        terms, state, pushes = {}, {}, {}
        for entry in self.manifest.outputs:
            if entry.role is OutputRole.CARRY:
                following[entry.field] = outputs[entry.tensor.name]
            elif entry.role is OutputRole.STATE:
                state[entry.field] = outputs[entry.tensor.name]
            elif entry.role is OutputRole.PUSH:
                pushes[entry.field] = outputs[entry.tensor.name]
            elif entry.role is OutputRole.TERM:
                terms[entry.field] = float(outputs[entry.tensor.name])
        return Decision(
            ctrl=outputs[self._required[OutputRole.CTRL]],
            action=outputs[self._required[OutputRole.ACTION]],
            observation=outputs[self._required[OutputRole.OBSERVATION]],
            reward=float(outputs[self._required[OutputRole.REWARD]]),
            terms={term.name: terms[term.name] for term in self.manifest.terms},
            done=bool(outputs[self._required[OutputRole.DONE]] != 0),
            carry=following,
            state=state,
            pushes=pushes,
        )

    def _of(self, *sources: InputSource) -> tuple[GraphInput, ...]:
        return tuple(given for given in self.manifest.inputs if given.source in sources)


class Player:
    """One robot with its controller in MuJoCo C."""

    def __init__(self, controller: Controller, model: mujoco.MjModel) -> None:
        """Prepares a simulation of the scene that the manifest names.

        Raises:
            ControllerError: this MuJoCo is none that the manifest allows, or the model is of another scene.
        """
        import copy

        import mujoco

        compatibility.check(controller.manifest, model, mujoco_version=mujoco.__version__)
        model = copy.copy(model)
        # A simulation that diverges keeps its NaNs, as in training, so that the environment can end the episode.
        model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        self._controller = controller
        self._model = model
        self._data = mujoco.MjData(model)

    @property
    def data(self) -> mujoco.MjData:
        """The simulation's state, as the last tick left it."""
        return self._data

    def episode(
        self,
        *,
        reset: int = 0,
        noise: np.random.Generator | None = None,
        held: Values | None = None,
        pushes: bool = False,
    ) -> Iterator[Tick]:
        """Plays one episode.

        Tick 0 is the reset state; tick `k` brings the reward of the `k`-th control period. The last tick is the one at
        which the environment ends the episode, or the one after `episode_length` periods.

        Args:
            reset: number of the reset state to start from.
            noise: draws for the environment's own noise; None for none of it.
            held: entries of the carry that stay at these values, such as the command of a joystick.
            pushes: whether the robot is disturbed as in training, where the environment does that.

        Raises:
            ControllerError: the carry has no such entry, or its shape is another.
        """
        import mujoco

        held = held or {}
        known = {given.field for given in self._controller.carry_inputs}
        for name in held:
            if name not in known:
                raise ControllerError(name, f"the carry has no such entry; it has {', '.join(sorted(known))}")

        manifest = self._controller.manifest
        self._write(manifest.resets[reset % len(manifest.resets)])
        carry: Values = {**self._controller.initial_carry(reset % len(manifest.resets)), **held}
        earlier = self._read()
        for step in range(manifest.episode_length + 1):
            now = self._read()
            values = {
                given.tensor.name: (now if given.source is InputSource.DATA else earlier)[given.tensor.name]
                for given in self._controller.data_inputs
            }
            feed = self._controller.feed(values, carry, noise)
            outputs = self._controller.run(feed)
            decision = self._controller.decision(feed, outputs)
            yield Tick(step, step * manifest.control_period_secs, decision, np.array(self._data.qpos), feed, outputs)
            if decision.done or step == manifest.episode_length:
                return
            self._overwrite(decision.state)
            earlier, carry = self._read() if decision.state else now, {**decision.carry, **held}
            if pushes:  # as in training, what the robot was like before is what it was like before the push
                self._overwrite(decision.pushes)
            self._data.ctrl[:] = decision.ctrl
            mujoco.mj_step(self._model, self._data, manifest.physics_steps_per_control)

    def _write(self, state: ResetState) -> None:
        import mujoco

        mujoco.mj_resetData(self._model, self._data)
        for name, value in state.data.items():
            target = getattr(self._data, name)
            target[...] = np.reshape(value, target.shape)
        mujoco.mj_forward(self._model, self._data)

    def _overwrite(self, values: Values) -> None:
        """Writes what differs from what is there as float32, so that the rest keeps its full precision."""
        for name, value in values.items():
            there = getattr(self._data, name)
            wanted = np.reshape(value, there.shape)
            np.copyto(there, wanted, where=there.astype(np.float32) != wanted)

    def _read(self) -> dict[str, Array]:
        """Copies what the graph reads, as it stands: an extra `mj_forward` here would show it another moment."""
        return {
            given.tensor.name: np.array(getattr(self._data, given.field), np.float32).reshape(given.tensor.shape)
            for given in self._controller.data_inputs
        }


def _value(given: GraphInput, values: Values, carry: Values, noise: np.random.Generator | None) -> Array:
    tensor = given.tensor
    if given.source is InputSource.UNIFORM:
        return np.full(tensor.shape, 0.5, tensor.dtype) if noise is None else noise.random(tensor.shape, np.float32)
    if given.source is InputSource.NORMAL:
        return tensor.zeros() if noise is None else noise.standard_normal(tensor.shape, np.float32)
    is_carry = given.source is InputSource.CARRY
    name = given.field if is_carry else tensor.name
    value = (carry if is_carry else values).get(name)
    if value is None:
        raise ControllerError(name, "this input is missing")
    if np.shape(value) != tensor.shape:
        raise ControllerError(name, f"has shape {np.shape(value)}, expected {tensor.shape}")
    return np.asarray(value, tensor.dtype)


def _unloadable(manifest: Manifest, version: str, error: Exception) -> str:
    made_with = manifest.onnxruntime_version or "another version"
    return (
        f"onnxruntime {version} cannot load it ({error}). It is of opset {manifest.onnx_opset} and was measured with "
        f"onnxruntime {made_with}; with an older onnxruntime, install that one, or export the policy again."
    )
