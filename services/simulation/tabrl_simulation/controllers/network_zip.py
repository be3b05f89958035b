"""The policy's network as plain arrays in a zip, for readers that have neither ONNX nor JAX.

The zip holds `weights.npz` and `policy.json`, as `services/exporter/FORMATS.md` specifies; `action_of` is that page in
NumPy. Equal checkpoints give equal bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tabrl_simulation.checkpoint import Checkpoint

__all__ = ["FORMAT_VERSION", "action_of", "network_zip"]

FORMAT_VERSION: Final = 1
"""Counts incompatible changes of the zip."""

_WEIGHTS: Final = "weights.npz"
_DESCRIPTION: Final = "policy.json"
_POLICY: Final = "learner/params/policy/params"
_NORMALIZER: Final = "learner/normalizer"
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold: the same bytes on every day

Arrays = Mapping[str, NDArray[Any]]


def network_zip(checkpoint: Checkpoint, *, checkpoint_sha256: str = "") -> bytes:
    """Writes the network of a checkpoint with its normalizer.

    Args:
        checkpoint: the policy.
        checkpoint_sha256: its digest, for whoever wonders where the file comes from.

    Raises:
        CheckpointError: the checkpoint holds no policy of dense layers.
    """
    from tabrl_simulation.checkpoint import CheckpointError
    from tabrl_simulation.learner import OBSERVATION_LIMIT

    params = checkpoint.within(_POLICY)
    count = len(params) // 2
    arrays: dict[str, NDArray[Any]] = {}
    try:
        for layer in range(count):
            for part in ("kernel", "bias"):
                arrays[f"layer{layer}/{part}"] = params[f"hidden_{layer}/{part}"].astype("<f4")
        for part in ("mean", "std"):
            arrays[f"normalizer/{part}"] = checkpoint.arrays[f"{_NORMALIZER}/{part}"].astype("<f4")
    except KeyError as error:
        raise CheckpointError(f"The checkpoint's policy has no array {error}") from error
    if not count or len(params) != 2 * count:
        raise CheckpointError(f"The checkpoint's policy is not made of dense layers: {', '.join(sorted(params))}")
    action_size = len(arrays[f"layer{count - 1}/bias"]) // 2
    description = {
        "format_version": FORMAT_VERSION,
        "environment_id": checkpoint.environment_id,
        "checkpoint_sha256": checkpoint_sha256,
        "env_steps": checkpoint.env_steps,
        "observation_size": len(arrays["normalizer/mean"]),
        "action_size": action_size,
        "normalizer": {"mean": "normalizer/mean", "std": "normalizer/std", "limit": OBSERVATION_LIMIT},
        "layers": [
            {
                "kernel": f"layer{layer}/kernel",
                "bias": f"layer{layer}/bias",
                "activation": "swish" if layer < count - 1 else "identity",
            }
            for layer in range(count)
        ],
        # The outputs behind these are the deviation that training explores with.
        "action": {"first_output": 0, "outputs": action_size, "squash": "tanh"},
    }
    weights = io.BytesIO()
    np.savez(weights, allow_pickle=False, **arrays)
    text = json.dumps(description, indent=1) + "\n"
    return _zipped({_DESCRIPTION: text.encode(), _WEIGHTS: weights.getvalue()})


def action_of(archive: bytes, observation: NDArray[Any]) -> NDArray[np.float32]:
    """Reads the zip and multiplies it out, in NumPy alone and float32.

    Args:
        archive: what `network_zip` wrote.
        observation: of the environment, not normalized, [..., observation_size].

    Returns:
        the action, [..., action_size].

    Raises:
        ValueError: the zip is of another version, or says something that this version does not know.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        policy = json.loads(files.read(_DESCRIPTION))
        with np.load(io.BytesIO(files.read(_WEIGHTS)), allow_pickle=False) as arrays:
            weights = dict(arrays)
    if policy["format_version"] != FORMAT_VERSION:
        raise ValueError(f"This file is of version {policy['format_version']}; this release knows {FORMAT_VERSION}.")
    if policy["action"]["squash"] != "tanh":
        raise ValueError(f"This file squashes actions by {policy['action']['squash']!r}; this release knows tanh.")
    normalizer = policy["normalizer"]
    value = (np.asarray(observation, np.float32) - weights[normalizer["mean"]]) / weights[normalizer["std"]]
    value = value.clip(np.float32(-normalizer["limit"]), np.float32(normalizer["limit"]))
    for layer in policy["layers"]:
        value = _activated(layer["activation"], value @ weights[layer["kernel"]] + weights[layer["bias"]])
    first = policy["action"]["first_output"]
    action: NDArray[np.float32] = np.tanh(value[..., first : first + policy["action"]["outputs"]])
    return action


def _activated(activation: str, value: NDArray[Any]) -> NDArray[Any]:
    if activation == "identity":
        return value
    if activation == "swish":
        with np.errstate(over="ignore"):  # far below 0 the exponential is infinite and the quotient 0, as it should be
            activated: NDArray[Any] = value / (1 + np.exp(-value))
        return activated
    raise ValueError(f"This file has the activation {activation!r}; this release knows identity and swish.")


def _zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.create_system = 3  # the same on every machine that writes it
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()
