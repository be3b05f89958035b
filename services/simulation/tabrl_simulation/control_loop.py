"""What happens between one physics call and the next: pure functions, whatever the physics.

The environment's step is turned inside out. `advanced` looks at what physics returned (`split.SplitStep.after`), starts
new episodes where one ended, asks the policy, and says what to hand to physics next (`before`). Whoever drives physics
(`rollout` on MuJoCo C, `backends.device_rollouts` on MJX) calls these functions in between.

`N` is the number of environments, `P` the number of starting states, `A` and `O` the sizes of action and observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import arrays, learner, split, tally
from tabrl_simulation.environments import Environment
from tabrl_simulation.reset import ResetStates
from tabrl_simulation.reward_memory import Memory, RewardMemory
from tabrl_simulation.rewards.inputs import BEFORE, arrays_now, before_arrays
from tabrl_simulation.settings import Settings
from tabrl_simulation.tally import EpisodeTally

__all__ = [
    "OWN_REWARD",
    "ControlLoop",
    "EpisodeTally",
    "Held",
    "NextStep",
    "Orders",
    "Reward",
    "RolloutState",
    "Starts",
]

OWN_REWARD: Final = "reward"
"""Name of the only term of an environment that reports none."""

# In this share of the environments episodes are cut off early, at a log-uniform part of their length from SHORT to 1,
# and are not reported. Most environments never end an episode, so the others spend nearly all their steps in whatever
# the policy of the moment ends up in; these keep showing it where episodes begin.
SHORT_SHARE: Final = 0.5
SHORT: Final = 0.05


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
        """What it reads, as `rewards.inputs` names it, with the shape for one environment."""

    def __call__(self, arrays: Mapping[str, Any], action: Any) -> dict[str, jax.Array]:
        """Returns each term for one environment from the inputs it reads; traceable."""


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
        before: arrays that `after` or the reward reads as they were before the physics, [N, ...].
        memory: what the reward remembers of the steps before.
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
    memory: Memory
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


class Starts(NamedTuple):
    """Starting states as the jitted function needs them; each [P, ...]."""

    observation: jax.Array
    privileged_observation: jax.Array | None
    carry: dict[str, jax.Array]
    data: dict[str, jax.Array]


class NextStep(NamedTuple):
    """One control step with nothing started anew after it: where to look for what is not finite.

    Attributes:
        before: fields of MjData before it, with the ctrl that is held: each [N, ...].
        moved: qpos and qvel after it, each [N, ...].
        observation: what the policy would see, [N, O].
        privileged_observation: what the value network would see instead, [N, V].
    """

    before: dict[str, NDArray[Any]]
    moved: dict[str, NDArray[Any]]
    observation: NDArray[np.float32]
    privileged_observation: NDArray[np.float32]


class ControlLoop:
    """The functions of one environment, one policy and one reward.

    Attributes:
        terms: names of the reward's terms.
        weights: of these terms, [terms], float32.
        split: the two halves of the environment's step.
        reads: mjData arrays, of `arrays.READABLE`, to be read straight after the last physics step of a control period.
    """

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        networks: Any,
        *,
        reward: Reward | None,
        weights: Mapping[str, float],
    ) -> None:
        """Splits the environment's step.

        Args:
            environment: what to simulate.
            settings: of the training.
            networks: Brax's networks, as `learner.make_networks` makes them.
            reward: in place of the environment's own.
            weights: of the reward's terms; 1 where none is given.
        """
        self._environment = environment
        self._settings = settings
        self._networks = networks
        self._reward = reward
        self.split = split.split(environment)
        self.terms: tuple[str, ...] = tuple(reward.terms) if reward is not None else self.split.terms or (OWN_REWARD,)
        self.weights = jnp.asarray([weights.get(name, 1.0) for name in self.terms], jnp.float32)
        inputs = reward.inputs if reward is not None else {}
        earlier = {*self.split.after_reads_before, *before_arrays(inputs)}
        self._reads_before = tuple(name for name in arrays.READABLE if name in earlier)
        self._memory = RewardMemory(environment, tuple(inputs))
        wanted = {*self.split.reads, *arrays_now(inputs), *earlier}
        self.reads: tuple[str, ...] = tuple(name for name in arrays.READABLE if name in wanted)

    def starts(self, pool: ResetStates) -> Starts:
        """Returns what the functions need of `P` starting states, each [P, ...]."""
        reads = {*self.split.before_arrays, *self._reads_before, *self.split.written}
        return Starts(
            observation=jnp.asarray(pool.observation),
            privileged_observation=self._privileged(jnp.asarray(pool.privileged_observation)),
            carry={name: jnp.asarray(pool.carry[name]) for name in self.split.carry},
            data={name: jnp.asarray(pool.data[name]) for name in reads},
        )

    def abstract_policy(self) -> tuple[Any, Any]:
        """Returns shapes and dtypes of the policy's parameters and of its statistics of observations."""
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

    def no_tally(self) -> EpisodeTally:
        """Returns the sums over nothing."""
        return tally.nothing(self.terms)

    def _nothing_held(self, count: int) -> Held:
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

    def begun(self, policy: Any, normalizer: Any, first: Starts, key: jax.Array) -> tuple[RolloutState, Orders]:
        """Begins an episode in every environment.

        Args:
            policy: parameters of the policy network.
            normalizer: statistics of its observations.
            first: where each environment starts, [N, ...].
            key: of all draws.

        Returns:
            What to hand to `advanced` or `held_on`, and what to do before the first physics steps.
        """
        count, length = len(first.observation), self._environment.episode_length
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
            before={name: first.data[name] for name in self._reads_before},
            memory=self._memory.nothing(count),
            held=self._nothing_held(count),
            steps=jnp.zeros(count, jnp.int32),
            limit=limit.astype(jnp.int32),
            counted=jnp.zeros(count, bool),
            episode_return=zeros,
            episode_terms=dict.fromkeys(self.terms, zeros),
            discounted_return=zeros,
            tally=self.no_tally(),
            key=key,
        )
        return state, orders

    def advanced(  # noqa: PLR0917 (jit wants positional arguments)
        self,
        policy: Any,
        normalizer: Any,
        starts: Starts,
        weights: jax.Array,
        state: RolloutState,
        data: dict[str, jax.Array],
    ) -> tuple[RolloutState, learner.Rollout, Orders]:
        """Looks at the outcome of the last control step of an action, and asks the policy for the next one.

        Args:
            policy: parameters of the policy network.
            normalizer: statistics of its observations.
            starts: where episodes start, [P, ...].
            weights: of the reward's terms, [terms].
            state: where the environments stood before the physics.
            data: the arrays in `reads` straight after it, each [N, ...].

        Returns:
            Where they stand now, what the action led to, and what to do before the next physics steps.
        """
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
            terms=jnp.stack([held.terms[name] for name in self.terms], -1) / held.steps[:, None],
        )
        episode_return = state.episode_return + held.reward
        episode_terms = {name: state.episode_terms[name] + held.terms[name] for name in self.terms}
        counts = (ended & state.counted).astype(jnp.float32)
        counted = EpisodeTally(
            episodes=state.tally.episodes + counts.sum(),
            survived=state.tally.survived + (counts * ~held.terminated).sum(),
            terminated=state.tally.terminated + held.terminated.sum(dtype=jnp.float32),
            steps=state.tally.steps + (counts * steps).sum(),
            returns=state.tally.returns + (counts * episode_return).sum(),
            term_returns={n: state.tally.term_returns[n] + (counts * episode_terms[n]).sum() for n in self.terms},
            rewards=state.tally.rewards + held.reward.sum(),
            diverged=state.tally.diverged + held.diverged,
            bad_terms={name: state.tally.bad_terms[name] + held.bad_terms[name] for name in self.terms},
        )

        is_short = _is_short(len(ended))
        key, start_key, limit_key = jax.random.split(state.key, 3)
        length = self._environment.episode_length
        short = length * SHORT ** jax.random.uniform(limit_key, ended.shape)
        start = jax.random.randint(start_key, ended.shape, 0, starts.observation.shape[0], jnp.int32)

        def fresh(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(ended.reshape(-1, *(1,) * (old.ndim - 1)), new, old)

        chosen: Starts = jax.tree.map(lambda x: x[start], starts)
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
            before={name: now[name] for name in self._reads_before},
            memory=jax.tree.map(fresh, self._memory.nothing(len(ended)), self._remembered(state, data)),
            held=self._nothing_held(len(ended)),
            steps=unless_ended(steps),
            limit=jnp.where(ended, jnp.where(is_short, short, length).astype(jnp.int32), state.limit),
            counted=(state.counted | ended) & ~is_short,
            episode_return=unless_ended(episode_return),
            episode_terms=jax.tree.map(unless_ended, episode_terms),
            discounted_return=unless_ended(rollout.discounted_return),
            tally=counted,
            key=key,
        )
        return following, rollout, orders

    def held_on(
        self, weights: jax.Array, state: RolloutState, data: dict[str, jax.Array]
    ) -> tuple[RolloutState, Orders]:
        """Looks at the outcome of a control step within an action's time; takes and returns what `advanced` does."""
        after, held = self._looked(weights, state, data)
        data = {**data, **after.writes}
        before = {name: data[name] for name in self._reads_before}
        memory = self._remembered(state, data)
        state = state._replace(carry=after.carry, before=before, memory=memory, held=held)
        return state, self._orders(state.raw_action, after.carry, data)

    def observed(
        self, weights: jax.Array, state: RolloutState, data: dict[str, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        """Returns both observations after a control step as they are, whether an episode ends there or not.

        Takes what `advanced` does.
        """
        after, _ = self._looked(weights, state, data)
        return after.observation, after.privileged_observation

    def _looked(self, weights: jax.Array, state: RolloutState, data: dict[str, jax.Array]) -> tuple[split.After, Held]:
        """Looks at the outcome of a control step; adds it to what happened since the action was chosen."""
        action = self._networks.parametric_action_distribution.postprocess(state.raw_action)
        earlier = {BEFORE + name: value for name, value in state.before.items()}
        after: split.After = jax.vmap(self.split.after)({**data, **earlier}, action, state.carry)
        reward, terms = self._rewarded(after, state, {**data, **earlier}, action, weights)
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
        read = {name: data[name] for name in {*self.split.before_arrays, *self.split.written}}
        ctrl, writes = jax.vmap(self.split.orders)(action, carry, read)
        nowhere = jnp.zeros(len(action), jnp.int32)
        return Orders(ctrl, writes, ended=nowhere > 0, start=nowhere)

    def _remembered(self, state: RolloutState, data: dict[str, jax.Array]) -> Memory:
        action = self._networks.parametric_action_distribution.postprocess(state.raw_action)
        return self._memory.after(state.memory, action, data)

    def _rewarded(
        self,
        after: split.After,
        state: RolloutState,
        data: dict[str, jax.Array],
        action: jax.Array,
        weights: jax.Array,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the reward, [N], and its terms with weights applied, each [N]."""
        if self._reward is None:
            return after.reward, after.terms or {OWN_REWARD: after.reward}
        plain = jax.vmap(self._reward)(self._memory.inputs(state.memory, data, state.carry), action)
        terms = {name: plain[name] * weights[i] for i, name in enumerate(self.terms)}
        return jnp.stack(list(terms.values())).sum(0), terms


def _is_short(count: int) -> jax.Array:
    """Returns which of `count` environments cut their episodes off early, [N], bool."""
    return jnp.arange(count) >= count - int(count * SHORT_SHARE)
