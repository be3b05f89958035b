"""Between the contract's tensors and arrays, with every input checked against what the controller declares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tabrl.play.manifest import Tensor
from tabrl.type.v1 import tensor_pb2
from tabrl_chassis.errors import TabrlError

__all__ = ["Expected", "arrays_of", "spec_message", "tensor_message"]

Array = NDArray[Any]

Expected = Mapping[str, Tensor]
"""What a controller declares, by the name that a request gives it under."""

_DATA_TYPES = {
    "float32": tensor_pb2.DATA_TYPE_FLOAT32,
    "int32": tensor_pb2.DATA_TYPE_INT32,
    "uint32": tensor_pb2.DATA_TYPE_UINT32,
    "bool": tensor_pb2.DATA_TYPE_BOOL,
}


def arrays_of(*given: tuple[str, Mapping[str, tensor_pb2.Tensor], Expected]) -> list[dict[str, Array]]:
    """Returns the arrays of a request's maps, each given as (field of the request, its tensors, what is expected).

    Raises:
        TabrlError: INVALID_FIELD with one violation for each input that is missing, unknown or of another shape.
    """
    violations = [
        violation for field, tensors, expected in given for violation in _violations(field, tensors, expected)
    ]
    if violations:
        first_field, first_description = violations[0]
        more = f" ({len(violations)} violations in all)" if len(violations) > 1 else ""
        raise TabrlError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_FIELD",
            f"{first_field}: {first_description}{more}",
            fields=violations,
        )
    return [
        {name: _array(tensor, expected[name].dtype) for name, tensor in tensors.items()}
        for _, tensors, expected in given
    ]


def tensor_message(array: Array) -> tensor_pb2.Tensor:
    """Returns an array as the contract carries it."""
    return tensor_pb2.Tensor(shape=np.shape(array), values=np.asarray(array, np.float32).ravel().tolist())


def spec_message(name: str, tensor: Tensor) -> tensor_pb2.TensorSpec:
    """Returns what is declared of an array, under the name that a request gives it."""
    return tensor_pb2.TensorSpec(name=name, shape=tensor.shape, dtype=_DATA_TYPES[tensor.dtype])


def _violations(field: str, tensors: Mapping[str, tensor_pb2.Tensor], expected: Expected) -> Iterable[tuple[str, str]]:
    for name in sorted(expected.keys() - tensors.keys()):
        yield f'{field}["{name}"]', f"is missing; expected shape {list(expected[name].shape)}"
    for name in sorted(tensors.keys() - expected.keys()):
        known = ", ".join(sorted(expected)) or "none"
        yield f'{field}["{name[:100]}"]', f"is no input of this policy; it takes {known}"
    for name in sorted(tensors.keys() & expected.keys()):
        shape, wanted = list(tensors[name].shape), list(expected[name].shape)
        if shape != wanted:
            yield f'{field}["{name}"].shape', f"is {shape}, expected {wanted}"
        elif len(tensors[name].values) != math.prod(wanted):
            count = len(tensors[name].values)
            yield f'{field}["{name}"].values', f"has {count} elements, the shape {wanted} takes {math.prod(wanted)}"


def _array(tensor: tensor_pb2.Tensor, dtype: str) -> Array:
    return np.array(tensor.values, np.float32).reshape(tuple(tensor.shape)).astype(dtype)
