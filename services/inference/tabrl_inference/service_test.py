"""The Inference service over a real socket with a real controller, beside a server of the Exporter's contract."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl.play import manifest_json, player
from tabrl.play.manifest import VersionRange
from tabrl.type.v1 import tensor_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import call, open_channel
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.service import started
from tabrl_simulation import bundle
from tabrl_simulation.controllers.build import BuiltController
from tabrl_simulation.motion import Check, record

from tabrl_inference.service import SERVICE, Config

pytestmark = pytest.mark.asyncio(loop_scope="module")

EPISODE_LENGTH = 40
SHORT, LONG = "short", "long"


@pytest.fixture(scope="module")
def built() -> BuiltController:
    """A controller of CartpoleBalance that has learned nothing."""
    from tabrl_simulation.controllers import build
    from tabrl_simulation.controllers.untrained import untrained_checkpoint

    bench = build.prepare("CartpoleBalance")
    return build.build_controller(bench, untrained_checkpoint(bench.environment), None, checkpoint_sha256="c" * 64)


class _Exporter(exporter_pb2_grpc.ExporterServiceServicer):
    def __init__(self) -> None:
        self.policies: dict[str, exporter_pb2.Policy] = {}
        self.calls = 0

    async def GetPolicy(self, request: exporter_pb2.GetPolicyRequest, context: Any) -> exporter_pb2.GetPolicyResponse:
        self.calls += 1
        if request.policy_id not in self.policies:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such policy")
        return exporter_pb2.GetPolicyResponse(policy=self.policies[request.policy_id])

    def publish(self, policy_id: str, made: BuiltController, artifacts: ArtifactStore, episode_length: int) -> None:
        manifest = replace(made.manifest, episode_length=episode_length)
        artifacts.put(made.scene.xml.encode(), "application/xml")
        self.policies[policy_id] = exporter_pb2.Policy(
            policy_id=policy_id,
            controller=artifacts.put(made.onnx),
            manifest=artifacts.put(manifest_json.dumps(manifest).encode(), "application/json"),
        )


@dataclass
class _Inference:
    stub: inference_pb2_grpc.InferenceServiceStub
    exporter: _Exporter
    exporter_server: grpc.aio.Server
    artifacts: ArtifactStore


@pytest_asyncio.fixture(loop_scope="module")
async def inference(tmp_path: Path, built: BuiltController) -> AsyncIterator[_Inference]:
    exporter = _Exporter()
    exporter_server = grpc.aio.server()
    exporter_pb2_grpc.add_ExporterServiceServicer_to_server(exporter, exporter_server)
    port = exporter_server.add_insecure_port("127.0.0.1:0")
    await exporter_server.start()
    config = Config(data=tmp_path, exporter_address=f"127.0.0.1:{port}", policies=2, evaluations=1, drain_secs=0.1)
    async with started(SERVICE, config) as running:
        for policy_id, episode_length in ((SHORT, EPISODE_LENGTH), (LONG, 1_000_000)):
            exporter.publish(policy_id, built, running.context.artifacts, episode_length)
        channel = open_channel(running.address)
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        yield _Inference(stub, exporter, exporter_server, running.context.artifacts)
        await channel.close()
    await exporter_server.stop(None)


def _tensor(*values: float) -> tensor_pb2.Tensor:
    return tensor_pb2.Tensor(shape=[len(values)], values=values)


async def _data(inference: _Inference) -> dict[str, tensor_pb2.Tensor]:
    """Inputs of the right shapes, all a little off zero."""
    request = inference_pb2.GetActSignatureRequest(policy_id=SHORT)
    signature = await inference.stub.GetActSignature(request)
    return {
        spec.name: tensor_pb2.Tensor(shape=spec.shape, values=[0.1] * int(np.prod(list(spec.shape))))
        for spec in signature.data
    }


async def _refusal(awaitable: Any) -> TabrlError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return error_from(caught.value)


async def _evaluated(
    inference: _Inference, **fields: Any
) -> tuple[list[inference_pb2.EpisodeResult], inference_pb2.EvaluationSummary]:
    request = inference_pb2.EvaluateRequest(policy_id=SHORT, **fields)
    responses = [response async for response in inference.stub.Evaluate(request)]
    return [response.episode for response in responses[:-1]], responses[-1].summary


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mujoco_versions": VersionRange("9.0.0", "10.0.0")}, "mujoco_versions"),
        ({"specification": 2}, "manifest"),
    ],
)
async def test_a_controller_that_was_not_made_for_this_machine_is_refused_by_name(
    inference: _Inference, built: BuiltController, change: dict[str, Any], field: str
) -> None:
    manifest = manifest_json.dumps(replace(built.manifest, **change)).encode()
    inference.exporter.policies["other"] = exporter_pb2.Policy(
        policy_id="other",
        controller=inference.artifacts.put(built.onnx),
        manifest=inference.artifacts.put(manifest, "application/json"),
    )

    error = await _refusal(anext(aiter(inference.stub.Evaluate(inference_pb2.EvaluateRequest(policy_id="other")))))

    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CONTROLLER_INCOMPATIBLE")
    assert error.metadata["field"] == field


async def test_the_signature_is_what_act_takes(inference: _Inference, built: BuiltController) -> None:
    request = inference_pb2.GetActSignatureRequest(policy_id=SHORT)
    signature = await inference.stub.GetActSignature(request)

    assert signature.control_period_secs == pytest.approx(0.01)
    assert {spec.name for spec in signature.data} <= {given.tensor.name for given in built.manifest.inputs}
    assert {spec.name for spec in signature.carry} == set(signature.initial_carry)
    carry = dict(signature.initial_carry)
    act = inference_pb2.ActRequest(policy_id=SHORT, data=await _data(inference), carry=carry)
    assert len((await inference.stub.Act(act)).ctrl) == 1


async def test_act_decides_as_the_controller_itself(inference: _Inference, built: BuiltController) -> None:
    controller = player.Controller(built.onnx, built.manifest)
    data = await _data(inference)
    values = {name: np.array(tensor.values, np.float32).reshape(tuple(tensor.shape)) for name, tensor in data.items()}
    first = controller.tick(values, controller.initial_carry())
    second = controller.tick(values, first.carry)

    begun = await inference.stub.Act(inference_pb2.ActRequest(policy_id=SHORT, data=data))
    request = inference_pb2.ActRequest(policy_id=SHORT, data=data, carry=begun.carry)
    gone_on = await inference.stub.Act(request)

    assert list(begun.ctrl) == pytest.approx(first.ctrl.tolist())
    assert begun.reward == 0.0
    assert gone_on.reward == pytest.approx(second.reward)
    assert gone_on.reward > 0.0
    assert dict(gone_on.terms) == pytest.approx(second.terms)
    assert list(gone_on.ctrl) == pytest.approx(second.ctrl.tolist())
    assert set(gone_on.carry) == set(second.carry)


async def test_every_wrong_input_is_named(inference: _Inference) -> None:
    data = await _data(inference)
    missing = min(data)
    del data[missing]
    data["data.nonsense"] = _tensor(1.0)
    carry = {"controller/tick": _tensor(0.0, 0.0)}

    request = inference_pb2.ActRequest(policy_id=SHORT, data=data, carry=carry)
    error = await _refusal(inference.stub.Act(request))

    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "INVALID_FIELD"
    described = dict(error.fields)
    assert described[f'data["{missing}"]'].startswith("is missing; expected shape")
    assert described['data["data.nonsense"]'].startswith("is no input of this policy; it takes")
    assert described['carry["controller/tick"].shape'] == "is [2], expected []"


async def test_a_shape_that_does_not_fit_its_values_is_named(inference: _Inference) -> None:
    data = await _data(inference)
    name = min(data)
    del data[name].values[:]
    error = await _refusal(inference.stub.Act(inference_pb2.ActRequest(policy_id=SHORT, data=data)))
    assert error.fields[0][0] == f'data["{name}"].values'
    assert error.fields[0][1].startswith("has 0 elements")


async def test_an_evaluation_plays_what_the_player_plays(inference: _Inference, built: BuiltController) -> None:
    manifest = replace(built.manifest, episode_length=EPISODE_LENGTH)
    robot = player.Player(player.Controller(built.onnx, manifest), bundle.load_scene(built.scene))
    first_reset = int(np.random.default_rng(7).permutation(len(manifest.resets))[0])
    expected = sum(tick.decision.reward for tick in robot.episode(reset=first_reset))

    episodes, summary = await _evaluated(inference, episodes=3, seed=7)

    assert [episode.index for episode in episodes] == [0, 1, 2]
    assert episodes[0].episode_return == pytest.approx(expected)
    assert {episode.length for episode in episodes} == {EPISODE_LENGTH}
    assert summary.episodes == 3
    assert summary.mean_return == pytest.approx(np.mean([episode.episode_return for episode in episodes]))
    assert summary.std_return == pytest.approx(np.std([episode.episode_return for episode in episodes]))
    assert summary.mean_survived == 1.0
    for name, mean in summary.term_returns.items():
        assert mean == pytest.approx(np.mean([episode.term_returns[name] for episode in episodes]))
    assert summary.control_latency_secs > 0


async def test_a_check_judges_the_first_ten_seconds_of_each_episode(
    inference: _Inference, built: BuiltController
) -> None:
    # given an episode as long as what the check looks at, and one that is shorter
    inference.exporter.publish("whole", built, inference.artifacts, 1_200)
    manifest = replace(built.manifest, episode_length=1_200)
    model = bundle.load_scene(built.scene)
    first_reset = int(np.random.default_rng(7).permutation(len(manifest.resets))[0])
    motion = record(player.Controller(built.onnx, manifest), model, reset=first_reset)
    text = "max(abs(q('slider'))) < 100 and survived > 0.99 and mean(up('cart')) > 2"
    expected = Check(text).judged(motion)

    request = inference_pb2.EvaluateRequest(policy_id="whole", episodes=2, seed=7, check=text)
    *episodes, last = [response async for response in inference.stub.Evaluate(request)]

    checked = episodes[0].episode.checked
    assert not checked.held
    assert checked.score == pytest.approx(expected.score)
    assert dict(checked.measures) == pytest.approx(expected.sides)
    assert last.summary.checked.held == 0
    assert last.summary.checked.score == pytest.approx(np.mean([each.episode.checked.score for each in episodes]))
    assert last.summary.checked.measures["survived"] == 1.0
    _, short = await _evaluated(inference, episodes=2, check="all: max(abs(q('slider'))) < 100")
    assert short.checked.held == 2
    assert not (await _evaluated(inference, episodes=1))[1].HasField("checked")


@pytest.mark.parametrize("check", ["mean(up('nobody')) > 0", "this is no expression", "import_os() > 1"])
async def test_a_check_that_cannot_be_computed_is_named(inference: _Inference, check: str) -> None:
    error = await _refusal(_evaluated(inference, episodes=1, check=f"all: {check}"))
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields[0][0] == "check"


async def test_the_seed_decides_an_evaluation(inference: _Inference) -> None:
    one, again, other = [
        [episode.episode_return for episode in (await _evaluated(inference, seed=seed))[0]] for seed in (1, 1, 2)
    ]
    assert len(one) == 5
    assert one == again
    assert one != other


async def test_a_second_evaluation_is_refused_until_the_first_is_cancelled(inference: _Inference) -> None:
    endless = inference.stub.Evaluate(inference_pb2.EvaluateRequest(policy_id=LONG, episodes=1))
    reading = asyncio.ensure_future(endless.read())
    while inference.exporter.calls == 0:  # it asks for its policy once it has been let in
        await asyncio.sleep(0.01)

    error = await _refusal(_evaluated(inference, episodes=1))

    assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.reason == "TOO_MANY_REQUESTS"
    assert error.retry_after_secs is not None
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with asyncio.timeout(30):
        summary = await _evaluated_in_the_end(inference)
    assert summary.episodes == 1


async def _evaluated_in_the_end(inference: _Inference) -> inference_pb2.EvaluationSummary:
    """Evaluates as soon as it is let in: the service learns of a cancellation a moment later."""
    while True:
        try:
            return (await _evaluated(inference, episodes=1))[1]
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("method", ["Act", "GetActSignature", "Evaluate"])
async def test_an_unknown_policy_is_an_error(inference: _Inference, method: str) -> None:
    request = getattr(inference_pb2, f"{method}Request")(policy_id="nobody")
    response = getattr(inference.stub, method)(request)
    with pytest.raises(grpc.aio.AioRpcError):
        await (response.read() if method == "Evaluate" else response)
    assert inference.exporter.calls == 1


async def test_without_the_exporter_only_loaded_policies_play_on(inference: _Inference) -> None:
    data = await _data(inference)
    await inference.exporter_server.stop(None)

    still = await inference.stub.Act(inference_pb2.ActRequest(policy_id=SHORT, data=data))
    with pytest.raises(TabrlError) as caught:
        await call(
            inference.stub.Act,
            inference_pb2.ActRequest(policy_id=LONG, data=data),
            service="inference",
            timeout_secs=30,
        )

    assert len(still.ctrl) == 1
    assert caught.value.reason == "SERVICE_UNAVAILABLE"
    assert caught.value.metadata["service"] == "exporter"


async def test_the_policies_used_last_are_kept(inference: _Inference, built: BuiltController) -> None:
    inference.exporter.publish("third", built, inference.artifacts, EPISODE_LENGTH)
    for policy_id in (SHORT, LONG, SHORT, "third", SHORT, LONG):
        await inference.stub.GetActSignature(inference_pb2.GetActSignatureRequest(policy_id=policy_id))
    assert inference.exporter.calls == 4  # only `long` had to be loaded twice


async def test_callers_at_once_share_the_loading_of_a_policy(inference: _Inference) -> None:
    request = inference_pb2.GetActSignatureRequest(policy_id=SHORT)
    await asyncio.gather(*(inference.stub.GetActSignature(request) for _ in range(8)))
    assert inference.exporter.calls == 1


async def test_an_idle_service_has_loaded_no_simulator(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
from tabrl_chassis.service import started
from tabrl_inference.service import SERVICE, Config

async def main():
    async with started(SERVICE, Config(data=Path({str(tmp_path)!r}))) as running:
        assert running.context.health.serving
asyncio.run(main())
print(sorted({{"jax", "mujoco", "onnxruntime", "mujoco_playground", "brax", "litellm"}} & set(sys.modules)))
"""
    child = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert child.stdout.splitlines()[-1] == "[]"
