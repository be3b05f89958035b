"""Bundles that are right in themselves, and cannot be played all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tabrl.play import forging
from tabrl.play.bundle import BundleError, read_bundle, write_bundle
from tabrl.play.sample import sample_contents, sample_controller
from tabrl.play.trial import try_out


def _with_manifest(change: Callable[[dict[str, Any]], Any]) -> bytes:
    files = forging.sample_files()
    manifest = json.loads(files["manifest.json"])
    change(manifest)
    return forging.forged({**files, "manifest.json": json.dumps(manifest).encode()})


def _dividing_by_nothing() -> bytes:
    model = sample_controller()
    model.graph.node[6].op_type = "Div"  # reward = high / off
    model.graph.node[6].input[:] = ["off", "nothing"]
    nothing = model.graph.initializer.add(name="nothing", data_type=1)
    nothing.raw_data = np.float32(0).tobytes()
    return forging.with_controller(model.SerializeToString())


def _scene(before: str, after: str) -> bytes:
    xml = forging.sample_files()["scene/scene.xml"].decode()
    assert before in xml
    return forging.with_scene(xml.replace(before, after).encode(), {})


def test_an_honest_bundle_passes() -> None:
    try_out(read_bundle(write_bundle(sample_contents())))


@pytest.mark.parametrize(
    ("what", "rule", "content"),
    [
        ("a scene that MuJoCo refuses", "TRIAL_SCENE", _scene('joint="hinge"', 'joint="none"')),
        ("two actuators for one ctrl", "TRIAL_SIZES", _scene("<actuator>", '<actuator><motor joint="hinge"/>')),
        ("a robot with more joints", "TRIAL_SIZES", _scene('axis="0 1 0"', 'axis="0 1 0"/><joint axis="1 0 0"')),
        (
            "an array that mjData has not",
            "TRIAL_SIZES",
            _with_manifest(lambda manifest: manifest["inputs"][0].update(field="nowhere")),
        ),
        ("a reward that is not finite", "TRIAL_NOT_FINITE", _dividing_by_nothing()),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(what: str, rule: str, content: bytes) -> None:
    bundle = read_bundle(content)
    with pytest.raises(BundleError) as caught:
        try_out(bundle)
    assert caught.value.rule == rule, what


def test_a_bundle_for_another_mujoco_is_refused_for_its_manifest() -> None:
    bundle = read_bundle(
        _with_manifest(lambda manifest: manifest.update(mujocoVersions={"minimum": "99.0.0", "below": ""}))
    )
    with pytest.raises(BundleError) as caught:
        try_out(bundle)
    assert (caught.value.rule, caught.value.file) == ("TRIAL_SCENE", "manifest.json")
    assert "made for MuJoCo 99.0.0" in str(caught.value)
