import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabrl_simulation.checkpoint import _PREFIX, Checkpoint, CheckpointError
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
        ("arrays", [["learner/key", "object", [2]]]),
        ("arrays", [["learner/key", "float32", [-2]]]),
        ("arrays", [["learner/key", "float32", [2**62]]]),
        ("arrays", [["learner/key"]]),
        ("arrays", [7]),
        ("arrays", []),
    ],
)
def test_a_header_that_was_tampered_with_is_refused(field: str, value: object) -> None:
    import hashlib

    data = _checkpoint().to_bytes()
    magic, _, header_size = _PREFIX.unpack_from(data)
    header = json.loads(data[_PREFIX.size :][:header_size])
    tampered = json.dumps({**header, field: value}).encode()
    body = tampered + data[_PREFIX.size + header_size :]

    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(_PREFIX.pack(magic, hashlib.sha256(body).digest(), len(tampered)) + body)


def test_arrays_of_objects_are_not_written() -> None:
    import dataclasses

    with pytest.raises(CheckpointError, match="object"):
        dataclasses.replace(_checkpoint(), arrays={"x": np.array([{}], object)}).to_bytes()
