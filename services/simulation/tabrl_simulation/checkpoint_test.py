import dataclasses
import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabrl_simulation.checkpoint import _PREFIX, Checkpoint, CheckpointError, CheckpointStale, installed_versions
from tabrl_simulation.settings import default_settings


def _checkpoint() -> Checkpoint:
    return Checkpoint(
        environment_id="CartpoleBalance",
        environment_fingerprint="f" * 64,
        settings=default_settings("CartpoleBalance"),
        reward_program_sha256="a" * 64,
        weights={"upright": 0.5},
        env_steps=5120,
        episode_return=12.5,
        arrays={
            "learner/key": np.array([1, 2], np.uint32),
            "learner/params/policy/kernel": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
            "learner/normalizer/count": np.asarray(7, np.int64),
            "rollout/loop/counted": np.array([True, False]),
            "rollout/empty": np.zeros((2, 0)),
        },
    )


def test_a_checkpoint_comes_back_as_it_was_written() -> None:
    written = _checkpoint()

    data = written.to_bytes()
    read = Checkpoint.from_bytes(data)

    assert data == read.to_bytes() == _checkpoint().to_bytes()
    assert (read.settings, read.weights, read.env_steps) == (written.settings, written.weights, written.env_steps)
    assert read.arrays.keys() == written.arrays.keys()
    for path, value in written.arrays.items():
        assert read.arrays[path].dtype == value.dtype
        np.testing.assert_array_equal(read.arrays[path], value)


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(data)


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    written = bytearray(_checkpoint().to_bytes())
    position = data.draw(st.integers(0, len(written) - 1))
    written[position] ^= data.draw(st.integers(1, 255))

    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(bytes(written))


@given(st.integers(0, 10_000))
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    data = _checkpoint().to_bytes()

    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(data[: min(length, len(data) - 1)])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("env_steps", "many"),
        ("settings", {"num_envs": 3}),
        ("weights", {"upright": "heavy"}),
        ("weights", None),
        ("backend", 7),
        ("versions", ["jax"]),
        ("arrays", [["learner/key", "object", [2]]]),
        ("arrays", [["learner/key", "float32", [-2]]]),
        ("arrays", [["learner/key", "float32", [2**62]]]),
        ("arrays", [["learner/key"]]),
        ("arrays", [7]),
        ("arrays", []),
    ],
)
def test_a_header_that_was_tampered_with_is_refused(field: str, value: object) -> None:
    tampered = _with_header(_checkpoint(), lambda header: {**header, field: value})

    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(tampered)


def test_a_file_of_the_first_release_is_read() -> None:
    # given a header without what was added since
    written = dataclasses.replace(_checkpoint(), backend="warp", versions={"jax": "0.1"})
    read = Checkpoint.from_bytes(written.to_bytes())
    assert (read.backend, read.versions) == ("warp", {"jax": "0.1"})

    older = Checkpoint.from_bytes(
        _with_header(written, lambda h: {k: h[k] for k in h.keys() - {"backend", "versions"}})
    )

    assert (older.backend, older.versions, older.env_steps) == ("mujoco-c", {}, written.env_steps)


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run" / "newest"
    first, second = _checkpoint(), dataclasses.replace(_checkpoint(), env_steps=6_000)
    first.write(path)
    assert Checkpoint.read(path).to_bytes() == first.to_bytes()

    # when the disk gives up after all has been written to it, but before that is safe
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", _full_disk)
        with pytest.raises(OSError, match="no space"):
            second.write(path)

    assert Checkpoint.read(path).env_steps == first.env_steps
    assert [file.name for file in path.parent.iterdir()] == ["newest"]
    second.write(path)
    assert Checkpoint.read(path).env_steps == second.env_steps


def test_what_changed_since_is_said_with_its_versions() -> None:
    environment: Any = SimpleNamespace(id="CartpoleBalance", fingerprint="0" * 64)
    old = dataclasses.replace(_checkpoint(), versions={**installed_versions(), "mujoco": "3.0.0"})

    with pytest.raises(CheckpointStale, match=r"; mujoco 3\.0\.0, now [\d.]+\); train it again"):
        old.require(environment)


def _full_disk(_: int) -> None:
    raise OSError(errno.ENOSPC, "no space left on device")


def _with_header(checkpoint: Checkpoint, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    """Returns the file with another header, under a digest that fits."""
    data = checkpoint.to_bytes()
    magic, _, header_size = _PREFIX.unpack_from(data)
    header = json.dumps(change(json.loads(data[_PREFIX.size :][:header_size]))).encode()
    body = header + data[_PREFIX.size + header_size :]
    return _PREFIX.pack(magic, hashlib.sha256(body).digest(), len(header)) + body


def test_arrays_of_objects_are_not_written() -> None:
    with pytest.raises(CheckpointError, match="object"):
        dataclasses.replace(_checkpoint(), arrays={"x": np.array([{}], object)}).to_bytes()
