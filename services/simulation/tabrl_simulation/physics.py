"""Many simulations of one model on MuJoCo C, written and read as float32 arrays in MJX's layout."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import arrays

if TYPE_CHECKING:
    import mujoco

__all__ = ["Simulations", "cores"]


def cores() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


class Simulations:
    """`N` simulations, stepped together on a thread pool.

    A simulation that diverges keeps its NaNs, as in MJX, so that the environment can end the episode; MuJoCo's own
    answer, to start over in silence, would show the learner a jump that no action caused.
    """

    def __init__(self, model: mujoco.MjModel, *, count: int, threads: int, reads: Sequence[str]) -> None:
        """Copies the model `count` times.

        Args:
            model: the model; it is not changed.
            count: simulations, `N`.
            threads: threads to step them on.
            reads: names, of `arrays.READABLE`, that `read` returns.
        """
        import copy

        import mujoco
        from mujoco import batch

        model = copy.copy(model)
        model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        self._batch = batch.Batch(model, nsim=count, nthread=threads)
        self._ctrl = self._batch.bind("ctrl")
        self._reads = tuple(reads)
        # Only what is bound before a step is copied out after it.
        arrays.read_batch(self._batch, self._reads)

    def write(self, state: Mapping[str, NDArray[Any]], simulations: NDArray[np.intp] | None = None) -> None:
        """Puts simulations into a state, at rest in everything the state does not name.

        Args:
            state: arrays by name, of `arrays.STATE`: each [n, ...].
            simulations: indices of the `n` simulations, [n]; all of them if left out.
        """
        import mujoco

        self._batch.reset(ids=simulations, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        where = slice(None) if simulations is None else simulations
        for name, values in state.items():
            bound = self._batch.bind(name)
            if bound.size:
                bound[where] = np.reshape(values, (-1, *bound.shape[1:]))

    def overwrite(self, values: Mapping[str, NDArray[np.float32]]) -> None:
        """Puts values, each [N, ...], into running simulations, but for those that are there already as float32.

        What stays as it was keeps its full precision.
        """
        for name, wanted in values.items():
            bound = self._batch.bind(name)
            np.copyto(bound, wanted, where=bound.astype(np.float32) != wanted)

    def randomize(self, fields: Mapping[str, NDArray[np.float32]]) -> None:
        """Gives every simulation a model of its own, and recomputes the constants that follow from it.

        Args:
            fields: values of MjModel fields by name: each [N, ...]. Those that are the model's own already as float32
                keep its full precision.
        """
        for name, wanted in fields.items():
            own = self._batch.expand(name)
            np.copyto(own, wanted, where=own.astype(np.float32) != wanted)
        if fields:
            self._batch.set_const()

    def forward(self) -> None:
        """Computes all derived arrays of the present state."""
        self._batch.forward()

    def run(self, nstep: int) -> None:
        """Steps every simulation `nstep` times with the ctrl that is held."""
        self._batch.step(nstep=nstep)

    def hold(self, ctrl: NDArray[Any]) -> None:
        """Sets the ctrl to hold from now on, [N, nu]."""
        self._ctrl[...] = ctrl

    def held(self) -> NDArray[np.float64]:
        """Copies the ctrl that is held, [N, nu]."""
        return np.array(self._ctrl)

    def save(self, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Copies state fields of MjData in full precision: each [N, ...]."""
        return {name: np.array(self._batch.bind(name)) for name in names}

    def restore(self, saved: Mapping[str, NDArray[np.float64]]) -> None:
        """Writes what `save` copied."""
        for name, values in saved.items():
            self._batch.bind(name)[...] = values

    def read(self) -> dict[str, NDArray[np.float32]]:
        """Copies the arrays asked for at the start: each [N, ...], float32, as they are after the last physics step."""
        return arrays.read_batch(self._batch, self._reads)
