"""The controller as one JAX function: look at what physics did, decide, and say what physics is to do next.

One tick is `after` (the last control period's observation, reward and end), the policy, and `before` (the ctrl of the
next period). It is the training step cut at another place: training goes `before`, physics, `after`; a controller goes
`after`, `before`, and leaves physics to its player. Between two ticks the player keeps the carry.

At the first tick after a reset no control period lies behind. There the reward, its terms and `done` are 0 and the
environment's carry stays as the reset left it; the observation is that of the reset.

Where the environment moves its goal, the controller does. Where it pushes the robot, to train it better, the controller
says how, and its player decides whether that is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
from tabrl.play.manifest import GraphInput, GraphOutput, InputSource, OutputRole, Tensor, Term

from tabrl_simulation import arrays
from tabrl_simulation.controllers import lowering
from tabrl_simulation.feet import Foot, find_feet
from tabrl_simulation.rewards import contact
from tabrl_simulation.rewards.inputs import AIR_TIME, BEFORE, COMMAND, PREVIOUS_ACTION, arrays_now, before_arrays

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment
    from tabrl_simulation.split import SplitStep

__all__ = ["ACTION", "TICK", "RewardTerms", "Source", "aval_of", "compose", "open_term"]

TICK: Final = "controller/tick"
"""Carry entry that counts the control periods since the reset, int32. At 0 none lies behind."""

ACTION: Final = "controller/action"
"""Carry entry with the action of the control period that lies behind, float32."""

EARLIER_ACTION: Final = "controller/earlier_action"
"""Carry entry with the action of the control period before that, float32; for rewards that compare them."""

AIR_TIMES: Final = "controller/air_time"
"""Carry entry with how long each foot had been off the ground before the period that lies behind, s, float32."""

_GOALS: Final = ("mocap_pos", "mocap_quat")
"""State arrays that hold goals: bodies that nothing moves but who writes them."""

_CARRY: Final = "carry."
_DATA: Final = "data."

_REMEMBERED: Final = {PREVIOUS_ACTION: EARLIER_ACTION, AIR_TIME: AIR_TIMES}
"""Carry entries that bring what a reward remembers."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class RewardTerms:
    """A reward in place of the environment's own.

    Attributes:
        terms: its terms with their weights, in the order to show them.
        reads: what it reads, as `rewards.inputs` names it, with the shape for one environment.
        values: maps what it reads by name and the action to each term before weighting. None to take them as inputs of
            the graph, named by `open_term`, for a reward that is joined to the graph later.
    """

    terms: tuple[Term, ...]
    reads: Mapping[str, tuple[int, ...]]
    values: Callable[[Values, Any], Values] | None


@dataclass(frozen=True)
class Source:
    """A controller as a JAX function of flat arrays.

    Attributes:
        inputs: what a player brings, in order. Much of it may turn out unread.
        open_terms: further inputs, after those: reward terms that are still to be joined.
        reward_inputs: the inputs that such a reward may read, by its own names for them.
        outputs: what comes out, in order.
        terms: the reward terms among them.
        function: the function itself.
        policy: the policy in it, from an observation to an action.
    """

    inputs: tuple[GraphInput, ...]
    open_terms: tuple[Tensor, ...]
    reward_inputs: Mapping[str, GraphInput]
    outputs: tuple[GraphOutput, ...]
    terms: tuple[Term, ...]
    function: Callable[..., Sequence[Any]]
    policy: Callable[[Any], Any]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Name, shape and type of every input, in order."""
        return (*(given.tensor for given in self.inputs), *self.open_terms)

    @property
    def avals(self) -> list[jax.ShapeDtypeStruct]:
        """Shape and type of every input, in order."""
        return [aval_of(tensor) for tensor in self.tensors]


def open_term(name: str) -> str:
    """Returns the name of the graph input that stands for a reward term before weighting."""
    return f"open.{name}"


def compose(
    environment: Environment,
    step: SplitStep,
    policy: Callable[[Any], Any],
    *,
    action_repeat: int = 1,
    reward: RewardTerms | None = None,
) -> Source:
    """Composes both halves of a step and a policy into one tick.

    Args:
        environment: the environment.
        step: its split step.
        policy: deterministic and traceable, from an observation to an action.
        action_repeat: control periods for which an action is held.
        reward: the reward; None for the environment's own.
    """
    named = _player_inputs(environment, step, reward)
    reads = reward.reads if reward else {}
    feet = find_feet(environment.model) if AIR_TIME in reads else ()
    terms = reward.terms if reward else tuple(Term(name, 1.0) for name in _varying_terms(environment, step))
    open_terms = (
        tuple(Tensor(open_term(term.name), (), "float32") for term in terms) if reward and not reward.values else ()
    )
    names = [*(given.tensor.name for given in named), *(tensor.name for tensor in open_terms)]

    output_names: list[str] = []

    def tick(*args: Any) -> list[Any]:
        values = dict(zip(names, args, strict=True))
        results = _tick(values, step=step, policy=policy, terms=terms, reward=reward, action_repeat=action_repeat)
        results |= _remembered(values, reads, feet, environment)
        output_names[:] = results  # as a dict, JAX would hand them back sorted
        return list(results.values())

    avals = [aval_of(given.tensor) for given in named] + [aval_of(tensor) for tensor in open_terms]
    function, uniform_count, normal_count = lowering.with_draws(tick, avals)
    shapes = jax.eval_shape(tick, *avals)
    draws = [
        GraphInput(Tensor("noise.uniform", (uniform_count,), "float32"), InputSource.UNIFORM),
        GraphInput(Tensor("noise.normal", (normal_count,), "float32"), InputSource.NORMAL),
    ]
    drawn = tuple(draw for draw in draws if draw.tensor.shape != (0,))
    at = len(named)

    def flat(*args: Any) -> list[Any]:
        brought = dict(zip((draw.source for draw in drawn), args[at:], strict=False))
        rest = (*args[:at], *args[at + len(drawn) :])
        return function(brought.get(InputSource.UNIFORM), brought.get(InputSource.NORMAL), rest)

    return Source(
        inputs=(*named, *drawn),
        open_terms=open_terms,
        reward_inputs=_reward_inputs(named, reads),
        outputs=tuple(
            GraphOutput(Tensor(name, tuple(aval.shape), str(aval.dtype)), *_role(name))
            for name, aval in zip(output_names, shapes, strict=True)
        ),
        terms=terms,
        function=flat,
        policy=policy,
    )


def _tick(
    values: Values,
    *,
    step: SplitStep,
    policy: Callable[[Any], Any],
    terms: Sequence[Term],
    reward: RewardTerms | None,
    action_repeat: int,
) -> dict[str, Any]:
    """One tick, from values by graph input name to values by graph output name."""
    now = _group(values, _DATA)
    earlier = {name: value for name, value in values.items() if name.startswith(BEFORE)}
    carry = {name: values[_CARRY + name] for name in step.carry}
    tick, last_action = values[_CARRY + TICK], values[_CARRY + ACTION]
    first = tick == 0

    after = step.after({**now, **earlier}, last_action, carry)
    carry = {name: jnp.where(first, carry[name], value) for name, value in after.carry.items()}
    goals = {name: jnp.where(first, now[name], after.writes[name]) for name in _goals(step) if name in after.writes}
    now = {**now, **goals}
    chosen = policy(after.observation)
    action = chosen if action_repeat == 1 else jnp.where(tick % action_repeat == 0, chosen, last_action)
    pushes = {name: value for name, value in _pushes(step, action, carry, now).items() if name not in goals}
    ctrl, carry = step.before(action, carry, now)

    def unless_first(value: Any) -> Any:
        return jnp.where(first, jnp.zeros((), jnp.float32), value)

    total = after.reward
    raw: Values = after.terms
    if reward is not None:
        known = {name: values[_reward_tensor(name)] for name in reward.reads}
        raw = reward.values(known, last_action) if reward.values else {t.name: values[open_term(t.name)] for t in terms}
    weighted = {term.name: raw[term.name] * jnp.float32(term.weight) if reward else raw[term.name] for term in terms}
    if reward is not None:
        total = sum(weighted.values(), start=jnp.zeros((), jnp.float32))
    return {
        "ctrl": ctrl,
        "action": action,
        "obs": after.observation,
        "reward": unless_first(total),
        **{f"term.{name}": unless_first(value) for name, value in weighted.items()},
        "done": unless_first(after.done),
        **{f"state.{name}": value for name, value in goals.items()},
        **{f"push.{name}": value for name, value in pushes.items()},
        **{f"next.{name}": value for name, value in carry.items()},
        f"next.{TICK}": tick + 1,
        f"next.{ACTION}": action,
    }


def _remembered(
    values: Values, reads: Collection[str], feet: Sequence[Foot], environment: Environment
) -> dict[str, Any]:
    """Returns what a reward is to remember of this tick, by graph output name."""
    first = values[_CARRY + TICK] == 0
    kept: dict[str, Any] = {}
    if PREVIOUS_ACTION in reads:
        kept[f"next.{EARLIER_ACTION}"] = values[_CARRY + ACTION]
    if AIR_TIME in reads:
        before = values[_CARRY + AIR_TIMES]
        xpos, xmat = (values[_DATA + name] for name in ("geom_xpos", "geom_xmat"))
        after = contact.air_times_after(feet, before, xpos, xmat, environment.control_period_secs)
        kept[f"next.{AIR_TIMES}"] = jnp.where(first, before, after)
    return kept


def _reward_inputs(named: Sequence[GraphInput], reads: Collection[str]) -> dict[str, GraphInput]:
    by_tensor = {given.tensor.name: given for given in named}
    names = {"action": _CARRY + ACTION, **{name: _reward_tensor(name) for name in reads}}
    return {name: by_tensor[tensor] for name, tensor in names.items()}


def _reward_tensor(name: str) -> str:
    """Returns the name of the graph input that brings what a reward knows by this name."""
    if name in _REMEMBERED:
        return _CARRY + _REMEMBERED[name]
    if name == COMMAND:
        return _CARRY + COMMAND
    return name if name.startswith(BEFORE) else _DATA + name


def _pushes(step: SplitStep, action: Any, carry: Values, now: Values) -> dict[str, Any]:
    """Returns what the environment writes before the coming period's physics, by mjData name."""
    return step.writes(action, carry, {name: now[name] for name in step.before_arrays}) if step.written else {}


def _goals(step: SplitStep) -> tuple[str, ...]:
    return tuple(name for name in _GOALS if name in step.written)


def _player_inputs(environment: Environment, step: SplitStep, reward: RewardTerms | None) -> tuple[GraphInput, ...]:
    shapes = arrays.shapes(environment.model)
    read_now = {*step.before_arrays, *(name for name in step.after_arrays if not name.startswith(BEFORE))}
    reads = reward.reads if reward else {}
    read_now.update(arrays_now(reads))
    read_now.update(_goals(step))
    read_before = {*step.after_reads_before, *before_arrays(reads)}
    remembered = {entry: reads[name] for name, entry in _REMEMBERED.items() if name in reads}
    return (
        *(
            GraphInput(Tensor(_DATA + name, shapes[name], "float32"), InputSource.DATA, name)
            for name in arrays.READABLE
            if name in read_now
        ),
        *(
            GraphInput(Tensor(BEFORE + name, shapes[name], "float32"), InputSource.DATA_BEFORE, name)
            for name in arrays.READABLE
            if name in read_before
        ),
        *(
            GraphInput(Tensor(_CARRY + name, tuple(aval.shape), str(aval.dtype)), InputSource.CARRY, name)
            for name, aval in step.carry.items()
        ),
        GraphInput(Tensor(_CARRY + TICK, (), "int32"), InputSource.CARRY, TICK),
        GraphInput(Tensor(_CARRY + ACTION, (environment.action_size,), "float32"), InputSource.CARRY, ACTION),
        *(
            GraphInput(Tensor(_CARRY + name, shape, "float32"), InputSource.CARRY, name)
            for name, shape in remembered.items()
        ),
    )


def _varying_terms(environment: Environment, step: SplitStep) -> list[str]:
    """Returns the environment's own terms that depend on anything: families share metrics that some leave at 0."""
    inputs = [given for given in _player_inputs(environment, step, None) if given.field != TICK]
    names = [given.tensor.name for given in inputs]

    def terms(*args: Any) -> list[Any]:
        values = dict(zip(names, args, strict=True))
        now = _group(values, _DATA)
        earlier = {name: value for name, value in values.items() if name.startswith(BEFORE)}
        after = step.after(
            {**now, **earlier}, values[_CARRY + ACTION], {name: values[_CARRY + name] for name in step.carry}
        )
        return [after.terms[name] for name in step.terms]

    avals = [aval_of(given.tensor) for given in inputs]
    varying = []
    for index, name in enumerate(step.terms):
        program = lowering.trace(terms, avals, [position == index for position in range(len(step.terms))])
        if any(program.used):
            varying.append(name)
    return varying


def _role(output: str) -> tuple[OutputRole, str]:
    group, _, name = output.partition(".")
    if group == "term":
        return OutputRole.TERM, name
    if group == "next":
        return OutputRole.CARRY, name
    if group == "state":
        return OutputRole.STATE, name
    if group == "push":
        return OutputRole.PUSH, name
    return _ROLES[group], ""


_ROLES: Final = {
    "ctrl": OutputRole.CTRL,
    "action": OutputRole.ACTION,
    "obs": OutputRole.OBSERVATION,
    "reward": OutputRole.REWARD,
    "done": OutputRole.DONE,
}


def _group(values: Values, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def aval_of(tensor: Tensor) -> jax.ShapeDtypeStruct:
    """Returns shape and type of a tensor as JAX wants them."""
    aval: jax.ShapeDtypeStruct = jax.eval_shape(lambda: jnp.zeros(tensor.shape, tensor.dtype))
    return aval
