"""Proximal policy optimization on rollouts that are already there: one jitted update.

Networks, loss and observation statistics are Brax's (`brax.training.agents.ppo`; Schulman et al. 2017,
https://arxiv.org/abs/1707.06347). Two things are added so that rewards of any scale learn with the same settings:
rewards are divided by the running standard deviation of the discounted return, and Adam's step size follows the
Kullback-Leibler divergence of each pass over the data (Rudin et al. 2021, https://arxiv.org/abs/2109.11978).

`N` is the number of environments, `T` the unroll length, `A` the action's size, `O` the observation's. Where the
environment has a privileged observation, of size `V`, the value network sees that one in its place (Pinto et al. 2017,
https://arxiv.org/abs/1710.06542); where it has none, nothing of it is there: None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import optax
from brax.training.acme import running_statistics
from brax.training.agents.ppo import losses
from brax.training.agents.ppo import networks as ppo_networks
from brax.training.networks import FeedForwardNetwork
from brax.training.types import Transition

from tabrl_simulation import term_statistics
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
LAST_LAYER_SCALE: Final = 0.1


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
        privileged_normalizer: running mean and standard deviation of privileged observations.
    """

    params: losses.PPONetworkParams
    normalizer: running_statistics.RunningStatisticsState
    return_scale: ReturnScale
    optimizer: optax.OptState
    key: jax.Array
    privileged_normalizer: running_statistics.RunningStatisticsState | None = None


class Rollout(NamedTuple):
    """What one step of all environments showed; each [N, ...], float32. A batch is a list of `T` of them, or one with
    every array [T, N, ...].

    Attributes:
        observation: what the policy saw, [N, O].
        raw_action: what it drew, before tanh, [N, A].
        log_prob: of that draw, [N].
        logits: the distribution it drew from, [N, 2 A].
        reward: that followed, [N].
        discounted_return: running sum of rewards, each older one discounted, [N].
        termination: 1 where the environment ended the episode, [N].
        truncation: 1 where the episode was cut off at its length, [N].
        privileged_observation: what the value network saw, [N, V].
        terms: what the reward was made of, per control step, weights applied, [N, terms]; reported, not learned from.
    """

    observation: jax.Array
    raw_action: jax.Array
    log_prob: jax.Array
    logits: jax.Array
    reward: jax.Array
    discounted_return: jax.Array
    termination: jax.Array
    truncation: jax.Array
    privileged_observation: jax.Array | None = None
    terms: jax.Array | None = None


# A batch: of all environments, or of several groups of them, one after the other.
Rollouts = Rollout | list[Rollout] | list[list[Rollout]]


class Report(NamedTuple):
    """How an update went, averaged over its minibatches; each [], float32, without unit but for nats.

    Attributes:
        policy_loss: the clipped surrogate.
        value_loss: of the value network.
        entropy: of the policy, in nats.
        kl: Kullback-Leibler divergence of the last pass, in nats.
        gradient_norm: before it is clipped.
        step_size: Adam's, for the update to come.
        term_moments: of the reward's terms over the rollouts, [6, terms]; see `term_statistics`. None without terms.
    """

    policy_loss: jax.Array
    value_loss: jax.Array
    entropy: jax.Array
    kl: jax.Array
    gradient_norm: jax.Array
    step_size: jax.Array
    term_moments: jax.Array | None = None


@dataclass(frozen=True)
class Learner:
    """The pure functions of one learner.

    Attributes:
        networks: Brax's policy and value network.
        init: makes a first state from a key.
        observe: takes a state and `T` rollouts; returns the state with both its statistics brought up to date.
        update: takes a state, `T` rollouts, the observation after them, [N, O], the share of training done, [], and the
            privileged observation after them, [N, V] or None; returns the next state and a report.
    """

    networks: ppo_networks.PPONetworks
    init: Callable[[jax.Array], LearnerState]
    observe: Callable[[LearnerState, Rollouts], LearnerState]
    update: Callable[[LearnerState, Rollouts, jax.Array, jax.Array, jax.Array | None], tuple[LearnerState, Report]]


def make_networks(
    *,
    observation_size: int,
    action_size: int,
    hidden_layer_sizes: tuple[int, ...],
    privileged_observation_size: int = 0,
) -> ppo_networks.PPONetworks:
    """Makes Brax's networks: observation, normalized, to a tanh-squashed normal distribution and to a value."""

    def made(size: int) -> ppo_networks.PPONetworks:
        return ppo_networks.make_ppo_networks(
            size,
            action_size,
            preprocess_observations_fn=_normalize,
            policy_hidden_layer_sizes=hidden_layer_sizes,
            value_hidden_layer_sizes=hidden_layer_sizes,
        )

    value_network = made(privileged_observation_size or observation_size).value_network
    networks: ppo_networks.PPONetworks = made(observation_size).replace(value_network=value_network)
    return networks


def make_learner(
    settings: Settings, *, observation_size: int, action_size: int, privileged_observation_size: int = 0
) -> Learner:
    """Makes the learner of `settings`; its functions are not jitted yet."""
    networks = make_networks(
        observation_size=observation_size,
        action_size=action_size,
        hidden_layer_sizes=settings.hidden_layer_sizes,
        privileged_observation_size=privileged_observation_size,
    )
    optimizer = optax.inject_hyperparams(_adam)(learning_rate=settings.learning_rate)

    def init(key: jax.Array) -> LearnerState:
        key, policy_key, value_key = jax.random.split(key, 3)
        policy = networks.policy_network.init(policy_key)
        if settings.initial_std:
            policy = with_deviation(
                policy, settings.initial_std, mean_scale=LAST_LAYER_SCALE, deviation_scale=LAST_LAYER_SCALE
            )
        params = losses.PPONetworkParams(policy=policy, value=networks.value_network.init(value_key))
        return LearnerState(
            params=params,
            normalizer=_no_statistics(observation_size),
            privileged_normalizer=_no_statistics(privileged_observation_size) if privileged_observation_size else None,
            return_scale=ReturnScale(jnp.zeros(()), jnp.zeros(()), jnp.zeros(())),
            optimizer=optimizer.init(params),
            key=key,
        )

    views = _viewing(networks)

    def loss(
        params: losses.PPONetworkParams, normalizers: _Views, data: Transition, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        # With a cost of 1, Brax's own metrics hold the entropy itself, whatever its weight here.
        _, metrics = losses.compute_ppo_loss(
            params,
            normalizers,
            data,
            key,
            views,
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
        params, opt_state, normalizers, key = carry
        key, loss_key = jax.random.split(key)
        gradient, metrics = gradients(params, normalizers, minibatch, loss_key)
        metrics = {**metrics, "gradient_norm": optax.tree.norm(gradient)}
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, normalizers, key), metrics

    def one_pass(carry: Any, batch: Transition, progress: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        params, opt_state, normalizers, key = carry
        key, shuffle_key = jax.random.split(key)
        minibatches = _shuffled(batch, shuffle_key, settings.num_minibatches)
        (params, opt_state, normalizers, key), metrics = jax.lax.scan(
            minibatch_step, (params, opt_state, normalizers, key), minibatches
        )
        step_size = _follow_kl(opt_state.hyperparams["learning_rate"], metrics["kl_mean"].mean(), progress)
        opt_state = opt_state._replace(hyperparams={**opt_state.hyperparams, "learning_rate": step_size})
        return (params, opt_state, normalizers, key), metrics

    def observe(state: LearnerState, rollouts: Rollouts) -> LearnerState:
        return _observed(state, _stacked(rollouts))

    def update(
        state: LearnerState,
        rollouts: Rollouts,
        last_observation: jax.Array,
        progress: jax.Array,
        last_privileged_observation: jax.Array | None = None,
    ) -> tuple[LearnerState, Report]:
        rollout = _stacked(rollouts)
        # Learning sees observations normalized as the policy saw them, so that the ratios start at one.
        normalizers = _Views(state.normalizer, state.privileged_normalizer)
        state = _observed(state, rollout)
        moving = progress < STATISTICS_MOVE_UNTIL
        kept: _Views = jax.tree.map(
            lambda new, old: jnp.where(moving, new, old),
            _Views(state.normalizer, state.privileged_normalizer),
            normalizers,
        )
        state = state._replace(normalizer=kept.policy, privileged_normalizer=kept.value)
        factor = settings.reward_scaling / _deviation(state.return_scale)
        batch = _transitions(rollout, _Views(last_observation, last_privileged_observation), factor)

        def another_pass(carry: Any, _: None) -> tuple[Any, dict[str, jax.Array]]:
            return one_pass(carry, batch, progress)

        carry = (state.params, state.optimizer, normalizers, state.key)
        (params, opt_state, _, key), metrics = jax.lax.scan(
            another_pass, carry, None, length=settings.updates_per_batch
        )
        report = Report(
            policy_loss=metrics["policy_loss"].mean(),
            value_loss=metrics["v_loss"].mean(),
            entropy=-metrics["entropy_loss"].mean(),
            kl=metrics["kl_mean"][-1].mean(),
            gradient_norm=metrics["gradient_norm"].mean(),
            step_size=opt_state.hyperparams["learning_rate"],
            term_moments=None if rollout.terms is None else term_statistics.moments(rollout.terms),
        )
        return state._replace(params=params, optimizer=opt_state, key=key), report

    return Learner(networks=networks, init=init, observe=observe, update=update)


def with_deviation(policy: Any, std: float, *, mean_scale: float, deviation_scale: float) -> Any:
    """Gives a policy network's actions this standard deviation, before tanh.

    Args:
        policy: parameters of the network.
        std: the deviation.
        mean_scale: factor on the last layer's weights for the mean.
        deviation_scale: factor on those for the deviation; with 0 it is the same in every state.
    """
    layers = policy["params"]
    last = max(layers, key=lambda name: int(name.rpartition("_")[2]))
    size = layers[last]["bias"].shape[0] // 2
    # The first half of what comes out is the mean; the distribution takes the softplus of the second.
    bias = layers[last]["bias"].at[size:].set(math.log(math.expm1(std)))
    kernel = layers[last]["kernel"] * jnp.repeat(jnp.asarray([mean_scale, deviation_scale]), size)
    return {**policy, "params": {**layers, last: {"kernel": kernel, "bias": bias}}}


class _Views(NamedTuple):
    """Something of the policy's observations, and the same of the value network's where it sees others."""

    policy: Any
    value: Any | None


def _viewing(networks: ppo_networks.PPONetworks) -> ppo_networks.PPONetworks:
    """Lets each network choose its own of the statistics and the observations it is given, which are views."""

    def of_value(views: _Views) -> Any:
        return views.policy if views.value is None else views.value

    policy, value = networks.policy_network, networks.value_network
    viewing: ppo_networks.PPONetworks = networks.replace(
        policy_network=FeedForwardNetwork(
            policy.init,
            lambda statistics, params, seen: policy.apply(statistics.policy, params, seen.policy),
        ),
        value_network=FeedForwardNetwork(
            value.init,
            lambda statistics, params, seen: value.apply(of_value(statistics), params, of_value(seen)),
        ),
    )
    return viewing


def _no_statistics(size: int) -> running_statistics.RunningStatisticsState:
    statistics = running_statistics.init_state(jax.ShapeDtypeStruct((size,), jnp.float32))
    # The count starts as plain integers; as arrays it keeps one type from the first update on.
    arrays: running_statistics.RunningStatisticsState = jax.tree.map(jnp.asarray, statistics)
    return arrays


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


def _stacked(rollouts: Rollouts) -> Rollout:
    if isinstance(rollouts, Rollout):
        return rollouts
    groups: Any = [rollouts] if isinstance(rollouts[0], Rollout) else rollouts
    stacked = [jax.tree.map(lambda *steps: jnp.stack(steps), *group) for group in groups]
    joined: Rollout = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *stacked)
    return joined


def _observed(state: LearnerState, rollout: Rollout) -> LearnerState:
    """Adds a batch, each [T, N, ...], to the statistics of observations and returns."""
    statistics = _Views(state.normalizer, state.privileged_normalizer)
    seen = _Views(rollout.observation, rollout.privileged_observation)
    updated = (
        None if old is None else running_statistics.update(old, new, std_min_value=OBSERVATION_STD_MIN)
        for old, new in zip(statistics, seen, strict=True)
    )
    normalizer, privileged_normalizer = updated
    return state._replace(
        normalizer=normalizer,
        privileged_normalizer=privileged_normalizer,
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


def _transitions(rollout: Rollout, last: _Views, reward_factor: jax.Array) -> Transition:
    """Lays a batch out as Brax's loss wants it: each [N, T, ...]."""
    reward = jnp.clip(rollout.reward * reward_factor, -REWARD_LIMIT, REWARD_LIMIT)
    # The loss looks at the last next observation alone, to bootstrap; where an episode ended there it is masked.
    seen = _Views(rollout.observation, rollout.privileged_observation)
    next_observation = jax.tree.map(lambda now, after: jnp.concatenate([now[1:], after[None]]), seen, last)
    transition = Transition(
        observation=seen,
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
