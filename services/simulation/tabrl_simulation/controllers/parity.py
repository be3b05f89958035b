"""How far a controller in onnxruntime is from the JAX function it was made from, over states of a real rollout.

The states come from the controller driving its robot in MuJoCo C through the native player, so they are those that a
person will see. Each is given to both sides with the same carry and draws, and every output is compared. Then each
drives the robot on its own (`closed_loop`).

Both sides compute in float32 and add up in different orders. A policy with large weights amplifies that: its action may
differ by more than the tolerance though the graph is right. So how far float32 rounding alone moves the source's action
is measured against float64, and what follows from the action may differ by a small multiple of that. Some rewards
amplify too, without any policy: how far the last bit of their inputs moves the source's own is measured likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tabrl.play.manifest import GraphOutput, OutputRole
from tabrl.play.player import Controller, Tick

from tabrl_simulation.bundle import load_scene
from tabrl_simulation.controllers import closed_loop, exactness
from tabrl_simulation.controllers.exactness import (
    ROUNDING_LIMIT,
    TOLERANCE,
    Difference,
    allowed_by_rounding,
    label,
    relative_difference,
    rollout,
)
from tabrl_simulation.controllers.source_runs import BatchedSource

if TYPE_CHECKING:
    import mujoco

    from tabrl_simulation.controllers.build import BuiltController, Workbench
    from tabrl_simulation.controllers.source import Source

__all__ = ["STATES", "TOLERANCE", "Difference", "ParityReport", "measure", "measure_parity"]

STATES: Final = 500
"""States compared at least."""

_OPERATIONS: Final = 16.0  # each of which may lose a last bit
_FIRST_STATES: Final = 64  # enough to see how far rounding moves the ctrl

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ParityReport:
    """Whether a controller does what its source does; field for field `tabrl.exporter.v1.ParityReport`."""

    states: int
    tolerance: float
    outputs: tuple[Difference, ...]
    onnxruntime_version: str
    jax_version: str
    mujoco_version: str
    onnx_opset: int
    closed_loop: closed_loop.ClosedLoop | None = None

    @property
    def passed(self) -> bool:
        """Whether every output lies within the tolerance, and the robot went as it should where that was tried."""
        return not self.moved and (self.closed_loop is None or self.closed_loop.passed)

    @property
    def reason(self) -> str:
        """What is otherwise than it should be, the output that moved furthest first; empty when nothing is."""
        if self.moved:
            return exactness.in_words(self.moved[0], self.states)
        return self.closed_loop.reason if self.closed_loop else ""

    @property
    def moved(self) -> tuple[Difference, ...]:
        """The outputs beyond the tolerance, the furthest first."""
        return exactness.moved(self.outputs)


def measure(workbench: Workbench, made: BuiltController, *, seed: int = 0) -> ParityReport:
    """Compares a controller with its source, state by state and driving the robot; what an export must pass.

    Args:
        workbench: of the controller's environment.
        made: the controller with its source.
        seed: of the environment's draws.

    Raises:
        ControllerError: the controller cannot be played at all.
    """
    controller, model = Controller(made.onnx, made.manifest), load_scene(made.scene)
    batched = BatchedSource(made.source)
    first = _compared(batched, controller, rollout(controller, model, states=_FIRST_STATES, seed=seed), TOLERANCE)
    ctrl = next(output for output in first.outputs if output.name == "ctrl")
    # A ctrl that is wrong excuses nothing.
    ctrl_error = ctrl.max_difference if ctrl.max_difference <= ctrl.tolerance else 0.0
    closed, ticks = closed_loop.compare(workbench, batched, controller, model, ctrl_error=ctrl_error, seed=seed)
    every = max(1, len(ticks) // STATES)
    chosen = ticks[::every]
    if len(chosen) < STATES:
        chosen += rollout(controller, model, states=STATES - len(chosen), seed=seed + 1)
    return replace(_compared(batched, controller, chosen, TOLERANCE), closed_loop=closed)


def measure_parity(
    source: Source,
    controller: Controller,
    model: mujoco.MjModel,
    *,
    states: int = STATES,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> ParityReport:
    """Compares a controller with its source on states of its own rollout.

    Args:
        source: what it should do; without open terms.
        controller: the exported controller.
        model: the scene it drives.
        states: how many states to compare, at least.
        tolerance: largest difference allowed.
        seed: of the environment's noise.
    """
    return _compared(BatchedSource(source), controller, rollout(controller, model, states=states, seed=seed), tolerance)


def _compared(batched: BatchedSource, controller: Controller, ticks: Sequence[Tick], tolerance: float) -> ParityReport:
    import jax
    import mujoco
    import onnxruntime

    source = batched.source
    origins = _origins(source, controller)
    expected = batched.over([tick.feed for tick in ticks])
    worst: dict[str, float] = {}
    for (output, origin), values in zip(origins, expected, strict=True):
        if origin is None:
            if output.role is not OutputRole.CARRY:  # a carry entry that nothing reads
                worst[label(output)] = float("inf")
            continue
        actual = (tick.outputs[origin] if origin in tick.outputs else tick.feed[origin] for tick in ticks)
        worst[label(output)] = max(
            relative_difference(value, np.asarray(other)) for value, other in zip(values, actual, strict=True)
        )
    allowed = dict.fromkeys(worst, tolerance)
    beyond = {name for name, difference in worst.items() if difference > tolerance}
    if beyond:
        observed = next(
            values
            for (output, _), values in zip(origins, expected, strict=True)
            if output.role is OutputRole.OBSERVATION
        )
        following = _allowed_by_rounding(source, observed, tolerance)
        allowed |= {label(output): following for output, _ in origins if output.role in _FOLLOWS_FROM_ACTION}
    if beyond & {label(output) for output, _ in origins if output.role in _REWARDS}:
        conditions = _allowed_by_last_bits(batched, ticks, expected, tolerance)
        allowed |= {label(output): conditions[label(output)] for output, _ in origins if output.role in _REWARDS}
    return ParityReport(
        states=len(ticks),
        tolerance=tolerance,
        outputs=tuple(Difference(name, difference, allowed[name]) for name, difference in worst.items()),
        onnxruntime_version=onnxruntime.__version__,
        jax_version=jax.__version__,
        mujoco_version=mujoco.__version__,
        onnx_opset=controller.manifest.onnx_opset,
    )


_FOLLOWS_FROM_ACTION: Final = frozenset({OutputRole.ACTION, OutputRole.CTRL, OutputRole.CARRY})
_REWARDS: Final = frozenset({OutputRole.REWARD, OutputRole.TERM})


def _allowed_by_rounding(source: Source, observations: Any, tolerance: float) -> float:
    """Returns what may be allowed for what follows from the action, on these observations, [states, O], float32."""
    import jax

    single = np.asarray(jax.jit(jax.vmap(source.policy))(observations))
    with jax.enable_x64(True):
        double = np.asarray(jax.jit(jax.vmap(source.policy))(observations.astype(np.float64)))
    if double.dtype != np.float64:
        return tolerance
    return allowed_by_rounding(double, single, tolerance)


def _allowed_by_last_bits(
    batched: BatchedSource, ticks: Sequence[Tick], expected: Sequence[Array], tolerance: float
) -> dict[str, float]:
    """Returns what may be allowed for each output: a multiple of what the last bit of the inputs does to the source.

    An angle between two poses, for one, is an arc sine, and near a right angle that turns the last bit of a sine into
    the fourth digit of the angle.
    """
    draw = np.random.default_rng(0)
    either_way = np.array([-np.inf, np.inf], np.float32)
    moved = [
        {
            name: np.nextafter(value, draw.choice(either_way, np.shape(value))) if value.dtype == np.float32 else value
            for name, value in tick.feed.items()
        }
        for tick in ticks
    ]
    allowed = {}
    for output, values, others in zip(batched.source.outputs, expected, batched.over(moved), strict=True):
        effect = max(relative_difference(value, other) for value, other in zip(values, others, strict=True))
        allowed[label(output)] = min(ROUNDING_LIMIT, max(tolerance, _OPERATIONS * effect))
    return allowed


def _origins(source: Source, controller: Controller) -> list[tuple[GraphOutput, str | None]]:
    """Pairs each output of the source with the graph's output or copied input that holds it, if any."""
    found = {(output.role, output.field): output.tensor.name for output in controller.manifest.outputs}
    found.update({(OutputRole.CARRY, copy.field): copy.input for copy in controller.manifest.copies})
    return [(output, found.get((output.role, output.field))) for output in source.outputs]
