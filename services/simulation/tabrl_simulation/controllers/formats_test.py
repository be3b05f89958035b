"""Other forms of a policy play as the controller does, and what does not is told."""

from __future__ import annotations

import ast
import functools
import io
import json
import math
import struct
import zipfile
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from tabrl.play import player
from tabrl.play.manifest import Format

from tabrl_simulation import bundle
from tabrl_simulation.checkpoint import Checkpoint, CheckpointError
from tabrl_simulation.controllers import build, formats, network, network_zip
from tabrl_simulation.controllers.formats import Form
from tabrl_simulation.controllers.untrained import untrained_checkpoint

WALKER = "WalkerWalk"


@functools.cache
def workbench() -> build.Workbench:
    return build.prepare(WALKER)


@functools.cache
def checkpoint() -> Checkpoint:
    return untrained_checkpoint(workbench().environment, hidden_layer_sizes=(64, 64))


@functools.cache
def built() -> build.BuiltController:
    return build.build_controller(workbench(), checkpoint(), None, checkpoint_sha256="c" * 64)


def published(made: build.BuiltController) -> formats.Published:
    return formats.Published(made.onnx, made.manifest, made.scene)


@functools.cache
def controller_in(form: Form) -> formats.Made:
    return formats.make_controller(form, published(built()), (workbench(), built().source))


@functools.cache
def network_in(form: Form) -> formats.Made:
    return formats.make_network(
        form, published(built()), checkpoint(), workbench().environment, checkpoint_sha256="c" * 64
    )


def policy_of(archive: bytes) -> dict[str, object]:
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        policy: dict[str, object] = json.loads(files.read("policy.json"))
        return policy


def with_policy(archive: bytes, **changes: object) -> bytes:
    """The zip with other words in its description."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as changed, zipfile.ZipFile(io.BytesIO(archive)) as files:
        changed.writestr("policy.json", json.dumps({**policy_of(archive), **changes}))
        changed.writestr("weights.npz", files.read("weights.npz"))
    return packed.getvalue()


def observations() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    size = workbench().environment.observation_size
    return np.random.default_rng(1).normal(0, 3, (50, size)).astype(np.float32)


@pytest.mark.parametrize(("form", "part_of_size", "type_of_weights"), [(Form.FP16, 0.75, 10), (Form.INT8, 0.6, 3)])
def test_a_controller_with_smaller_weights_is_fed_and_played_alike(
    form: Form, part_of_size: float, type_of_weights: int
) -> None:
    made = controller_in(form)

    # the file is smaller by its weights, and nothing that goes in or out has another type
    before, after = onnx.load_from_string(built().onnx).graph, onnx.load_from_string(made.content).graph
    assert len(made.content) < part_of_size * len(built().onnx)
    assert list(after.input) == list(before.input)
    assert list(after.output) == list(before.output)
    large = [tensor.data_type for tensor in after.initializer if np.prod(tensor.dims) >= 256]
    assert large == [type_of_weights] * 3

    # the manifest is that of the controller but for the graph's digest and its form
    assert made.manifest is not None
    assert made.manifest != built().manifest
    same = replace(made.manifest, controller_sha256=built().manifest.controller_sha256, format=Format.FP32)
    assert same == built().manifest

    # it differs a little in what it does, and in nothing else
    differences = {output.name: output for output in made.report.outputs}
    assert made.report.states >= 200
    assert 1e-5 < differences["action"].max_difference <= formats.ACTION_BOUNDS[form]
    assert differences["observation"].max_difference <= 1e-5 == differences["observation"].tolerance
    assert differences["reward"].max_difference <= 1e-5
    assert formats.acceptable(made.report)


def test_int8_is_smaller_and_further_off_than_float16() -> None:
    half, whole = controller_in(Form.FP16), controller_in(Form.INT8)
    assert len(whole.content) < len(half.content)
    action = {made.content: next(o for o in made.report.outputs if o.name == "action") for made in (half, whole)}
    assert action[whole.content].max_difference > action[half.content].max_difference


def test_a_controller_in_another_form_says_so_and_drove_the_robot() -> None:
    for form in (Form.FP16, Form.INT8):
        made = controller_in(form)
        assert made.manifest is not None
        assert made.manifest.format is Format[form.name]
        assert made.report.closed_loop is not None
        assert made.report.closed_loop.passed, made.report.closed_loop.reason
        assert len(made.report.closed_loop.episodes) == 4


def test_the_published_controller_stands_in_for_a_source_that_is_not_here() -> None:
    against_source = controller_in(Form.INT8)
    against_controller = formats.make_controller(Form.INT8, published(built()), None)

    assert against_controller.content == against_source.content
    assert (against_controller.report.jax_version, against_controller.report.states >= 200) == ("", True)
    assert against_source.report.jax_version != ""
    expected = {output.name: output.max_difference for output in against_source.report.outputs}
    for output in against_controller.report.outputs:
        assert output.max_difference == pytest.approx(expected[output.name], abs=1e-4), output.name


def test_weights_that_int8_cannot_tell_apart_are_not_acceptable() -> None:
    # Given a policy with such large weights that a step of int8 is a large step of the action
    arrays = {path: 5 * value if "policy" in path else value for path, value in checkpoint().arrays.items()}
    large = replace(checkpoint(), arrays=arrays)
    made = build.build_controller(workbench(), large, None, checkpoint_sha256="")

    report = formats.make_controller(Form.INT8, published(made), (workbench(), made.source)).report

    assert not formats.acceptable(report)
    assert "action" in {output.name for output in report.moved}
    assert not {"observation", "reward", "done"} & {output.name for output in report.moved}


def test_a_controller_whose_other_outputs_moved_is_not_acceptable() -> None:
    # Given the source of another policy of the robot, so that action and all that follows differ
    other = untrained_checkpoint(workbench().environment, seed=1, hidden_layer_sizes=(64, 64))
    source = build.build_controller(workbench(), other, None, checkpoint_sha256="").source
    assert not formats.acceptable(formats.make_controller(Form.FP16, published(built()), (workbench(), source)).report)


@pytest.mark.parametrize("form", [Form.POLICY, Form.WEIGHTS])
def test_the_network_alone_does_what_the_checkpoint_does(form: Form) -> None:
    made = network_in(form)
    assert made.manifest is None
    assert [output.name for output in made.report.outputs] == ["action", "action of the published controller"]
    assert all(output.max_difference <= output.tolerance <= 1e-3 for output in made.report.outputs)
    assert made.report.states >= 200
    assert formats.acceptable(made.report)


def test_the_network_takes_observations_as_the_controller_shows_them() -> None:
    # Given the network in a session of its own
    session = onnxruntime.InferenceSession(network_in(Form.POLICY).content)
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    environment = workbench().environment
    assert (given.name, given.type, given.shape) == ("obs", "tensor(float)", [environment.observation_size])
    assert (result.name, result.type, result.shape) == ("action", "tensor(float)", [environment.action_size])
    assert {t.data_type for t in onnx.load_from_string(network_in(Form.POLICY).content).graph.initializer} <= {
        TensorProto.FLOAT,
        TensorProto.INT64,
    }

    policy = checkpoint().policy(environment)
    again = network.network_onnx(policy, observation_size=environment.observation_size, name=environment.id)
    assert again == network_in(Form.POLICY).content  # the same every time

    # when the controller drives the robot, then the network would say the same at each tick
    controller = player.Controller(built().onnx, built().manifest)
    ticks = player.Player(controller, bundle.load_scene(built().scene)).episode()
    for _, tick in zip(range(20), ticks, strict=False):
        (action,) = session.run(["action"], {"obs": tick.decision.observation})
        np.testing.assert_allclose(action, tick.decision.action, rtol=0, atol=1e-5)


def test_the_zip_is_the_same_every_time_and_holds_arrays_by_layer() -> None:
    archive = network_in(Form.WEIGHTS).content
    assert network_zip.network_zip(checkpoint(), checkpoint_sha256="c" * 64) == archive
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        assert files.namelist() == ["policy.json", "weights.npz"]
        with np.load(io.BytesIO(files.read("weights.npz")), allow_pickle=False) as arrays:
            shapes = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    assert shapes == {
        "layer0/kernel": ("<f4", (24, 64)),
        "layer0/bias": ("<f4", (64,)),
        "layer1/kernel": ("<f4", (64, 64)),
        "layer1/bias": ("<f4", (64,)),
        "layer2/kernel": ("<f4", (64, 12)),
        "layer2/bias": ("<f4", (12,)),
        "normalizer/mean": ("<f4", (24,)),
        "normalizer/std": ("<f4", (24,)),
    }
    policy = policy_of(archive)
    assert (policy["format_version"], policy["observation_size"], policy["action_size"]) == (1, 24, 6)
    assert policy["checkpoint_sha256"] == "c" * 64


def test_the_zip_can_be_read_without_numpy() -> None:
    # Given a reader that knows services/exporter/FORMATS.md and the formats zip, JSON and npy alone
    def read(npy: bytes) -> tuple[tuple[int, ...], list[float]]:
        assert npy[:8] == b"\x93NUMPY\x01\x00"
        (length,) = struct.unpack_from("<H", npy, 8)
        header = ast.literal_eval(npy[10 : 10 + length].decode())
        assert (header["descr"], header["fortran_order"]) == ("<f4", False)
        return header["shape"], [number for (number,) in struct.iter_unpack("<f", npy[10 + length :])]

    with zipfile.ZipFile(io.BytesIO(network_in(Form.WEIGHTS).content)) as files:
        policy = json.loads(files.read("policy.json"))
        with zipfile.ZipFile(io.BytesIO(files.read("weights.npz"))) as weights:
            arrays = {name.removesuffix(".npy"): read(weights.read(name)) for name in weights.namelist()}

    # when it does what the page says
    observation = observations()[0].tolist()
    normalizer, action = policy["normalizer"], policy["action"]
    mean, std, limit = arrays[normalizer["mean"]][1], arrays[normalizer["std"]][1], normalizer["limit"]
    x = [min(max((o - m) / s, -limit), limit) for o, m, s in zip(observation, mean, std, strict=True)]
    for layer in policy["layers"]:
        (inputs, outputs), kernel = arrays[layer["kernel"]]
        bias = arrays[layer["bias"]][1]
        x = [sum(x[i] * kernel[i * outputs + o] for i in range(inputs)) + bias[o] for o in range(outputs)]
        if layer["activation"] == "swish":
            x = [value / (1 + math.exp(-value)) for value in x]
    acted = [math.tanh(value) for value in x[action["first_output"] :][: action["outputs"]]]

    # then it acts as the checkpoint's policy
    expected = checkpoint().policy(workbench().environment)(observations()[0])
    np.testing.assert_allclose(acted, expected, rtol=0, atol=1e-5)


def test_numpy_reads_one_observation_and_many_and_clips_those_far_off() -> None:
    import jax

    archive = network_in(Form.WEIGHTS).content
    policy = jax.jit(checkpoint().policy(workbench().environment))
    many = observations()
    many[0] = 1e6  # beyond the limit of normalized observations

    actions = network_zip.action_of(archive, many)

    assert actions.dtype == np.float32
    np.testing.assert_allclose(actions, policy(many), rtol=0, atol=1e-5)
    np.testing.assert_allclose(network_zip.action_of(archive, many[0]), actions[0], rtol=0, atol=1e-5)
    unclipped = with_policy(archive, normalizer={**policy_of(archive)["normalizer"], "limit": 1e9})  # type: ignore[dict-item]
    assert np.abs(network_zip.action_of(unclipped, many[0]) - actions[0]).max() > 1e-3


def test_a_network_that_is_written_wrongly_is_not_acceptable(monkeypatch: pytest.MonkeyPatch) -> None:
    right = network_zip.network_zip

    def without_activation(*arguments: Checkpoint, **options: str) -> bytes:
        archive = right(*arguments, **options)
        layers = policy_of(archive)["layers"]
        assert isinstance(layers, list)
        return with_policy(archive, layers=[{**layer, "activation": "identity"} for layer in layers])

    monkeypatch.setattr(network_zip, "network_zip", without_activation)
    report = formats.make_network(
        Form.WEIGHTS, published(built()), checkpoint(), workbench().environment, checkpoint_sha256=""
    ).report
    assert {output.name for output in report.moved} == {"action", "action of the published controller"}


@pytest.mark.parametrize("form", [Form.POLICY, Form.WEIGHTS])
def test_the_network_of_a_checkpoint_that_the_controller_was_not_made_from_is_not_acceptable(form: Form) -> None:
    # Given a controller whose manifest names the checkpoint of another policy of the robot
    other = untrained_checkpoint(workbench().environment, seed=1, hidden_layer_sizes=(64, 64))
    report = formats.make_network(
        form, published(built()), other, workbench().environment, checkpoint_sha256="c" * 64
    ).report
    assert not formats.acceptable(report)
    assert [output.name for output in report.moved] == ["action of the published controller"]


def test_an_action_that_is_held_is_compared_where_it_is_chosen() -> None:
    environment = replace(workbench().environment, action_repeat=3)
    bench = replace(workbench(), environment=environment)
    made = build.build_controller(bench, checkpoint(), None, checkpoint_sha256="c" * 64)
    report = formats.make_network(Form.POLICY, published(made), checkpoint(), environment, checkpoint_sha256="").report
    assert formats.acceptable(report), report.reason


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format_version": 2}, "of version 2"),
        ({"action": {"first_output": 0, "outputs": 6, "squash": "sine"}}, "sine"),
        ({"layers": [{"kernel": "layer0/kernel", "bias": "layer0/bias", "activation": "relu6"}]}, "relu6"),
    ],
)
def test_a_zip_that_says_something_unknown_is_refused(changes: dict[str, object], told: str) -> None:
    archive = with_policy(network_in(Form.WEIGHTS).content, **changes)
    with pytest.raises(ValueError, match=told):
        network_zip.action_of(archive, observations())


def test_a_checkpoint_without_dense_layers_has_no_zip() -> None:
    arrays = {path: value for path, value in checkpoint().arrays.items() if "hidden_1/bias" not in path}
    with pytest.raises(CheckpointError, match="hidden_1/bias"):
        network_zip.network_zip(replace(checkpoint(), arrays=arrays))
