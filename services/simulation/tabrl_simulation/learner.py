"""Proximal policy optimization on rollouts that are already there: one jitted update.

Networks, loss and observation statistics are Brax's (`brax.training.agents.ppo`; Schulman et al. 2017,
https://arxiv.org/abs/1707.06347). Two things are added so that rewards of any scale learn with the same settings:
rewards are divided by the running standard deviation of the discounted return, and Adam's step size follows the
Kullback-Leibler divergence of each pass over the data (Rudin et al. 2021, https://arxiv.org/abs/2109.11978).

`N` is the number of environments, `T` the unroll length, `A` the action's size, `O` the observation's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import optax
from brax.training.acme import running_statistics
from brax.training.agents.ppo import losses
from brax.training.agents.ppo import networks as ppo_networks
from brax.training.types import Transition

from tabrl_simulation.settings import Settings

__all__ = ["Learner", "LearnerState", "Report", "ReturnScale", "Rollout", "make_learner", "make_networks"]

GAE_LAMBDA: Final = 0.95
CLIPPING: Final = 0.2
MAX_GRADIENT_NORM: Final = 1.0
KL_TARGET: Final = 0.02
KL_SHRINKS_FOR: Final = 0.4
KL_TARGET_LAST: Final = 0.05
STEP_SIZE_RANGE: Final = (1e-5, 1e-2)
REWARD_LIMIT: Final = 10.0
OBSERVATION_STD_MIN: Final = 1e-3
# From this share of training on, the statistics of observations stay: a policy near its best takes small steps, too
# small to make up for a scale that moves under it (CartpoleBalance lost 130 of 990 that way).
STATISTICS_MOVE_UNTIL: Final = 0.3
OBSERVATION_LIMIT: Final = 10.0
RETURN_STD_MIN: Final = 1e-8


class ReturnScale(NamedTuple):
    """Running statistics of the discounted return, by Welford's algorithm; each [], float32."""

    samples: jax.Array
    mean: jax.Array
    summed_variance: jax.Array


class LearnerState(NamedTuple):
    """All that an update changes.

    Attributes:
        params: of policy and value network.
        normalizer: running mean and standard deviation of observations.
        return_scale: running statistics of the discounted return.
        optimizer: Adam's moments and step size.
        key: of the updates' random draws, [2], uint32.
    """

    params: losses.PPONetworkParams
    normalizer: running_statistics.RunningStatisticsState
    return_scale: ReturnScale
    optimizer: optax.OptState
    key: jax.Array


class Rollout(NamedTuple):
    """What one step of all environments showed; each [N, ...], float32. A list of `T` of them is a batch.

    Attributes:
        observation: what the policy saw, [N, O].
        raw_action: what it drew, before tanh, [N, A].
        log_prob: of that draw, [N].
        logits: the distribution it drew from, [N, 2 A].
        reward: that followed, [N].
        discounted_return: running sum of rewards, each older one discounted, [N].
        termination: 1 where the environment ended the episode, [N].
        truncation: 1 where the episode was cut off at its length, [N].
    """

    observation: jax.Array
    raw_action: jax.Array
    log_prob: jax.Array
    logits: jax.Array
    reward: jax.Array
    discounted_return: jax.Array
    termination: jax.Array
    truncation: jax.Array


class Report(NamedTuple):
    """How an update went, averaged over its minibatches; each [], float32, losses without unit, the rest in nats."""

    policy_loss: jax.Array
    value_loss: jax.Array
    entropy: jax.Array
    kl: jax.Array
    step_size: jax.Array


@dataclass(frozen=True)
class Learner:
    """The pure functions of one learner.

    Attributes:
        networks: Brax's policy and value network.
        init: makes a first state from a key.
        observe: takes a state and `T` rollouts; returns the state with both its statistics brought up to date.
        update: takes a state, `T` rollouts, the observation after them, [N, O], and the share of training done, [];
            returns the next state and a report.
    """

    networks: ppo_networks.PPONetworks
    init: Callable[[jax.Array], LearnerState]
    observe: Callable[[LearnerState, list[Rollout]], LearnerState]
    update: Callable[[LearnerState, list[Rollout], jax.Array, jax.Array], tuple[LearnerState, Report]]


def make_networks(
    *, observation_size: int, action_size: int, hidden_layer_sizes: tuple[int, ...]
) -> ppo_networks.PPONetworks:
    """Makes Brax's networks: observation, normalized, to a tanh-squashed normal distribution and to a value."""
    return ppo_networks.make_ppo_networks(
        observation_size,
        action_size,
        preprocess_observations_fn=_normalize,
        policy_hidden_layer_sizes=hidden_layer_sizes,
        value_hidden_layer_sizes=hidden_layer_sizes,
    )


def make_learner(settings: Settings, *, observation_size: int, action_size: int) -> Learner:
    """Makes the learner of `settings`; its functions are not jitted yet."""
    networks = make_networks(
        observation_size=observation_size,
        action_size=action_size,
        hidden_layer_sizes=settings.hidden_layer_sizes,
    )
    optimizer = optax.inject_hyperparams(_adam)(learning_rate=settings.learning_rate)

    def init(key: jax.Array) -> LearnerState:
        key, policy_key, value_key = jax.random.split(key, 3)
        params = losses.PPONetworkParams(
            policy=networks.policy_network.init(policy_key), value=networks.value_network.init(value_key)
        )
        normalizer = running_statistics.init_state(jax.ShapeDtypeStruct((observation_size,), jnp.float32))
        return LearnerState(
            params=params,
            # The count starts as plain integers; as arrays it keeps one type from the first update on.
            normalizer=jax.tree.map(jnp.asarray, normalizer),
            return_scale=ReturnScale(jnp.zeros(()), jnp.zeros(()), jnp.zeros(())),
            optimizer=optimizer.init(params),
            key=key,
        )

    def loss(
        params: losses.PPONetworkParams, normalizer: Any, data: Transition, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        # With a cost of 1, Brax's own metrics hold the entropy itself, whatever its weight here.
        _, metrics = losses.compute_ppo_loss(
            params,
            normalizer,
            data,
            key,
            networks,
            entropy_cost=1.0,
            discounting=settings.discounting,
            reward_scaling=1.0,
            gae_lambda=GAE_LAMBDA,
            clipping_epsilon=CLIPPING,
            normalize_advantage=True,
        )
        total = metrics["policy_loss"] + metrics["v_loss"] + settings.entropy_cost * metrics["entropy_loss"]
        return total, metrics

    gradients = jax.grad(loss, has_aux=True)

    def minibatch_step(carry: Any, minibatch: Transition) -> tuple[Any, dict[str, jax.Array]]:
        params, opt_state, normalizer, key = carry
        key, loss_key = jax.random.split(key)
        gradient, metrics = gradients(params, normalizer, minibatch, loss_key)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, normalizer, key), metrics

    def one_pass(carry: Any, batch: Transition, progress: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        params, opt_state, normalizer, key = carry
        key, shuffle_key = jax.random.split(key)
        minibatches = _shuffled(batch, shuffle_key, settings.num_minibatches)
        (params, opt_state, normalizer, key), metrics = jax.lax.scan(
            minibatch_step, (params, opt_state, normalizer, key), minibatches
        )
        step_size = _follow_kl(opt_state.hyperparams["learning_rate"], metrics["kl_mean"].mean(), progress)
        opt_state = opt_state._replace(hyperparams={**opt_state.hyperparams, "learning_rate": step_size})
        return (params, opt_state, normalizer, key), metrics

    def observe(state: LearnerState, rollouts: list[Rollout]) -> LearnerState:
        return _observed(state, _stacked(rollouts))

    def update(
        state: LearnerState, rollouts: list[Rollout], last_observation: jax.Array, progress: jax.Array
    ) -> tuple[LearnerState, Report]:
        rollout = _stacked(rollouts)
        # Learning sees observations normalized as the policy saw them, so that the ratios start at one.
        normalizer = state.normalizer
        state = _observed(state, rollout)
        moving = progress < STATISTICS_MOVE_UNTIL
        state = state._replace(
            normalizer=jax.tree.map(lambda new, old: jnp.where(moving, new, old), state.normalizer, normalizer)
        )
        factor = settings.reward_scaling / _deviation(state.return_scale)
        batch = _transitions(rollout, last_observation, factor)

        def another_pass(carry: Any, _: None) -> tuple[Any, dict[str, jax.Array]]:
            return one_pass(carry, batch, progress)

        carry = (state.params, state.optimizer, normalizer, state.key)
        (params, opt_state, _, key), metrics = jax.lax.scan(
            another_pass, carry, None, length=settings.updates_per_batch
        )
        report = Report(
            policy_loss=metrics["policy_loss"].mean(),
            value_loss=metrics["v_loss"].mean(),
            entropy=-metrics["entropy_loss"].mean(),
            kl=metrics["kl_mean"][-1].mean(),
            step_size=opt_state.hyperparams["learning_rate"],
        )
        return LearnerState(params, state.normalizer, state.return_scale, opt_state, key), report

    return Learner(networks=networks, init=init, observe=observe, update=update)


def _normalize(observation: jax.Array, statistics: running_statistics.RunningStatisticsState) -> jax.Array:
    normalized: jax.Array = running_statistics.normalize(observation, statistics, max_abs_value=OBSERVATION_LIMIT)
    return normalized


def _adam(learning_rate: float) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(MAX_GRADIENT_NORM), optax.adam(learning_rate, eps=1e-5))


def _follow_kl(step_size: jax.Array, kl: jax.Array, progress: jax.Array) -> jax.Array:
    """Shortens the step where the policy changed too much in a pass, lengthens it where it hardly changed.

    What counts as much shrinks in the last part of training: once little is left to gain, advantages are mostly noise,
    and a policy that keeps moving wanders off.
    """
    target = KL_TARGET * jnp.clip((1.0 - progress) / KL_SHRINKS_FOR, KL_TARGET_LAST, 1.0)
    factor = jnp.where(kl > 2 * target, 1 / 1.5, jnp.where(kl < target / 2, 1.5, 1.0))
    return jnp.clip(step_size * factor, *STEP_SIZE_RANGE)


def _stacked(rollouts: list[Rollout]) -> Rollout:
    stacked: Rollout = jax.tree.map(lambda *steps: jnp.stack(steps), *rollouts)
    return stacked


def _observed(state: LearnerState, rollout: Rollout) -> LearnerState:
    """Adds a batch, each [T, N, ...], to the statistics of observations and returns."""
    return state._replace(
        normalizer=running_statistics.update(state.normalizer, rollout.observation, std_min_value=OBSERVATION_STD_MIN),
        return_scale=_observe_returns(state.return_scale, rollout.discounted_return),
    )


def _observe_returns(scale: ReturnScale, returns: jax.Array) -> ReturnScale:
    """Adds a batch of discounted returns to their statistics (Chan, Golub and LeVeque 1979)."""
    size = jnp.float32(returns.size)
    samples = scale.samples + size
    shift = returns.mean() - scale.mean
    return ReturnScale(
        samples=samples,
        mean=scale.mean + shift * size / samples,
        summed_variance=scale.summed_variance + returns.var() * size + shift**2 * scale.samples * size / samples,
    )


def _deviation(scale: ReturnScale) -> jax.Array:
    return jnp.maximum(jnp.sqrt(scale.summed_variance / jnp.maximum(scale.samples, 1.0)), RETURN_STD_MIN)


def _transitions(rollout: Rollout, last_observation: jax.Array, reward_factor: jax.Array) -> Transition:
    """Lays a batch out as Brax's loss wants it: each [N, T, ...]."""
    reward = jnp.clip(rollout.reward * reward_factor, -REWARD_LIMIT, REWARD_LIMIT)
    # The loss looks at the last next observation alone, to bootstrap; where an episode ended there it is masked.
    next_observation = jnp.concatenate([rollout.observation[1:], last_observation[None]])
    transition = Transition(
        observation=rollout.observation,
        action=rollout.raw_action,
        reward=reward,
        discount=1.0 - rollout.termination,
        next_observation=next_observation,
        extras={
            "policy_extras": {
                "raw_action": rollout.raw_action,
                "log_prob": rollout.log_prob,
                "distribution_params": rollout.logits,
            },
            "state_extras": {"truncation": rollout.truncation},
        },
    )
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), transition)


def _shuffled(batch: Transition, key: jax.Array, count: int) -> Transition:
    """Deals whole unrolls out into `count` minibatches: each [count, N // count, T, ...]."""
    num_envs = batch.reward.shape[0]
    order = jax.random.permutation(key, num_envs)[: num_envs // count * count]
    return jax.tree.map(lambda x: x[order].reshape(count, -1, *x.shape[1:]), batch)
