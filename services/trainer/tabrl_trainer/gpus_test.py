"""The GPUs of a machine as its driver tells of them; what is not there, and who gets which."""

import os

import pytest
from tabrl.trainer.v1 import trainer_pb2

from tabrl_trainer.conftest import QUEUED, logs, trainer
from tabrl_trainer.gpus import Gpu, Gpus, find_gpus

# What `nvidia-smi` says on a machine with two H100s.
ANSWER = """0, GPU-5a1c4f2e-0d3b-4b57-9d42-6f1d9f3c7a10, NVIDIA H100 80GB HBM3, 81559
1, GPU-c77e1d90-71f4-4f0a-8a3d-2a8f4bb2e6d1, NVIDIA H100 80GB HBM3, 81559
"""
FIRST = Gpu(0, "GPU-5a1c4f2e-0d3b-4b57-9d42-6f1d9f3c7a10", "NVIDIA H100 80GB HBM3", 81559 << 20)
SECOND = Gpu(1, "GPU-c77e1d90-71f4-4f0a-8a3d-2a8f4bb2e6d1", "NVIDIA H100 80GB HBM3", 81559 << 20)


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Put a driver's tool on the path that answers as told."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def answers(text: str, status: int = 0) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\nprintf '%s' '{text}'\nexit {status}\n")
        tool.chmod(0o755)

    return answers


def test_the_gpus_are_those_that_the_driver_tells_of(driver):
    driver(ANSWER)
    assert find_gpus() == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        ("1", [SECOND]),
        ("1,0", [SECOND, FIRST]),
        ("GPU-c77e", [SECOND]),
        ("", []),
        ("-1", []),
        ("0,7,1", [FIRST]),
    ],
)
def test_what_is_hidden_from_cuda_is_not_used(driver, monkeypatch, names, seen):
    driver(ANSWER)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names)
    assert find_gpus() == seen


@pytest.mark.parametrize(("answer", "status"), [("", 9), ("No devices were found\n", 0), ("0, GPU-1, odd, [N/A]\n", 0)])
def test_a_driver_without_gpus_is_none(driver, answer, status):
    driver(answer, status)
    assert find_gpus() == []


def test_without_a_driver_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_gpus() == []


def test_each_run_gets_the_gpu_with_the_fewest():
    gpus = Gpus([FIRST, SECOND])
    with gpus.one() as first, gpus.one() as second:
        assert {first, second} == {FIRST, SECOND}
        with gpus.one() as third:
            assert third == FIRST
    with gpus.one() as again:
        assert again == FIRST
    with Gpus([]).one() as none:
        assert none is None


async def test_runs_side_by_side_have_a_gpu_each(driver, monkeypatch, config, worker, exporter):
    driver(ANSWER)
    for module in ("local_place", "worker_environment"):
        monkeypatch.setattr(f"tabrl_trainer.{module}.has_gpu", lambda: True)
    async with trainer(config, worker, exporter) as rig:
        first, second = [await rig.create("gpu run wait") for _ in range(2)]
        third = await rig.create("gpu final:1", backend=trainer_pb2.PHYSICS_BACKEND_MUJOCO_C)
        seen = {(await rig.until(run_id, lambda event: event.HasField("log"))).log.text for run_id in (first, second)}
        assert seen == {FIRST.uuid, SECOND.uuid}
        assert (await rig.get(third)).state == QUEUED
        await rig.cancel(first)
        assert logs(await rig.watch(third)) == ["every GPU"]
