"""An environment's step, split at the physics call into two pure functions.

`env.step` decides a ctrl, calls physics, then observes and rewards. Traced with the physics call replaced by a tap, and
split by dead-code elimination of the jaxpr, it becomes

    before(action, carry, arrays) -> ctrl, carry
    after(arrays, action, carry)  -> observations, reward, terms, done, carry

with physics, whichever one, in between. Both are small, pure and unbatched; they run inside jit, vmap and jax.export.
The split also says which mjData arrays each half really reads, so nothing else has to be copied or shipped.

Some environments write to the simulation too: a push before the physics (`writes`), a goal moved after it
(`After.writes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tabrl_simulation import arrays, reset, taps

if TYPE_CHECKING:
    import jax
    from jax.extend.core import ClosedJaxpr
    from mujoco import mjx
    from mujoco_playground._src import mjx_env

    from tabrl_simulation.environments import Environment

__all__ = ["After", "SplitError", "SplitStep", "split"]

_TERM_PREFIX: Final = "reward/"
_BEFORE: Final = "before."

# What physics starts from, besides ctrl, which is handed over by itself. All else it computes anew.
_WRITABLE: Final = ("qpos", "qvel", "act", "mocap_pos", "mocap_quat", "xfrc_applied")
_FIXED: Final = ("time", "qfrc_applied", "eq_active", "userdata", "qacc_warmstart")

_WRAPPERS: Final = ("convert_element_type", "broadcast_in_dim", "copy")
_UNCHANGED: Final = "unchanged"
_DATA_GROUPS: Final = ("before", "after")

# Name of a value of the traced step: its group, and its name there.
_Name = tuple[str, str]


class SplitError(Exception):
    """An environment's step cannot be split at its physics call; the message says why."""


class After(NamedTuple):
    """What follows from one control period.

    Attributes:
        observation: what the policy sees, [observation_size], float32.
        privileged_observation: what the value network sees instead, [privileged_observation_size], float32.
        reward: the environment's own reward, [], float32.
        terms: the environment's own parts of that reward, each [], float32. They need not sum to it: many
            environments multiply them.
        done: 1 where the episode ends here, else 0: [], float32.
        carry: each entry as the next period needs it.
        writes: arrays that the environment writes to the simulation now, by mjData name.
    """

    observation: jax.Array
    privileged_observation: jax.Array
    reward: jax.Array
    terms: dict[str, jax.Array]
    done: jax.Array
    carry: dict[str, jax.Array]
    writes: dict[str, jax.Array]


@dataclass(frozen=True, kw_only=True)
class SplitStep:
    """The two halves of one environment's step, unbatched, and what they read.

    Attributes:
        environment_id: the environment.
        before_arrays: mjData arrays that `before` reads, as they are before the physics of this period.
        after_arrays: mjData arrays that `after` reads. A plain name is the array straight after the last physics step
            of the period; `before.<name>` is the array as it was before the physics.
        carry: entries of the environment's `info` that one period hands to the next, by path, each with its shape and
            dtype. Entries that no half reads are left out.
        terms: names of the environment's own reward terms.
        written: mjData arrays that the environment writes, at whatever time. Most environments write none, and the
            others write the value that is there already nearly always.
    """

    environment_id: str
    before_arrays: tuple[str, ...]
    after_arrays: tuple[str, ...]
    carry: Mapping[str, jax.ShapeDtypeStruct]
    terms: tuple[str, ...]
    written: tuple[str, ...]
    _before: _Half
    _writes: _Half
    _after: _Half

    @property
    def reads(self) -> tuple[str, ...]:
        """The mjData arrays that either half reads or writes, at whatever time, without prefix."""
        names = (*self.before_arrays, *(name.removeprefix(_BEFORE) for name in self.after_arrays), *self.written)
        return tuple(name for name in arrays.READABLE if name in names)

    @property
    def after_reads_before(self) -> tuple[str, ...]:
        """The mjData arrays, without prefix, that `after` reads as they were before the physics."""
        return tuple(name.removeprefix(_BEFORE) for name in self.after_arrays if name.startswith(_BEFORE))

    def before(
        self, action: jax.Array, carry: Mapping[str, jax.Array], data: Mapping[str, jax.Array] | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Decides what to hand to physics.

        Args:
            action: the policy's action, [action_size].
            carry: entries as `after` or a reset left them.
            data: arrays named in `before_arrays`, under their plain names.

        Returns:
            ctrl, [nu], to be held through the period; and the carry to hand to `after`, which is the one given.
        """
        values = {("action", ""): action, **_named("carry", carry), **_named("before", data or {})}
        return self._before(values)["ctrl", ""], dict(carry)

    def writes(
        self, action: jax.Array, carry: Mapping[str, jax.Array], data: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """Returns what to write to the simulation along with ctrl, by mjData name; takes what `before` takes."""
        values = {("action", ""): action, **_named("carry", carry), **_named("before", data)}
        return {name: value for (_, name), value in self._writes(values).items()}

    def orders(
        self, action: jax.Array, carry: Mapping[str, jax.Array], data: Mapping[str, jax.Array]
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns ctrl, [nu], and what to write to the simulation before the physics, by mjData name.

        Takes what `before` takes. What the environment leaves alone is written as it stands.
        """
        read = {name: data[name] for name in self.before_arrays}
        writes = {name: data[name] for name in self.written} | self.writes(action, carry, read)
        return self.before(action, carry, read)[0], writes

    def after(self, data: Mapping[str, jax.Array], action: jax.Array, carry: Mapping[str, jax.Array]) -> After:
        """Looks at the outcome of a period.

        Args:
            data: arrays by the names in `after_arrays`; others are ignored.
            action: the action that was given to `before`, [action_size].
            carry: the carry that was given to `before`.
        """
        import jax.numpy as jnp

        earlier = {name.removeprefix(_BEFORE): value for name, value in data.items() if name.startswith(_BEFORE)}
        values = {
            ("action", ""): action,
            **_named("carry", carry),
            **_named("before", earlier),
            **_named("after", data),
        }
        results = self._after(values)
        privileged = results.get(("privileged_observation", ""))
        return After(
            observation=results["observation", ""],
            privileged_observation=jnp.zeros(0, jnp.float32) if privileged is None else privileged,
            reward=results["reward", ""],
            terms={name: results["term", name] for name in self.terms},
            done=results["done", ""],
            carry={name: results["carry", name] for name in self.carry},
            writes={name: value for (group, name), value in results.items() if group == "write after"},
        )


def split(environment: Environment, *, privileged: bool = True) -> SplitStep:
    """Splits an environment's step; tens to hundreds of milliseconds, no compilation.

    Args:
        environment: whose step to split.
        privileged: whether `after` is to return the privileged observation, which only learning needs. Without it
            that is empty, and whatever only it needs is not read.

    Raises:
        SplitError: the step calls physics not exactly once, changes other data than ctrl, or reads an array outside
            `arrays.READABLE`.
    """
    closed, inputs, outputs = _trace(environment, privileged=privileged)
    carry, after_outputs = _carry_closure(closed, inputs, outputs)
    before = _Half.keeping(closed, inputs, outputs, {("ctrl", "")})
    writes = _Half.keeping(closed, inputs, outputs, {name for name in outputs if name[0] == "write before"})
    after = _Half.keeping(closed, inputs, outputs, after_outputs)
    for name in {name for half in (before, writes, after) for group, name in half.inputs if group in _DATA_GROUPS}:
        if name not in arrays.READABLE:
            raise SplitError(f"{environment.id} reads mjData.{name}, which is not in arrays.READABLE")
    if any(group == "after" for half in (before, writes) for group, _ in half.inputs):
        raise SplitError(f"{environment.id} decides its ctrl from what physics returned")
    read_before = {name for half in (before, writes) for group, name in half.inputs if group == "before"}
    written = {name for half in (writes, after) for group, name in half.outputs if group.startswith("write")}
    avals = dict(zip(inputs, closed.in_avals, strict=True))
    return SplitStep(
        environment_id=environment.id,
        before_arrays=tuple(name for name in arrays.READABLE if name in read_before),
        after_arrays=(
            *(name for group, name in after.inputs if group == "after"),
            *(_BEFORE + name for group, name in after.inputs if group == "before"),
        ),
        carry={name: _struct(avals["carry", name]) for name in carry},
        terms=tuple(name for group, name in after.outputs if group == "term"),
        written=tuple(name for name in _WRITABLE if name in written),
        _before=before,
        _writes=writes,
        _after=after,
    )


@dataclass(frozen=True)
class _Half:
    """The part of a traced step that some of its outputs depend on."""

    jaxpr: Any
    consts: tuple[Any, ...]
    inputs: tuple[_Name, ...]
    outputs: tuple[_Name, ...]

    @classmethod
    def keeping(cls, closed: ClosedJaxpr, inputs: list[_Name], outputs: list[_Name], kept: set[_Name]) -> _Half:
        """Drops every equation and input that the outputs in `kept` do not depend on."""
        from jax.interpreters import partial_eval

        jaxpr, used = partial_eval.dce_jaxpr(closed.jaxpr, [name in kept for name in outputs])
        return cls(
            jaxpr,
            tuple(closed.consts),
            tuple(name for name, is_used in zip(inputs, used, strict=True) if is_used),
            tuple(name for name in outputs if name in kept),
        )

    def __call__(self, values: Mapping[_Name, jax.Array]) -> dict[_Name, jax.Array]:
        import jax

        results = jax.core.eval_jaxpr(self.jaxpr, self.consts, *(values[name] for name in self.inputs))
        return dict(zip(self.outputs, results, strict=True))


def _trace(environment: Environment, *, privileged: bool) -> tuple[ClosedJaxpr, list[_Name], list[_Name]]:
    """Traces the step with physics tapped; returns it with the names of its inputs and outputs, in their order."""
    import jax
    import jax.numpy as jnp

    template = reset.abstract_reset(environment.playground)
    info = reset.flatten_info(template.info)
    info_tree = jax.tree_util.tree_structure(template.info)
    fields = _data_fields(template.data)
    inputs: dict[_Name, jax.ShapeDtypeStruct] = {
        ("action", ""): jax.ShapeDtypeStruct((environment.action_size,), jnp.float32),
        **_named("carry", {name: _struct(leaf) for name, leaf in info.items()}),
        **_named("before", fields),
        **_named("after", fields),
    }
    outputs: list[_Name] = []

    def step(*leaves: jax.Array) -> list[jax.Array]:
        values = dict(zip(inputs, leaves, strict=True))
        blank = taps.blank_data(environment.model)
        data_before = blank.replace(**{name: values["before", name] for name in fields})
        data_after = blank.replace(**{name: values["after", name] for name in fields})
        handed: list[tuple[mjx.Data, jax.Array]] = []

        def tap(data: mjx.Data, ctrl: jax.Array, nstep: int) -> mjx.Data:
            if nstep != environment.physics_steps_per_control:
                raise SplitError(f"{environment.id} steps physics {nstep} times, not once per physics step")
            handed.append((data, ctrl))
            return data_after

        def refuse(_data: mjx.Data) -> mjx.Data:
            raise SplitError(f"{environment.id} calls mjx.forward in its step")

        state = template.replace(
            data=data_before,
            info=jax.tree_util.tree_unflatten(info_tree, [values["carry", name] for name in info]),
            **jax.tree.map(
                lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
                {"obs": template.obs, "reward": template.reward, "done": template.done, "metrics": template.metrics},
            ),
        )
        with taps.tapped(taps.Physics(forward=refuse, step=tap)):
            state = environment.playground.step(state, values["action", ""])
        if len(handed) != 1:
            raise SplitError(
                f"{environment.id} calls physics {len(handed)} times in a step, where one call was expected"
            )
        changed = {
            **_named("write before", _changes(handed[0][0], data_before, (*_WRITABLE, *_FIXED))),
            **_named("write after", _changes(state.data, data_after, tuple(fields))),
        }
        observation, privileged_observation = reset.observation_parts(state.obs)
        results: dict[_Name, Any] = {
            ("ctrl", ""): handed[0][1],
            ("observation", ""): observation,
            ("reward", ""): state.reward,
            ("done", ""): state.done,
            **_named("term", _terms(environment.playground, state.metrics)),
            **changed,
        }
        if privileged and privileged_observation is not None:
            results["privileged_observation", ""] = privileged_observation
        results = {name: jnp.asarray(value, jnp.float32) for name, value in results.items()}
        results |= {
            name: jnp.asarray(value, inputs[name].dtype)
            for name, value in _named("carry", reset.flatten_info(state.info)).items()
            if name in inputs
        }
        outputs[:] = results
        return list(results.values())

    closed = jax.make_jaxpr(step)(*inputs.values())
    given = dict(zip(inputs, closed.jaxpr.invars, strict=True))
    for index, (group, name) in enumerate(outputs):
        when = group.removeprefix("write ")
        if when == group:
            continue
        if _is_itself(closed.jaxpr, closed.jaxpr.outvars[index], given[when, name]):
            outputs[index] = (_UNCHANGED, f"{when}.{name}")
        elif name not in _WRITABLE:
            raise SplitError(f"{environment.id} changes mjData.{name} {when} its physics call, which is not supported")
    return closed, list(inputs), outputs


def _carry_closure(closed: ClosedJaxpr, inputs: list[_Name], outputs: list[_Name]) -> tuple[list[str], set[_Name]]:
    """Finds the carry entries that a step's results depend on, through however many steps.

    Returns their names, and the outputs of the second half: the results that people see and those entries.
    """
    # Some environments list terms that only their siblings compute; those stay zero whatever happens.
    idle = {name for name in outputs if name[0] == "term" and not _Half.keeping(closed, inputs, outputs, {name}).inputs}
    visible = {name for name in outputs if name[0] not in ("carry", _UNCHANGED)} - idle
    kept = visible
    while True:
        reads = _Half.keeping(closed, inputs, outputs, kept).inputs
        grown = visible | {name for name in reads if name[0] == "carry"}
        if grown == kept:
            break
        kept = grown
    carry = [name for group, name in outputs if group == "carry" and (group, name) in kept]
    return carry, {name for name in kept if name[0] not in ("ctrl", "write before")}


def _data_fields(data: mjx.Data) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shapes of the public arrays of MJX data."""
    names = [name for name in type(data).__dataclass_fields__ if not name.startswith("_")]
    fields = {name: getattr(data, name) for name in names}
    return {name: _struct(value) for name, value in fields.items() if hasattr(value, "shape")}


def _changes(given: mjx.Data, expected: mjx.Data, names: Sequence[str]) -> dict[str, jax.Array]:
    """Returns those of the named arrays that are not the expected ones any more."""
    there = [name for name in names if hasattr(expected, name)]
    return {name: getattr(given, name) for name in there if getattr(given, name) is not getattr(expected, name)}


def _is_itself(jaxpr: Any, out: Any, given: Any) -> bool:
    """Tells whether a value is the one given or a blend (1 - s) * given + s * given, which some environments write."""
    made_by = {variable: equation for equation in jaxpr.eqns for variable in equation.outvars}

    def unwrapped(value: Any) -> Any:
        while (equation := _maker(made_by, value)) and equation.primitive.name in _WRAPPERS:
            value = equation.invars[0]
        return value

    def operands(value: Any, *operations: str) -> list[Any]:
        equation = _maker(made_by, unwrapped(value))
        found = equation is not None and equation.primitive.name in operations
        return [unwrapped(operand) for operand in equation.invars] if found else []

    if unwrapped(out) is given:
        return True
    # The product of two truth values is an `and`.
    shares = [
        [factor for factor in operands(summand, "mul", "and") if factor is not given]
        for summand in operands(out, "add")
    ]
    if [len(share) for share in shares] != [1, 1]:
        return False
    (one,), (other,) = shares
    return any(
        len(rest) == 2 and rest[1] is share and getattr(rest[0], "val", None) == 1
        for rest, share in ((operands(one, "sub"), other), (operands(other, "sub"), one))
    )


def _maker(made_by: Mapping[Any, Any], value: Any) -> Any:
    # A literal has no maker, and cannot be looked up.
    return None if hasattr(value, "val") else made_by.get(value)


def _terms(playground: mjx_env.MjxEnv, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parts of the reward among the metrics: those marked so, else those that have a scale."""
    marked = {key.removeprefix(_TERM_PREFIX): metrics[key] for key in metrics if key.startswith(_TERM_PREFIX)}
    if marked:
        return marked
    reward_config = getattr(playground, "_config", {}).get("reward_config", {})
    scales = reward_config.get("scales") or reward_config.get("reward_scales") or {}
    return {name: metrics[name] for name in scales if name in metrics}


def _struct(leaf: Any) -> jax.ShapeDtypeStruct:
    import jax

    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _named(group: str, values: Mapping[str, Any]) -> dict[_Name, Any]:
    return {(group, name): value for name, value in values.items()}
