"""The GPUs of a machine as its driver tells of them; what is not there, and who gets which."""

import os

import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError

from tabrl_trainer import gpus
from tabrl_trainer.conftest import QUEUED, SUCCEEDED, logs, states, trainer
from tabrl_trainer.gpus import Gpu, Gpus, GpusUnknown, find_gpus, told_gpus

# What `nvidia-smi` says on a machine with two H100s.
ANSWER = """0, GPU-5a1c4f2e-0d3b-4b57-9d42-6f1d9f3c7a10, NVIDIA H100 80GB HBM3, 81559
1, GPU-c77e1d90-71f4-4f0a-8a3d-2a8f4bb2e6d1, NVIDIA H100 80GB HBM3, 81559
"""
FIRST = Gpu(0, "GPU-5a1c4f2e-0d3b-4b57-9d42-6f1d9f3c7a10", "NVIDIA H100 80GB HBM3", 81559 << 20)
SECOND = Gpu(1, "GPU-c77e1d90-71f4-4f0a-8a3d-2a8f4bb2e6d1", "NVIDIA H100 80GB HBM3", 81559 << 20)


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Put a driver's tool on the path that answers as told, once its `gate` is there; `asked` counts the questions."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "_told", [])
    asked, tool = tmp_path / "asked", tmp_path / "nvidia-smi"

    def answers(text: str, status: int = 0, gate: str = "/") -> None:
        waits = f"echo $$ >> {asked}; while [ ! -e {gate} ]; do sleep 0.05; done"
        tool.write_text(f"#!/bin/sh\n{waits}\nprintf '%s' '{text}'\nexit {status}\n")
        tool.chmod(0o755)

    answers.asked = lambda: asked.read_text().split()
    return answers


@pytest.fixture
def a_gpu(monkeypatch):
    """Have this machine look as if jax would find a GPU."""
    for module in ("local_place", "worker_environment"):
        monkeypatch.setattr(f"tabrl_trainer.{module}.has_gpu", lambda: True)


async def test_the_gpus_are_those_that_the_driver_tells_of(driver):
    driver(ANSWER)
    assert told_gpus() == []
    assert await find_gpus() == told_gpus() == [FIRST, SECOND]


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
async def test_what_is_hidden_from_cuda_is_not_used(driver, monkeypatch, names, seen):
    driver(ANSWER)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names)
    assert await find_gpus() == seen


@pytest.mark.parametrize(("answer", "status"), [("", 9), ("No devices were found\n", 0), ("0, GPU-1, odd, [N/A]\n", 0)])
async def test_a_driver_without_gpus_is_none(driver, answer, status):
    driver(answer, status)
    assert await find_gpus() == []


async def test_without_a_driver_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await find_gpus() == []


async def test_a_driver_that_does_not_answer_is_no_answer(driver, monkeypatch, tmp_path):
    monkeypatch.setattr(gpus, "_ANSWERS_WITHIN_SECS", 0.2)
    driver(ANSWER, gate=str(tmp_path / "gate"))
    with pytest.raises(GpusUnknown, match=r"within 0\.2 s"):
        await find_gpus()
    assert told_gpus() == []
    # and nobody goes on asking it
    (asking,) = driver.asked()
    assert not os.path.exists(f"/proc/{asking}")


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


async def test_runs_side_by_side_have_a_gpu_each(driver, a_gpu, config, worker, exporter):
    driver(ANSWER)
    async with trainer(config, worker, exporter) as rig:
        first, second = [await rig.create("gpu run wait") for _ in range(2)]
        third = await rig.create("gpu final:1", backend=trainer_pb2.PHYSICS_BACKEND_MUJOCO_C)
        seen = {(await rig.until(run_id, lambda event: event.HasField("log"))).log.text for run_id in (first, second)}
        assert seen == {FIRST.uuid, SECOND.uuid}
        assert (await rig.get(third)).state == QUEUED
        await rig.cancel(first)
        assert logs(await rig.watch(third)) == ["every GPU"]


async def test_a_driver_that_is_late_is_asked_again_and_what_needs_it_waits(
    driver, a_gpu, monkeypatch, short_pauses, config, worker, exporter, tmp_path
):
    monkeypatch.setattr(gpus, "_ANSWERS_WITHIN_SECS", 0.3)
    monkeypatch.setattr("tabrl_trainer.local_place._WAITED_FOR_SECS", 0.1)
    gate = tmp_path / "gate"
    driver(ANSWER, gate=str(gate))
    async with trainer(config, worker, exporter) as rig:
        waits = await rig.create("gpu final:1")
        await rig.until(waits, lambda event: "driver of this machine's GPUs does not answer" in event.log.text)
        # what needs no GPU does not wait for one
        other = await rig.create("final:1", backend=trainer_pb2.PHYSICS_BACKEND_MUJOCO_C)
        await rig.cancel(waits)
        assert states(await rig.watch(other))[-1] == SUCCEEDED
        gate.touch()
        first = await rig.create("gpu run wait")
        await rig.until(first, lambda event: event.log.text == FIRST.uuid)
        second = await rig.create("gpu run wait")
        await rig.until(second, lambda event: event.log.text == SECOND.uuid)
    assert len(driver.asked()) > 1


async def test_the_driver_is_asked_once_for_places_and_for_memory(driver, a_gpu, config, worker, exporter):
    driver(ANSWER.replace("81559", "850"))
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance")
    spec.settings.num_envs, spec.settings.unroll_length, spec.settings.num_minibatches = 16_384, 61, 1_024
    async with trainer(config, worker, exporter) as rig:
        for _ in range(2):
            with pytest.raises(TabrlError, match="the GPU has 1 GiB"):
                await call(rig.stub.EstimateRun, trainer_pb2.EstimateRunRequest(spec=spec), service="trainer")
    assert len(driver.asked()) == 1
