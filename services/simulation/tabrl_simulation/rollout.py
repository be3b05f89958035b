"""Many environments driven by a policy, with MuJoCo C between one jitted function per control step.

The function is the environment's step turned inside out: it looks at what physics returned (`after`), starts new
episodes where one ended, asks the policy, and says what to hand to physics next (`before`). So each control step is one
dispatch, and nothing an environment does not read is copied.

`N` is the number of environments, `P` the number of starting states, `A` and `O` the sizes of action and observation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import arrays, learner, physics, reset, split
from tabrl_simulation.environments import Environment
from tabrl_simulation.settings import Settings

__all__ = ["OWN_REWARD", "EpisodeTally", "Reward", "RolloutState", "Rollouts"]

OWN_REWARD: Final = "reward"
"""Name of the only term of an environment that reports none."""

# In this share of the environments episodes are cut off early, at a log-uniform part of their length from SHORT to 1,
# and are not reported. Most environments never end an episode, so the others spend nearly all their steps in whatever
# the policy of the moment ends up in; these keep showing it where episodes begin.
SHORT_SHARE: Final = 0.5
SHORT: Final = 0.05

# Saved with a checkpoint: besides these and ctrl, nothing of a simulation outlives a control step.
_SIMULATION_STATE: Final = (*(name for name in arrays.STATE if name != "ctrl"), "qacc_warmstart", "time")


class Reward(Protocol):
    """A reward in place of an environment's own; `tabrl_simulation.rewards.program.RewardProgram` is one."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the reward's artifact, in hex."""

    @property
    def environment_id(self) -> str:
        """Environment it was made for."""

    @property
    def environment_fingerprint(self) -> str:
        """Fingerprint of that environment then."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of its terms."""

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """The mjData arrays it reads."""

    def __call__(self, arrays: Mapping[str, Any], action: Any) -> dict[str, jax.Array]:
        """Returns each term for one environment; traceable."""


class EpisodeTally(NamedTuple):
    """Sums over what happened since the last update; each [], float32.

    Attributes:
        episodes: episodes that ended and had begun at their first step.
        steps: control steps in them.
        returns: sum of their returns.
        term_returns: sum of their returns by term, weights applied.
        rewards: sum of all rewards, finished episode or not.
        diverged: control steps after which physics had no finite state left.
        bad_terms: control steps, by term, at which a reward term of a finite state was not finite.
    """

    episodes: jax.Array
    steps: jax.Array
    returns: jax.Array
    term_returns: dict[str, jax.Array]
    rewards: jax.Array
    diverged: jax.Array
    bad_terms: dict[str, jax.Array]


class Held(NamedTuple):
    """What happened since the policy chose the action that is held.

    Attributes:
        reward: sum of rewards up to the end of the episode, [N].
        terms: sum of each reward term, weights applied, [N].
        steps: control steps up to the end of the episode, [N], int32.
        terminated: whether the environment ended the episode, [N], bool.
        diverged: control steps after which physics had no finite state left, [].
        bad_terms: control steps, by term, at which a reward term of a finite state was not finite, [].
    """

    reward: jax.Array
    terms: dict[str, jax.Array]
    steps: jax.Array
    terminated: jax.Array
    diverged: jax.Array
    bad_terms: dict[str, jax.Array]


class RolloutState(NamedTuple):
    """What a control step hands to the next, apart from the simulations.

    Attributes:
        observation: what the policy saw last, [N, O].
        privileged_observation: what the value network sees of the same moment, [N, V]; None where it sees no other.
        raw_action: what it drew, before tanh, [N, A].
        log_prob: of that draw, [N].
        logits: the distribution it drew from, [N, 2 A].
        carry: the environment's carry, by entry, [N, ...].
        before: arrays that `after` reads as they were before the physics, [N, ...].
        held: since that draw.
        steps: control steps since the episode began up to that draw, [N], int32.
        limit: control steps after which the episode is cut off, [N], int32.
        counted: whether the episode is one to report, [N].
        episode_return: sum of its rewards, [N].
        episode_terms: sum of its reward terms, weights applied, by term, [N].
        discounted_return: sum of rewards, each older one discounted, [N].
        tally: sums since the last update.
        key: of the draws to come, [2], uint32.
    """

    observation: jax.Array
    privileged_observation: jax.Array | None
    raw_action: jax.Array
    log_prob: jax.Array
    logits: jax.Array
    carry: dict[str, jax.Array]
    before: dict[str, jax.Array]
    held: Held
    steps: jax.Array
    limit: jax.Array
    counted: jax.Array
    episode_return: jax.Array
    episode_terms: dict[str, jax.Array]
    discounted_return: jax.Array
    tally: EpisodeTally
    key: jax.Array


class Orders(NamedTuple):
    """What the host does before the next physics steps.

    Attributes:
        ctrl: [N, nu], float32.
        writes: what the environment puts into the simulations, by mjData name, [N, ...], float32.
        ended: whether the episode ended, [N], bool.
        start: index of the starting state of the next one, [N], int32.
    """

    ctrl: jax.Array
    writes: dict[str, jax.Array]
    ended: jax.Array
    start: jax.Array


class _Starts(NamedTuple):
    """Starting states as the jitted function needs them; each [P, ...]."""

    observation: jax.Array
    privileged_observation: jax.Array | None
    carry: dict[str, jax.Array]
    data: dict[str, jax.Array]


class Rollouts:
    """The environments of one training, and where they stand."""

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        networks: Any,
        *,
        reward: Reward | None,
        weights: Mapping[str, float],
        threads: int,
    ) -> None:
        """Prepares the simulations; `begin` or `restore` sets them going.

        Args:
            environment: what to simulate.
            settings: of the training.
            networks: Brax's networks, as `learner.make_networks` makes them.
            reward: in place of the environment's own.
            weights: of the reward's terms; 1 where none is given.
            threads: for physics.
        """
        self._environment = environment
        self._settings = settings
        self._networks = networks
        self._split = split.split(environment)
        self._reward = reward
        self.terms: tuple[str, ...] = tuple(reward.terms) if reward is not None else self._split.terms or (OWN_REWARD,)
        self._weights = jnp.asarray([weights.get(name, 1.0) for name in self.terms], jnp.float32)
        wanted = {*self._split.reads, *(reward.inputs if reward is not None else ())}
        self._simulations = physics.Simulations(
            environment.model,
            count=settings.num_envs,
            threads=threads,
            reads=[name for name in arrays.READABLE if name in wanted],
        )
        self._resetter = reset.Resetter(environment, threads=threads)
        self._pool_size = max(256, settings.num_envs)
        self._pool_key = np.zeros(2, np.uint32)
        self._spent_starts = 0
        self._states: RolloutState | None = None
        self._advance: Callable[..., tuple[RolloutState, learner.Rollout, Orders]] = jax.jit(self._advanced)
        self._hold: Callable[..., tuple[RolloutState, Orders]] = jax.jit(self._held_on)
        self._first: Callable[..., tuple[RolloutState, Orders]] = jax.jit(self._begun)
        pushed = [name for name in self._split.written if name not in _SIMULATION_STATE]
        self._simulation_state = (*_SIMULATION_STATE, *pushed)

    @property
    def steps_per_collect(self) -> int:
        """Control steps, over all environments, that one `collect` takes."""
        return self._settings.batch_steps * self._environment.action_repeat

    @property
    def state(self) -> RolloutState:
        """Where the environments stand, ready for the next physics steps."""
        if self._states is None:
            raise RuntimeError("begin or restore comes first")
        return self._states

    def begin(self, state: learner.LearnerState, key: jax.Array) -> None:
        """Starts an episode in every environment, and asks the policy for first actions."""
        key, pool_key = jax.random.split(key)
        self._draw_pool(np.asarray(pool_key))
        self._states, orders = self._first(state.params.policy, state.normalizer, self._starts, key)
        first = {name: values[: self._settings.num_envs] for name, values in self._pool.state.items()}
        self._simulations.write(first)
        self._obey(orders)

    def collect(self, state: learner.LearnerState) -> list[learner.Rollout]:
        """Lets the policy act `unroll_length` times; returns what each action led to."""
        rollouts: list[learner.Rollout] = []
        for _ in range(self._settings.unroll_length):
            for _ in range(self._environment.action_repeat - 1):
                self._simulations.run(self._environment.physics_steps_per_control)
                self._states, orders = self._hold(self._weights, self.state, self._simulations.read())
                self._obey(orders)
            self._simulations.run(self._environment.physics_steps_per_control)
            self._states, rollout, orders = self._advance(
                state.params.policy,
                state.normalizer,
                self._starts,
                self._weights,
                self.state,
                self._simulations.read(),
            )
            rollouts.append(rollout)
            self._obey(orders)
        return rollouts

    def take_tally(self) -> EpisodeTally:
        """Returns the sums since the last call, on the host, and starts them anew; draws new starting states if due."""
        tally: EpisodeTally = jax.device_get(self.state.tally)
        self._states = self.state._replace(tally=self._no_tally())
        if self._spent_starts >= self._pool_size:
            self._draw_pool(np.asarray(jax.random.fold_in(jnp.asarray(self._pool_key), 1)))
        return tally

    def save(self) -> dict[str, NDArray[Any]]:
        """Returns where the environments stand, as arrays by path, from which `restore` goes on to the bit."""
        return {
            **flatten("loop", jax.device_get(self.state)),
            **flatten("simulations", self._simulations.save(self._simulation_state)),
            "ctrl": self._simulations.held(),
            "pool_key": self._pool_key,
            "spent_starts": np.asarray(self._spent_starts, np.int64),
        }

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from what `save` returned for the same environment, settings and reward.

        Raises:
            KeyError, ValueError: an array is missing or of another shape.
        """
        self._draw_pool(np.asarray(saved["pool_key"], np.uint32))
        self._spent_starts = int(saved["spent_starts"])
        template = jax.eval_shape(
            self._begun, *self._abstract_policy(), self._starts, jax.ShapeDtypeStruct((2,), jnp.uint32)
        )[0]
        self._states = unflatten("loop", template, saved)
        self._simulations.write({})
        self._simulations.restore({name: saved[f"simulations/{name}"] for name in self._simulation_state})
        self._simulations.hold(saved["ctrl"])

    def _obey(self, orders: Orders) -> None:
        ended = np.flatnonzero(np.asarray(orders.ended))
        if ended.size:
            start = np.asarray(orders.start)[ended]
            self._simulations.write({name: values[start] for name, values in self._pool.state.items()}, ended)
            self._spent_starts += int(ended.size)
        self._simulations.overwrite({name: np.asarray(values) for name, values in orders.writes.items()})
        self._simulations.hold(np.asarray(orders.ctrl))

    def _draw_pool(self, key: NDArray[np.uint32]) -> None:
        self._pool_key = key
        self._pool = self._resetter.sample(jax.random.split(jnp.asarray(key), self._pool_size))
        self._spent_starts = 0
        reads = {*self._split.before_arrays, *self._split.after_reads_before, *self._split.written}
        self._starts = _Starts(
            observation=jnp.asarray(self._pool.observation),
            privileged_observation=self._privileged(jnp.asarray(self._pool.privileged_observation)),
            carry={name: jnp.asarray(self._pool.carry[name]) for name in self._split.carry},
            data={name: jnp.asarray(self._pool.data[name]) for name in reads},
        )

    def _abstract_policy(self) -> tuple[Any, Any]:
        made = learner.make_learner(
            self._settings,
            observation_size=self._environment.observation_size,
            action_size=self._environment.action_size,
            privileged_observation_size=self._environment.privileged_observation_size,
        )
        state = jax.eval_shape(made.init, jax.ShapeDtypeStruct((2,), jnp.uint32))
        return state.params.policy, state.normalizer

    def _privileged(self, observation: jax.Array) -> jax.Array | None:
        """Returns a privileged observation if the environment has one: an empty one need not be carried along."""
        return observation if self._environment.privileged_observation_size else None

    def _no_tally(self) -> EpisodeTally:
        zeros = {name: jnp.zeros(()) for name in self.terms}
        nothing = jnp.zeros(())
        return EpisodeTally(nothing, nothing, nothing, zeros, nothing, nothing, zeros)

    def _nothing_held(self) -> Held:
        count = self._settings.num_envs
        zeros, none = jnp.zeros(count), jnp.zeros(())
        return Held(
            reward=zeros,
            terms=dict.fromkeys(self.terms, zeros),
            steps=jnp.zeros(count, jnp.int32),
            terminated=jnp.zeros(count, bool),
            diverged=none,
            bad_terms=dict.fromkeys(self.terms, none),
        )

    # What follows is traced.

    def _begun(self, policy: Any, normalizer: Any, starts: _Starts, key: jax.Array) -> tuple[RolloutState, Orders]:
        count, length = self._settings.num_envs, self._environment.episode_length
        first: _Starts = jax.tree.map(lambda x: x[:count], starts)
        key, stagger_key = jax.random.split(key)
        # First episodes are cut off at different lengths, so that later ones end evenly spread over time.
        limit = 1 + jax.random.permutation(stagger_key, count) * length // count
        raw_action, log_prob, logits, key = self._act(policy, normalizer, first.observation, key)
        zeros = jnp.zeros(count)
        orders = self._orders(raw_action, first.carry, first.data)
        state = RolloutState(
            observation=first.observation,
            privileged_observation=first.privileged_observation,
            raw_action=raw_action,
            log_prob=log_prob,
            logits=logits,
            carry=first.carry,
            before={name: first.data[name] for name in self._split.after_reads_before},
            held=self._nothing_held(),
            steps=jnp.zeros(count, jnp.int32),
            limit=limit.astype(jnp.int32),
            counted=jnp.zeros(count, bool),
            episode_return=zeros,
            episode_terms=dict.fromkeys(self.terms, zeros),
            discounted_return=zeros,
            tally=self._no_tally(),
            key=key,
        )
        return state, orders

    def _advanced(  # noqa: PLR0917 (jit wants positional arguments)
        self,
        policy: Any,
        normalizer: Any,
        starts: _Starts,
        weights: jax.Array,
        state: RolloutState,
        data: dict[str, jax.Array],
    ) -> tuple[RolloutState, learner.Rollout, Orders]:
        after, held = self._looked(weights, state, data)
        steps = state.steps + held.steps
        ended = held.terminated | (steps >= state.limit)
        rollout = learner.Rollout(
            observation=state.observation,
            privileged_observation=state.privileged_observation,
            raw_action=state.raw_action,
            log_prob=state.log_prob,
            logits=state.logits,
            reward=held.reward,
            discounted_return=held.reward + self._settings.discounting * state.discounted_return,
            termination=held.terminated.astype(jnp.float32),
            truncation=(ended & ~held.terminated).astype(jnp.float32),
        )
        episode_return = state.episode_return + held.reward
        episode_terms = {name: state.episode_terms[name] + held.terms[name] for name in self.terms}
        counts = (ended & state.counted).astype(jnp.float32)
        tally = EpisodeTally(
            episodes=state.tally.episodes + counts.sum(),
            steps=state.tally.steps + (counts * steps).sum(),
            returns=state.tally.returns + (counts * episode_return).sum(),
            term_returns={n: state.tally.term_returns[n] + (counts * episode_terms[n]).sum() for n in self.terms},
            rewards=state.tally.rewards + held.reward.sum(),
            diverged=state.tally.diverged + held.diverged,
            bad_terms={name: state.tally.bad_terms[name] + held.bad_terms[name] for name in self.terms},
        )

        key, start_key, limit_key = jax.random.split(state.key, 3)
        length = self._environment.episode_length
        short = length * SHORT ** jax.random.uniform(limit_key, ended.shape)
        start = jax.random.randint(start_key, ended.shape, 0, starts.observation.shape[0], jnp.int32)

        def fresh(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(ended.reshape(-1, *(1,) * (old.ndim - 1)), new, old)

        chosen: _Starts = jax.tree.map(lambda x: x[start], starts)
        observation, privileged_observation = jax.tree.map(
            fresh,
            (chosen.observation, chosen.privileged_observation),
            (after.observation, self._privileged(after.privileged_observation)),
        )
        carry = {name: fresh(chosen.carry[name], value) for name, value in after.carry.items()}
        data = {**data, **after.writes}
        now = {name: fresh(value, data[name]) for name, value in chosen.data.items()}
        raw_action, log_prob, logits, key = self._act(policy, normalizer, observation, key)
        orders = self._orders(raw_action, carry, now)._replace(ended=ended, start=start)

        def unless_ended(value: jax.Array) -> jax.Array:
            return jnp.where(ended, jnp.zeros_like(value), value)

        following = RolloutState(
            observation=observation,
            privileged_observation=privileged_observation,
            raw_action=raw_action,
            log_prob=log_prob,
            logits=logits,
            carry=carry,
            before={name: now[name] for name in self._split.after_reads_before},
            held=self._nothing_held(),
            steps=unless_ended(steps),
            limit=jnp.where(ended, jnp.where(self._is_short(), short, length).astype(jnp.int32), state.limit),
            counted=(state.counted | ended) & ~self._is_short(),
            episode_return=unless_ended(episode_return),
            episode_terms=jax.tree.map(unless_ended, episode_terms),
            discounted_return=unless_ended(rollout.discounted_return),
            tally=tally,
            key=key,
        )
        return following, rollout, orders

    def _held_on(
        self, weights: jax.Array, state: RolloutState, data: dict[str, jax.Array]
    ) -> tuple[RolloutState, Orders]:
        """Looks at the outcome of a control step within an action's time."""
        after, held = self._looked(weights, state, data)
        data = {**data, **after.writes}
        before = {name: data[name] for name in self._split.after_reads_before}
        state = state._replace(carry=after.carry, before=before, held=held)
        return state, self._orders(state.raw_action, after.carry, data)

    def _looked(self, weights: jax.Array, state: RolloutState, data: dict[str, jax.Array]) -> tuple[split.After, Held]:
        """Looks at the outcome of a control step; adds it to what happened since the action was chosen."""
        action = self._networks.parametric_action_distribution.postprocess(state.raw_action)
        earlier = {f"before.{name}": value for name, value in state.before.items()}
        after: split.After = jax.vmap(self._split.after)({**data, **earlier}, action, state.carry)
        reward, terms = self._rewarded(after, data, action, weights)
        finite = jnp.isfinite(after.observation).all(-1) & jnp.isfinite(after.privileged_observation).all(-1)
        live = ~state.held.terminated
        counts = live & finite

        def add(held: jax.Array, value: jax.Array) -> jax.Array:
            return held + jnp.where(counts, value, 0.0)

        return after, Held(
            reward=add(state.held.reward, reward),
            terms={name: add(state.held.terms[name], value) for name, value in terms.items()},
            steps=state.held.steps + live,
            terminated=state.held.terminated | (after.done > 0) | ~finite,
            diverged=state.held.diverged + (live & ~finite).sum(dtype=jnp.float32),
            bad_terms={
                name: state.held.bad_terms[name] + (counts & ~jnp.isfinite(value)).sum(dtype=jnp.float32)
                for name, value in terms.items()
            },
        )

    def _is_short(self) -> jax.Array:
        """Returns which environments cut their episodes off early, [N], bool."""
        count = self._settings.num_envs
        return jnp.arange(count) >= count - int(count * SHORT_SHARE)

    def _act(
        self, policy: Any, normalizer: Any, observation: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        key, draw_key = jax.random.split(key)
        distribution = self._networks.parametric_action_distribution
        logits = self._networks.policy_network.apply(normalizer, policy, observation)
        raw_action = distribution.sample_no_postprocessing(logits, draw_key)
        return raw_action, distribution.log_prob(logits, raw_action), logits, key

    def _orders(self, raw_action: jax.Array, carry: dict[str, jax.Array], data: dict[str, jax.Array]) -> Orders:
        """Returns what to hand to physics next where no episode ended."""
        action = self._networks.parametric_action_distribution.postprocess(raw_action)
        read = {name: data[name] for name in self._split.before_arrays}
        before: Callable[..., tuple[jax.Array, Any]] = jax.vmap(self._split.before)
        writes: dict[str, jax.Array] = {name: data[name] for name in self._split.written}
        writes |= jax.vmap(self._split.writes)(action, carry, read)
        nowhere = jnp.zeros(len(action), jnp.int32)
        return Orders(before(action, carry, read)[0], writes, ended=nowhere > 0, start=nowhere)

    def _rewarded(
        self, after: split.After, data: dict[str, jax.Array], action: jax.Array, weights: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the reward, [N], and its terms with weights applied, each [N]."""
        if self._reward is None:
            return after.reward, after.terms or {OWN_REWARD: after.reward}
        plain = jax.vmap(self._reward)({name: data[name] for name in self._reward.inputs}, action)
        terms = {name: plain[name] * weights[i] for i, name in enumerate(self.terms)}
        return jnp.stack(list(terms.values())).sum(0), terms


def flatten(prefix: str, tree: Any) -> dict[str, NDArray[Any]]:
    """Names the arrays of a tree by their paths in it, such as `loop/tally/rewards`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_path(prefix, path): np.asarray(leaf) for path, leaf in leaves}


def unflatten(prefix: str, template: Any, arrays_by_path: Mapping[str, NDArray[Any]]) -> Any:
    """Builds the tree of `template`, of shapes and dtypes, from what `flatten` returned.

    Raises:
        KeyError: an array is missing.
        ValueError: an array is of another shape or dtype.
    """
    leaves, treedef = jax.tree_util.tree_flatten_with_path(template)
    values = []
    for path, leaf in leaves:
        name = _path(prefix, path)
        value = arrays_by_path[name]
        if value.shape != leaf.shape or value.dtype != leaf.dtype:
            raise ValueError(f"{name} is {value.dtype}{value.shape}, not {leaf.dtype}{leaf.shape}")
        values.append(jnp.asarray(value))
    return jax.tree_util.tree_unflatten(treedef, values)


def _path(prefix: str, path: tuple[Any, ...]) -> str:
    keys = (getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))) for key in path)
    return "/".join((prefix, *(str(key) for key in keys)))
