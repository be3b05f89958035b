"""Checkpoints: the complete state of a training in one file, and the policy in it.

The file is a magic word, the SHA-256 of what follows, the length of a JSON header, the header, and the arrays one after
the other, little-endian. Nothing in it is code; reading one runs nothing. No array depends on the backend that wrote it
but those under `rollout/`, so that any machine can go on from any checkpoint.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import math
import os
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from tabrl_simulation.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    import jax

    from tabrl_simulation.environments import Environment

__all__ = [
    "BEGINNING_BYTES",
    "Checkpoint",
    "CheckpointError",
    "CheckpointStale",
    "installed_versions",
    "require_beginning",
]

_MAGIC: Final = b"TABRLCKP"
_VERSION: Final = 1
_PREFIX: Final = struct.Struct("<8s32sQ")
_DTYPES: Final = frozenset({"float32", "float64", "int32", "int64", "uint32", "bool"})
_MUJOCO_C: Final = "mujoco-c"
_PACKAGES: Final = ("jax", "jaxlib", "brax", "mujoco", "mujoco-mjx", "numpy", "optax", "playground")
_BEING_WRITTEN: Final = ".writing-"

BEGINNING_BYTES: Final = len(_MAGIC)
"""How much of a file `require_beginning` needs."""

Arrays = Mapping[str, NDArray[Any]]


class CheckpointError(ValueError):
    """The bytes are no checkpoint, are damaged, or do not fit what they are used for."""


class CheckpointStale(CheckpointError):
    """The checkpoint was trained in an environment that has changed since."""


@functools.cache
def installed_versions() -> Mapping[str, str]:
    """Returns the versions here of what training is made of, by package; those that are not installed are left out."""
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def require_beginning(data: bytes) -> None:
    """Makes sure that the first `BEGINNING_BYTES` of a file, or more, are of a checkpoint, before the rest is read.

    Raises:
        CheckpointError: they are not.
    """
    if not data.startswith(_MAGIC):
        raise CheckpointError("These bytes are not a checkpoint")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The complete state of a training.

    Attributes:
        environment_id: environment that was trained.
        environment_fingerprint: its fingerprint then.
        settings: of the training.
        reward_program_sha256: reward that was trained for; None for the environment's own.
        weights: of its terms, where they are not 1.
        env_steps: control steps so far, over all parallel environments.
        episode_return: mean return of the newest finished episodes; None before the first one ended.
        final: whether training ended here.
        backend: physics that the environments stood in.
        versions: of what training is made of, by package; empty in files that are older than this.
        arrays: by path: `learner/` holds policy, value, normalizer, optimizer state, statistics of returns and PRNG
            key, `rollout/` where the environments stood, `training/` what was shown of it so far.
    """

    environment_id: str
    environment_fingerprint: str
    settings: Settings
    reward_program_sha256: str | None
    weights: Mapping[str, float]
    env_steps: int
    episode_return: float | None = None
    final: bool = False
    backend: str = _MUJOCO_C
    versions: Mapping[str, str] = field(default_factory=dict)
    arrays: Arrays = field(repr=False)

    def group(self, name: str) -> dict[str, NDArray[Any]]:
        """Returns the arrays whose path begins with `name/`, under their full paths."""
        return {path: value for path, value in self.arrays.items() if path.startswith(f"{name}/")}

    def within(self, name: str) -> dict[str, NDArray[Any]]:
        """Returns the arrays whose path begins with `name/`, under the rest of their paths."""
        return {path.removeprefix(f"{name}/"): value for path, value in self.group(name).items()}

    def to_bytes(self) -> bytes:
        """Returns the file; equal checkpoints give equal bytes."""
        named = sorted(self.arrays.items())
        header = json.dumps(
            {
                "version": _VERSION,
                "environment_id": self.environment_id,
                "environment_fingerprint": self.environment_fingerprint,
                "settings": self.settings.to_dict(),
                "reward_program_sha256": self.reward_program_sha256,
                "weights": dict(sorted(self.weights.items())),
                "env_steps": self.env_steps,
                "episode_return": self.episode_return,
                "final": self.final,
                "backend": self.backend,
                "versions": dict(sorted(self.versions.items())),
                "arrays": [[path, value.dtype.name, list(value.shape)] for path, value in named],
            },
            separators=(",", ":"),
        ).encode()
        body = header + b"".join(_little_endian(value).tobytes() for _, value in named)
        return _PREFIX.pack(_MAGIC, hashlib.sha256(body).digest(), len(header)) + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads what `to_bytes` wrote.

        Raises:
            CheckpointError: the bytes are no checkpoint of this version, or are damaged.
        """
        header, body = _unpack(data)
        try:
            return cls(
                environment_id=_typed(header, "environment_id", str),
                environment_fingerprint=_typed(header, "environment_fingerprint", str),
                settings=Settings.from_dict(_typed(header, "settings", dict)),
                reward_program_sha256=_typed(header, "reward_program_sha256", (str, type(None))),
                weights={str(name): float(weight) for name, weight in _typed(header, "weights", dict).items()},
                env_steps=_typed(header, "env_steps", int),
                episode_return=_typed(header, "episode_return", (int, float, type(None))),
                final=_typed(header, "final", bool),
                # Version 1 began without these two.
                backend=_typed({"backend": _MUJOCO_C, **header}, "backend", str),
                versions={str(k): str(v) for k, v in _typed({"versions": {}, **header}, "versions", dict).items()},
                arrays=_read_arrays(_typed(header, "arrays", list), body),
            )
        except InvalidSettings as e:
            raise CheckpointError(f"The checkpoint's settings are invalid: {e}") from e
        except (TypeError, ValueError) as e:
            if isinstance(e, CheckpointError):
                raise
            raise CheckpointError(f"The checkpoint's header is damaged: {e}") from e

    def write(self, path: Path) -> None:
        """Writes the file so that whoever reads `path`, even after a power cut, finds it whole or as it was before.

        Whoever is killed meanwhile leaves a file beside it whose name begins with `.writing-`.

        Raises:
            OSError: it cannot be written.
        """
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(path.parent.parent)  # a new folder is an entry too
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_BEING_WRITTEN)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.to_bytes())
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file that `write` wrote.

        Raises:
            CheckpointError: it is no checkpoint, or is damaged.
            OSError: it cannot be read.
        """
        return cls.from_bytes(path.read_bytes())

    def require(self, environment: Environment) -> None:
        """Makes sure that the checkpoint was trained in `environment` as it is now.

        Raises:
            CheckpointError: it belongs to another environment.
            CheckpointStale: the environment has changed since.
        """
        if self.environment_id != environment.id:
            raise CheckpointError(f"The checkpoint belongs to {self.environment_id}, not to {environment.id}")
        if self.environment_fingerprint != environment.fingerprint:
            raise CheckpointStale(
                f"{environment.id} has changed since the checkpoint was written (fingerprint "
                f"{self.environment_fingerprint[:12]}, now {environment.fingerprint[:12]}"
                f"{self._version_changes()}); train it again"
            )

    def _version_changes(self) -> str:
        here = installed_versions()
        changed = {name: old for name, old in self.versions.items() if here.get(name) != old}
        return "".join(f"; {name} {old}, now {here.get(name, 'none')}" for name, old in changed.items())

    def policy(self, environment: Environment) -> Callable[[jax.Array], jax.Array]:
        """Returns the deterministic policy: an observation, [..., O], to an action, [..., A]; traceable, float32.

        Raises:
            CheckpointError: it was not trained in `environment`, or its arrays do not fit.
        """
        import jax

        from tabrl_simulation import learner, tree_paths

        self.require(environment)
        made = learner.make_learner(
            self.settings,
            observation_size=environment.observation_size,
            action_size=environment.action_size,
            privileged_observation_size=environment.privileged_observation_size,
        )
        template = jax.eval_shape(made.init, jax.ShapeDtypeStruct((2,), np.uint32))
        try:
            normalizer = tree_paths.unflatten("learner/normalizer", template.normalizer, self.arrays)
            params = tree_paths.unflatten("learner/params/policy", template.params.policy, self.arrays)
        except (KeyError, ValueError) as e:
            raise CheckpointError(f"The checkpoint's policy does not fit {environment.id}: {e}") from e

        def act(observation: jax.Array) -> jax.Array:
            logits = made.networks.policy_network.apply(normalizer, params, observation)
            action: jax.Array = made.networks.parametric_action_distribution.mode(logits)
            return action

        return act


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unpack(data: bytes) -> tuple[dict[str, Any], memoryview]:
    if len(data) < _PREFIX.size:
        raise CheckpointError(f"{len(data)} bytes are too few for a checkpoint")
    require_beginning(data)
    _magic, digest, header_size = _PREFIX.unpack_from(data)
    body = memoryview(data)[_PREFIX.size :]
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError("The checkpoint is damaged: its digest does not match")
    if header_size > len(body):
        raise CheckpointError("The checkpoint is damaged: its header is cut off")
    try:
        header = json.loads(bytes(body[:header_size]))
    except ValueError as e:
        raise CheckpointError(f"The checkpoint's header is no JSON: {e}") from e
    if not isinstance(header, dict) or header.get("version") != _VERSION:
        raise CheckpointError(f"The checkpoint is not of version {_VERSION}, which is the one this release reads")
    return header, body[header_size:]


def _typed(header: dict[str, Any], name: str, kinds: Any) -> Any:
    if name not in header:
        raise CheckpointError(f"The checkpoint's header lacks {name}")
    if not isinstance(header[name], kinds):
        raise CheckpointError(f"The checkpoint's header has {header[name]!r} for {name}")
    return header[name]


def _read_arrays(table: list[Any], body: memoryview) -> dict[str, NDArray[Any]]:
    values: dict[str, NDArray[Any]] = {}
    offset = 0
    for path, dtype_name, shape in table:
        if dtype_name not in _DTYPES or not all(isinstance(axis, int) and axis >= 0 for axis in shape):
            raise CheckpointError(f"The checkpoint's array {path!r} is {dtype_name}{shape}, which is not supported")
        dtype = np.dtype(dtype_name).newbyteorder("<")
        size = math.prod(shape) * dtype.itemsize
        if offset + size > len(body):
            raise CheckpointError(f"The checkpoint's array {path!r} is cut off")
        values[str(path)] = np.frombuffer(body[offset : offset + size], dtype).reshape(shape).astype(dtype_name)
        offset += size
    if offset != len(body):
        raise CheckpointError("The checkpoint holds more bytes than its arrays have")
    return values


def _little_endian(value: NDArray[Any]) -> NDArray[Any]:
    if value.dtype.name not in _DTYPES:
        raise CheckpointError(f"an array of {value.dtype} cannot be written to a checkpoint")
    return np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<"), copy=False))
