"""Sealed reward programs: loading one, refusing what it should not do, and calling it inside jit and vmap.

The artifact is the container of `container.py` around a `jax.export` program with a symbolic batch. No Python of the
reward's author is in it. Before a program is used, every operation in it must be on the list of pure array operations.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from tabrl_simulation.rewards.container import ProgramHeader, ProgramRefused, unpack

__all__ = ["LARGEST_VALUE", "ProgramRefused", "RewardProgram"]

LARGEST_VALUE = 65_536
"""Elements that a value inside a reward program may have at most, for one environment."""

_MOST_OPERATIONS = 20_000
_PLUMBING = frozenset({"builtin.module", "func.func", "func.return", "func.call", "stablehlo.return"})
_OPERATION_WORDS = """
abs add and atan2 broadcast_in_dim broadcast case cbrt ceil clamp compare concatenate constant convert cosine divide dot
dot_general dynamic_broadcast_in_dim dynamic_concatenate dynamic_gather dynamic_iota dynamic_pad dynamic_reshape
dynamic_slice exponential exponential_minus_one floor gather get_dimension_size iota is_finite log log_plus_one logistic
maximum minimum multiply negate not or pad popcount power real_dynamic_slice reduce reduce_window remainder reshape
reverse round_nearest_afz round_nearest_even rsqrt select shift_left shift_right_arithmetic shift_right_logical sign
sine slice sort sqrt subtract tan tanh transpose tuple xor"""
_SPECIAL_WORDS = """
acos acosh asin asinh atan atan2 atanh cosh erf erf_inv erfc sinh square tan broadcast_add broadcast_and
broadcast_divide broadcast_maximum broadcast_minimum broadcast_multiply broadcast_or broadcast_power broadcast_subtract
top_k constant"""
_OPERATIONS = frozenset(_OPERATION_WORDS.split())
_SPECIAL_FUNCTIONS = frozenset(_SPECIAL_WORDS.split())

Arrays = Mapping[str, Any]
Values = tuple[Any, ...]


@dataclass(frozen=True, eq=False)  # equal only to itself, and so hashable, as `jit` wants functions to be
class RewardProgram:
    """A sealed reward: mjData arrays and an action in, one number per named term out.

    Attributes:
        sha256: Digest of the artifact, in lower-case hexadecimal; the program's identity.
        header: What it is for: environment, fingerprint, inputs with shapes, size of the action, terms.
    """

    sha256: str
    header: ProgramHeader
    _call: Callable[..., Values] = field(repr=False, compare=False)

    @classmethod
    def from_bytes(cls, data: bytes) -> RewardProgram:
        """Return the program in an artifact.

        Raises:
            ProgramRefused: the bytes are malformed, or the program holds an operation that no reward needs (a custom
                call, a loop, a callback), or its inputs and outputs are not those its header names.
        """
        header, serialized = unpack(data)
        try:
            exported = export.deserialize(bytearray(serialized))
        except Exception as e:
            raise ProgramRefused(f"the program inside the container cannot be read: {type(e).__name__}: {e}") from e
        _refuse_other_signature(header, exported)
        _refuse_other_operations(exported)
        return cls(hashlib.sha256(data).hexdigest(), header, _vectorized(exported, len(header.terms)))

    @property
    def environment_id(self) -> str:
        """Environment the reward was made for."""
        return self.header.environment_id

    @property
    def environment_fingerprint(self) -> str:
        """Fingerprint of that environment when the reward was sealed."""
        return self.header.environment_fingerprint

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms, in the order of the source."""
        return self.header.terms

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """The mjData arrays it reads, each with its shape in one environment (layout of `tabrl_simulation.arrays`)."""
        return self.header.inputs

    def __call__(self, arrays: Arrays, action: Any) -> dict[str, jax.Array]:
        """Return each term as a float32 scalar for one environment; `jit` and any nesting of `vmap` work.

        Args:
            arrays: At least the arrays that `inputs` names, in those shapes; others are ignored.
            action: `[action_size]`, the action that led to these arrays.

        Raises:
            KeyError: an array is missing.
        """
        values = [jnp.asarray(arrays[name], jnp.float32) for name in self.inputs]
        outputs = self._call(*values, jnp.asarray(action, jnp.float32))
        return dict(zip(self.terms, outputs, strict=True))

    def total(self, terms: Mapping[str, jax.Array], weights: Mapping[str, float]) -> jax.Array:
        """Return the reward of a step: the sum of the terms, each times its weight (1 where none is given)."""
        return sum((terms[name] * weights.get(name, 1.0) for name in self.terms), start=jnp.zeros((), jnp.float32))


def _vectorized(exported: export.Exported, terms: int) -> Callable[..., Values]:
    """Give an exported call, which has no batching rule of its own, the rule that calls it on the whole batch.

    The rule for a batch of batches folds the two leading axes into one, so nested `vmap` works as well.
    """
    everything_batched = (True,) * terms

    @jax.custom_batching.custom_vmap
    def batched(*values: Any) -> Values:
        return tuple(exported.call(*values))

    @jax.custom_batching.custom_vmap
    def single(*values: Any) -> Values:
        return tuple(output[0] for output in batched(*(value[None] for value in values)))

    def over_batches(axis_size: int, in_batched: Any, *values: Any) -> tuple[Values, tuple[bool, ...]]:
        full = _broadcast(axis_size, in_batched, values)
        outputs = batched(*(value.reshape(-1, *value.shape[2:]) for value in full))
        inner = full[-1].shape[1]
        return tuple(output.reshape(axis_size, inner) for output in outputs), everything_batched

    def over_singles(axis_size: int, in_batched: Any, *values: Any) -> tuple[Values, tuple[bool, ...]]:
        return tuple(batched(*_broadcast(axis_size, in_batched, values))), everything_batched

    batched.def_vmap(over_batches)
    single.def_vmap(over_singles)
    return single


def _broadcast(axis_size: int, in_batched: Any, values: Values) -> list[Any]:
    return [
        value if has_axis else jnp.broadcast_to(value, (axis_size, *value.shape))
        for value, has_axis in zip(values, in_batched, strict=True)
    ]


def _refuse_other_signature(header: ProgramHeader, exported: export.Exported) -> None:
    wanted = [*header.inputs.values(), (header.action_size,)]
    if len(exported.in_avals) != len(wanted) or len(exported.out_avals) != len(header.terms):
        raise ProgramRefused("the program's inputs or outputs are not as many as its header names")
    for aval, shape in zip(exported.in_avals, wanted, strict=True):
        if aval.dtype != jnp.float32 or tuple(aval.shape[1:]) != shape or isinstance(aval.shape[0], int):
            raise ProgramRefused(f"the program takes {aval}, its header names a batch of float32 {shape}")
    for aval in exported.out_avals:
        if aval.dtype != jnp.float32 or len(aval.shape) != 1 or isinstance(aval.shape[0], int):
            raise ProgramRefused(f"the program returns {aval}; a term is one float32 per environment")
    plain_arguments = jax.tree.structure((tuple(wanted_leaf for wanted_leaf in range(len(wanted))), {}))
    plain_results = jax.tree.structure(tuple(range(len(header.terms))))
    if (exported.in_tree, exported.out_tree) != (plain_arguments, plain_results):
        raise ProgramRefused("the program does not take arrays and return a tuple of terms")
    if exported.nr_devices != 1 or exported.ordered_effects or exported.unordered_effects:
        raise ProgramRefused("the program has effects or asks for several devices")
    if "cpu" not in exported.platforms:
        raise ProgramRefused(f"the program runs on {', '.join(exported.platforms)} but not on a CPU")


def _refuse_other_operations(exported: export.Exported) -> None:
    count = 0
    for operation in _operations(exported.mlir_module()):
        count += 1
        _refuse_operation(operation)
        for result in operation.results:
            _refuse_size(str(result.type))
    if count > _MOST_OPERATIONS:
        raise ProgramRefused(f"the program has {count} operations; {_MOST_OPERATIONS} are enough for a reward")


def _refuse_operation(operation: Any) -> None:
    name = operation.name
    dialect, _, word = name.partition(".")
    if (
        name in _PLUMBING
        or (dialect == "stablehlo" and word in _OPERATIONS)
        or (dialect == "chlo" and word in _SPECIAL_FUNCTIONS)
    ):
        return
    if name == "stablehlo.composite" and str(operation.attributes["name"]).strip('"').startswith("chlo."):
        return  # a special function, with its decomposition as a function of this very module
    if name == "stablehlo.custom_call":
        target = str(operation.attributes["call_target_name"]).strip('"')
        if target == "shape_assertion":
            return
        raise ProgramRefused(f"the program calls {target!r} outside itself")
    raise ProgramRefused(f"the program holds the operation {name!r}, which no reward needs")


def _refuse_size(type_text: str) -> None:
    """Refuse types like `tensor<?x70000xf32>` and `tensor<?x?xf32>`.

    One length may be unknown, as that is the batch: the first as a rule, a later one in `matrix @ state.qpos`.
    """
    _, _, shape = type_text.partition("tensor<")
    axes = shape.partition(">")[0].split("x")
    if axes.count("?") > 1:
        raise ProgramRefused(f"the program computes a {type_text}; only one axis, the batch, may be of any length")
    lengths = [int(axis) for axis in axes if axis.isdigit()]
    if math.prod(lengths) > LARGEST_VALUE:
        raise ProgramRefused(
            f"the program computes a {type_text}, more than {LARGEST_VALUE} numbers for one environment"
        )


def _operations(module_text: str) -> Iterator[Any]:
    from jax._src.interpreters import mlir
    from jaxlib.mlir import ir

    with mlir.make_ir_context():
        try:
            module = ir.Module.parse(module_text)
        except ir.MLIRError as e:
            raise ProgramRefused(f"the program is no valid StableHLO: {e}") from e
        pending = [module.operation]
        while pending:
            operation = pending.pop()
            yield operation
            for region in operation.regions:
                for block in region.blocks:
                    pending.extend(child.operation for child in block.operations)
