"""A controller's source in JAX: run on many states at once, and driving the robot in the environment as training does.

The policy's weights are arguments of the compiled function, not constants in it, so that every checkpoint of a run
finds the function compiled: in JAX's cache on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jax
import numpy as np
from numpy.typing import NDArray
from tabrl.play.manifest import InputSource, OutputRole

from tabrl_simulation import physics

if TYPE_CHECKING:
    from tabrl.play.manifest import GraphInput

    from tabrl_simulation.controllers.build import Workbench
    from tabrl_simulation.controllers.source import Source

__all__ = ["BATCH", "BatchedSource", "SourceEpisode", "drive"]

BATCH: Final = 16
"""States that the source is run on at once."""

Array = NDArray[Any]


class BatchedSource:
    """A source on BATCH states at once."""

    def __init__(self, source: Source) -> None:
        """Traces the source; it is compiled at the first call."""
        self.source = source
        closed = jax.make_jaxpr(source.function)(*source.avals)

        def run(constants: Sequence[Any], *args: Any) -> list[Any]:
            results: list[Any] = jax.core.eval_jaxpr(closed.jaxpr, constants, *args)
            return results

        self._run = jax.jit(jax.vmap(run, in_axes=(None, *[0] * len(source.avals))))
        self._constants = closed.consts

    def __call__(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Returns the outputs in the source's order, each [BATCH, ...], for inputs by name, each [BATCH, ...].

        Inputs left out are 0.
        """
        given = [
            np.asarray(feeds[tensor.name], tensor.dtype)
            if tensor.name in feeds
            else np.zeros((BATCH, *tensor.shape), tensor.dtype)
            for tensor in self.source.tensors
        ]
        return [np.asarray(output) for output in self._run(self._constants, *given)]

    def over(self, feeds: Sequence[Mapping[str, Array]]) -> list[Array]:
        """Returns the outputs, each [len(feeds), ...], for the inputs of one state after another."""
        pieces = []
        for start in range(0, len(feeds), BATCH):
            piece = list(feeds[start : start + BATCH])
            padded = piece + [piece[-1]] * (BATCH - len(piece))
            known = [tensor.name for tensor in self.source.tensors if tensor.name in padded[0]]
            outputs = self({name: np.stack([feed[name] for feed in padded]) for name in known})
            pieces.append([output[: len(piece)] for output in outputs])
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


@dataclass(frozen=True)
class SourceEpisode:
    """One episode that the source drove.

    Attributes:
        qpos: joint positions at each tick, the reset's first, [ticks, nq], float64.
        episode_return: sum of rewards.
        steps: control periods until the environment ended it, or as many as were played.
    """

    qpos: NDArray[np.float64]
    episode_return: float
    steps: int


def drive(
    batched: BatchedSource,
    workbench: Workbench,
    *,
    resets: Sequence[int],
    draws: Sequence[GraphInput],
    seeds: Sequence[tuple[int, int]],
    steps: int,
    ctrl_error: Sequence[float],
) -> list[SourceEpisode]:
    """Lets the source drive BATCH robots through the environment's own model and clocks, pushes included.

    Args:
        batched: the source.
        workbench: of its environment; its reset states are the environment's own.
        resets: number of the reset state of each robot, [BATCH].
        draws: the draws of the controller that it is compared with, in the order in which a player makes them.
        seeds: seed of each robot's draws, [BATCH].
        steps: control periods at most.
        ctrl_error: how far each robot's ctrl is moved at random, relative to the larger of 1 and the value, [BATCH].
    """
    environment, source = workbench.environment, batched.source
    roles = {(output.role, output.field): index for index, output in enumerate(source.outputs)}
    simulations = physics.Simulations(
        environment.model, count=BATCH, threads=physics.cores(), reads=_read_fields(source.inputs)
    )
    starts = [workbench.resets[number % len(workbench.resets)] for number in resets]
    simulations.write({name: np.stack([start.data[name] for start in starts]) for name in starts[0].data})
    simulations.forward()
    carry = {
        given.field: np.stack([start.carry.get(given.field, given.tensor.zeros()) for start in starts])
        for given in source.inputs
        if given.source is InputSource.CARRY
    }
    rngs = [np.random.default_rng(seed) for seed in seeds]
    errors = [np.random.default_rng((number, *seed)) for number, seed in enumerate(seeds)]
    scale = np.asarray(ctrl_error, np.float64)[:, None]
    returns, lengths = np.zeros(BATCH), np.full(BATCH, steps)
    running = np.full(BATCH, True)
    path: list[NDArray[np.float64]] = []
    earlier = simulations.read()
    for step in range(steps + 1):
        now = simulations.read()
        outputs = batched({**_feeds(source.inputs, now, earlier, carry), **_drawn(draws, rngs)})
        path.append(simulations.save(("qpos",))["qpos"])
        returns += np.where(running, outputs[roles[OutputRole.REWARD, ""]], 0.0)
        ended = running & (outputs[roles[OutputRole.DONE, ""]] != 0)
        lengths[ended] = step
        running &= ~ended
        if step == steps or not running.any():
            break
        written = _written(source, outputs, OutputRole.STATE)
        simulations.overwrite(written)
        earlier = simulations.read() if written else now
        simulations.overwrite(_written(source, outputs, OutputRole.PUSH))
        carry = {name: outputs[roles[OutputRole.CARRY, name]] for name in carry}
        ctrl = outputs[roles[OutputRole.CTRL, ""]].astype(np.float64)
        noise = np.stack([error.uniform(-1.0, 1.0, ctrl.shape[1]) for error in errors])
        simulations.hold(ctrl + scale * np.maximum(1.0, np.abs(ctrl)) * noise)
        simulations.run(environment.physics_steps_per_control)
    qpos = np.stack(path, axis=1)
    return [
        SourceEpisode(qpos[index, : lengths[index] + 1], float(returns[index]), int(lengths[index]))
        for index in range(BATCH)
    ]


def _read_fields(inputs: Sequence[GraphInput]) -> list[str]:
    data = (InputSource.DATA, InputSource.DATA_BEFORE)
    return list(dict.fromkeys(given.field for given in inputs if given.source in data))


def _feeds(
    inputs: Sequence[GraphInput], now: Mapping[str, Array], earlier: Mapping[str, Array], carry: Mapping[str, Array]
) -> dict[str, Array]:
    places = {InputSource.DATA: now, InputSource.DATA_BEFORE: earlier, InputSource.CARRY: carry}
    feeds = {given.tensor.name: places[given.source][given.field] for given in inputs if given.source in places}
    middle = {
        given.tensor.name: np.full((BATCH, *given.tensor.shape), 0.5, np.float32)
        for given in inputs
        if given.source is InputSource.UNIFORM
    }
    return {**feeds, **middle}


def _drawn(draws: Sequence[GraphInput], rngs: Sequence[np.random.Generator]) -> dict[str, Array]:
    drawn = {}
    for given in draws:
        shape = given.tensor.shape
        drawn[given.tensor.name] = np.stack(
            [
                rng.random(shape, np.float32)
                if given.source is InputSource.UNIFORM
                else rng.standard_normal(shape, np.float32)
                for rng in rngs
            ]
        )
    return drawn


def _written(source: Source, outputs: Sequence[Array], role: OutputRole) -> dict[str, Array]:
    return {output.field: outputs[index] for index, output in enumerate(source.outputs) if output.role is role}
