"""The reset of an environment on MuJoCo C: sampled starting states.

An environment's `reset` draws a state, calls physics one or more times (CheetahRun settles for 200 steps), then looks
at the outcome. It is run here in segments: a jitted function up to each physics call, and one after the last, with
MuJoCo C in between. Each segment is `reset` itself, traced with the earlier calls answered and stopped at the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tabrl_simulation import arrays, taps

if TYPE_CHECKING:
    import jax
    import mujoco
    import numpy as np
    from mujoco import mjx
    from mujoco_playground._src import mjx_env
    from numpy.typing import NDArray

__all__ = ["ResetStates", "Resettable", "Resetter", "flatten_info", "observation_size"]

# A physics call's answer, or a state to write: arrays by name.
Arrays = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ResetStates:
    """`N` states that episodes start from.

    Attributes:
        state: what to write to the simulation, by mjData name (`arrays.STATE`): each [N, ...], float32.
        data: every array of `arrays.READABLE` once `mj_forward` has run on that state: each [N, ...], float32.
        carry: first value of each entry of the environment's `info`, by path: each [N, ...].
        observation: what the environment's own reset observes, [N, observation_size], float32.
    """

    state: dict[str, NDArray[np.float32]]
    data: dict[str, NDArray[np.float32]]
    carry: dict[str, NDArray[Any]]
    observation: NDArray[np.float32]


def flatten_info(info: Any) -> dict[str, Any]:
    """Names the leaves of an environment's `info` by their paths, such as `rng` or `command/velocity`."""
    import jax

    leaves, _ = jax.tree_util.tree_flatten_with_path(info)
    return {"/".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path): leaf for path, leaf in leaves}


class _Stopped(Exception):
    """Ends the tracing of a reset at the physics call that has no answer yet."""

    def __init__(self, state: Arrays, nstep: int) -> None:
        super().__init__()
        self.state = state
        self.nstep = nstep


def _replay(playground: mjx_env.MjxEnv, key: jax.Array, answers: Sequence[Arrays]) -> mjx_env.State:
    """Runs `reset` with its first physics calls answered; raises _Stopped at the first that is not."""
    import jax.numpy as jnp

    calls = iter(answers)

    def call(data: mjx.Data, nstep: int) -> mjx.Data:
        answer = next(calls, None)
        if answer is None:
            raise _Stopped({name: getattr(data, name) for name in arrays.STATE}, nstep)
        return data.replace(**answer)

    physics = taps.Physics(
        forward=lambda data: call(data, 0),
        step=lambda data, ctrl, nstep: call(data.replace(ctrl=jnp.asarray(ctrl, jnp.float32)), nstep),
    )
    with taps.tapped(physics):
        return playground.reset(key)


def _answer_template(model: mujoco.MjModel) -> Arrays:
    import jax
    import jax.numpy as jnp

    return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in arrays.shapes(model).items()}


def abstract_reset(playground: mjx_env.MjxEnv) -> mjx_env.State:
    """Returns the shapes and dtypes of a reset, without any physics; tens of milliseconds."""
    import jax

    template = _answer_template(playground.mj_model)
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    answers: list[Arrays] = []
    while True:
        try:
            return jax.eval_shape(lambda k, a: _replay(playground, k, a), key, answers)
        except _Stopped:
            answers.append(template)


def observation_size(playground: mjx_env.MjxEnv) -> int:
    """Returns how many numbers an observation has.

    Raises:
        TypeError: the environment observes several arrays, which TabRL does not train yet.
    """
    observation = abstract_reset(playground).obs
    shape = getattr(observation, "shape", None)
    if shape is None or len(shape) != 1:
        raise TypeError(f"{type(playground).__name__} observes {observation}, where one array was expected")
    return int(shape[0])


class Resettable(Protocol):
    """What a reset needs of an `environments.Environment`, which needs `observation_size` from here."""

    @property
    def playground(self) -> mjx_env.MjxEnv:
        """Playground's object, whose `reset` is run."""

    @property
    def model(self) -> mujoco.MjModel:
        """The MuJoCo model it is simulated with."""


class Resetter:
    """Samples starting states of one environment; compiles on the first use of each batch size."""

    def __init__(self, environment: Resettable, *, threads: int) -> None:
        """Prepares to sample, with as many physics threads as `threads`."""
        self._environment = environment
        self._threads = threads
        self._segments: list[Callable[..., Any]] = []
        self._nsteps: list[int] = []

    def sample(self, keys: jax.Array) -> ResetStates:
        """Runs the environment's reset once for each key.

        Args:
            keys: PRNG keys, [N, 2], uint32.
        """
        import jax
        import numpy as np

        from tabrl_simulation import physics

        simulations = physics.Simulations(
            self._environment.model, count=len(keys), threads=self._threads, reads=arrays.READABLE
        )
        answers: list[Arrays] = []
        while True:
            result = self._segment(len(answers))(keys, answers)
            if "state" not in result:
                break
            simulations.write({name: np.asarray(value) for name, value in result["state"].items()})
            nstep = self._nsteps[len(answers)]
            simulations.run(nstep) if nstep else simulations.forward()
            answers.append(simulations.read())
        result = jax.device_get(result)
        # An environment may still move things after its last physics call, such as a target.
        simulations.write(result["final"])
        simulations.forward()
        return ResetStates(
            state=result["final"],
            data=simulations.read(),
            carry=result["carry"],
            observation=result["observation"],
        )

    def _segment(self, answered: int) -> Callable[..., Any]:
        """Returns the jitted part of `reset` that follows its first `answered` physics calls."""
        import jax

        if answered < len(self._segments):
            return self._segments[answered]

        def segment(key: jax.Array, answers: list[Arrays]) -> dict[str, Any]:
            try:
                state = _replay(self._environment.playground, key, answers)
            except _Stopped as stopped:
                self._nsteps[answered:] = [stopped.nstep]
                return {"state": stopped.state}
            return {
                "final": {name: getattr(state.data, name) for name in arrays.STATE},
                "carry": flatten_info(state.info),
                "observation": state.obs,
            }

        self._segments.append(jax.jit(jax.vmap(segment)))
        return self._segments[answered]
