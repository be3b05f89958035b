"""What training asks of a backend: environments that a policy drives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import jax
    from numpy.typing import NDArray

    from tabrl_simulation import learner
    from tabrl_simulation.control_loop import EpisodeTally, NextStep, Reward
    from tabrl_simulation.environments import Environment
    from tabrl_simulation.settings import Settings

__all__ = ["Collector", "make_collector"]


class Collector(Protocol):
    """The environments of one training, and where they stand."""

    @property
    def backend(self) -> str:
        """Name of the physics, of `choice.NAMES`."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the reward's terms."""

    @property
    def steps_per_collect(self) -> int:
        """Control steps, over all environments, that one `collect` takes."""

    @property
    def last_observations(self) -> tuple[jax.Array, jax.Array | None]:
        """What the policy, [N, O], and the value network, [N, V], see after the last rollout.

        None where the value network sees what the policy does.
        """

    def begin(self, state: learner.LearnerState, key: jax.Array) -> None:
        """Starts an episode in every environment, and asks the policy for first actions."""

    def collect(self, state: learner.LearnerState) -> learner.Rollouts:
        """Lets the policy act `unroll_length` times; returns what each action led to, in any form of a batch."""

    def take_tally(self) -> EpisodeTally:
        """Returns the sums since the last call, on the host, and starts them anew; draws new starting states if due."""

    def look_ahead(self) -> NextStep:
        """Takes one control step to find what is not finite; nothing may follow."""

    def save(self) -> dict[str, NDArray[Any]]:
        """Returns where the environments stand, as arrays by path, from which `restore` goes on to the bit."""

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from what `save` returned for the same environment, settings, reward and backend.

        Raises:
            KeyError, ValueError: an array is missing or of another shape.
        """


def make_collector(
    environment: Environment,
    settings: Settings,
    networks: Any,
    *,
    backend: str | None,
    reward: Reward | None,
    weights: Mapping[str, float],
    threads: int,
) -> Collector:
    """Makes the environments of a training; `begin` or `restore` sets them going.

    Args:
        environment: what to simulate.
        settings: of the training.
        networks: Brax's networks, as `learner.make_networks` makes them.
        backend: name of the physics; None for the best one here that has all the environment's model needs.
        reward: in place of the environment's own.
        weights: of the reward's terms; 1 where none is given.
        threads: for physics on the processor.

    Raises:
        BackendUnavailable: the backend does not exist, needs what is not here, or lacks what the model needs.
    """
    from tabrl_simulation.backends import choice

    *others, last = choice.candidates(backend)
    for name in others:
        try:
            return _made(name, environment, settings, networks, reward, weights, threads)
        except choice.BackendUnavailable:
            # Chosen automatically: the next one then.
            continue
    return _made(last, environment, settings, networks, reward, weights, threads)


def _made(  # noqa: PLR0917 (make_collector's, in its order)
    backend: str,
    environment: Environment,
    settings: Settings,
    networks: Any,
    reward: Reward | None,
    weights: Mapping[str, float],
    threads: int,
) -> Collector:
    from tabrl_simulation.backends import choice

    if backend == choice.MUJOCO_C:
        from tabrl_simulation import overlapped

        return overlapped.make_rollouts(
            environment, settings, networks, reward=reward, weights=weights, threads=threads
        )
    if settings.domain_randomization:
        problem = "it does not give each environment a model of its own yet"
        raise choice.BackendUnavailable(backend, problem, "leave domain_randomization out, or train with mujoco-c")
    import jax

    # A GPU multiplies with ten bits of mantissa otherwise, which is too coarse for physics and for learning.
    jax.config.update("jax_default_matmul_precision", "highest")
    from tabrl_simulation.backends.device_physics import DevicePhysics
    from tabrl_simulation.backends.device_rollouts import DeviceRollouts

    physics = DevicePhysics(environment, backend=backend, count=settings.num_envs)
    return DeviceRollouts(environment, settings, networks, physics, reward=reward, weights=weights, threads=threads)
