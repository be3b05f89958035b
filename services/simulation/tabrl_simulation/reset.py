"""The reset of an environment on MuJoCo C: sampled starting states.

An environment's `reset` draws a state, calls physics one or more times (CheetahRun settles for 200 steps), then looks
at the outcome. It is run here in segments: a jitted function up to each physics call, and one after the last, with
MuJoCo C in between. Each segment is `reset` itself, traced with the earlier calls answered and stopped at the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tabrl_simulation import arrays, taps

if TYPE_CHECKING:
    import jax
    import mujoco
    import numpy as np
    from mujoco import mjx
    from mujoco_playground._src import mjx_env
    from numpy.typing import NDArray

__all__ = ["ResetStates", "Resettable", "Resetter", "Sizes", "flatten_info", "observation_parts", "sizes"]

# A physics call's answer, or a state to write: arrays by name.
Arrays = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ResetStates:
    """`N` states that episodes start from.

    Attributes:
        state: what to write to the simulation, by mjData name (`arrays.STATE`): each [N, ...], float32.
        data: every array of `arrays.READABLE` once `mj_forward` has run on that state: each [N, ...], float32.
        carry: first value of each entry of the environment's `info`, by path: each [N, ...].
        observation: what the policy sees of it by the environment's own reset, [N, observation_size], float32.
        privileged_observation: what the value network sees instead, [N, privileged_observation_size], float32.
    """

    state: dict[str, NDArray[np.float32]]
    data: dict[str, NDArray[np.float32]]
    carry: dict[str, NDArray[Any]]
    observation: NDArray[np.float32]
    privileged_observation: NDArray[np.float32]


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


def observation_parts(observation: Any) -> tuple[Any, Any | None]:
    """Tells what the policy observes from what the value network alone may see in its place.

    Args:
        observation: of an environment: one array, or a dict with `state` and maybe `privileged_state`.

    Returns:
        The policy's observation; and the privileged one, None where there is none.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(observation, Mapping):
        parts: tuple[Any, Any | None] = (observation, None)
    elif "state" in observation and observation.keys() <= {"state", "privileged_state"}:
        parts = (observation["state"], observation.get("privileged_state"))
    else:
        raise TypeError(f"an observation of {', '.join(observation)}, where state and privileged_state were expected")
    if any(len(getattr(part, "shape", ())) != 1 for part in parts if part is not None):
        raise TypeError(f"an observation of {parts}, where one axis was expected")
    return parts


class Sizes(NamedTuple):
    """How many numbers an environment deals in.

    Attributes:
        observation: in what the policy observes.
        privileged_observation: in what the value network observes instead; 0 where it is the same.
        command: in a command to the robot: 3 for a joystick's, 0 where there are none.
    """

    observation: int
    privileged_observation: int
    command: int


def sizes(playground: mjx_env.MjxEnv) -> Sizes:
    """Returns how many numbers an environment deals in.

    Raises:
        TypeError: the policy observes something else than numbers, such as pictures.
    """
    state = abstract_reset(playground)
    observation, privileged = observation_parts(state.obs)
    command = getattr(state.info.get("command"), "shape", ())
    return Sizes(
        observation=int(observation.shape[0]),
        privileged_observation=0 if privileged is None else int(privileged.shape[0]),
        command=3 if command == (3,) else 0,
    )


class Resettable(Protocol):
    """What a reset needs of an `environments.Environment`, which needs `sizes` from here."""

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
            privileged_observation=result["privileged_observation"],
        )

    def _segment(self, answered: int) -> Callable[..., Any]:
        """Returns the jitted part of `reset` that follows its first `answered` physics calls."""
        import jax
        import jax.numpy as jnp

        if answered < len(self._segments):
            return self._segments[answered]

        def segment(key: jax.Array, answers: list[Arrays]) -> dict[str, Any]:
            try:
                state = _replay(self._environment.playground, key, answers)
            except _Stopped as stopped:
                self._nsteps[answered:] = [stopped.nstep]
                return {"state": stopped.state}
            observation, privileged = observation_parts(state.obs)
            return {
                "final": {name: getattr(state.data, name) for name in arrays.STATE},
                "carry": flatten_info(state.info),
                "observation": observation,
                "privileged_observation": jnp.zeros(0) if privileged is None else privileged,
            }

        self._segments.append(jax.jit(jax.vmap(segment)))
        return self._segments[answered]
