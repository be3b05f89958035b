"""Policies as files: they leave for robots and people, come back, and are refused where they are not what they say."""

from __future__ import annotations

import io
import urllib.request
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import pytest
from google.protobuf import json_format
from playwright.sync_api import Download, Locator, Page, expect
from tabrl.exporter.v1 import exporter_pb2, manifest_pb2, sharing_pb2
from tabrl_cli.connection import Connection

from tests.e2e.browser_tab import Tab
from tests.e2e.registry_steps import register, version_on
from tests.e2e.trained import ENVIRONMENT, PROMPT, Trained, publish_untrained
from tests.stack.running_stack import RunningStack

PACKING_SECS: Final = 300.0


@pytest.fixture(scope="module")
def from_elsewhere(connection: Connection, stack: RunningStack) -> bytes:
    """The file of a policy that is not here; it came about here, and was deleted."""
    policy = publish_untrained(connection, stack.data / "artifacts", seed=81)
    content = _shared(connection, policy.policy_id)
    connection.call(connection.exporter.DeletePolicy, exporter_pb2.DeletePolicyRequest(policy_id=policy.policy_id))
    return content


def test_a_policy_leaves_as_files_that_are_what_they_say(person: Tab, trained: Trained, connection: Connection) -> None:
    page = person.page
    # given a version
    register(connection, "pole-to-take", trained.policy_ids[1])
    person.open("/?view=policies&name=pole-to-take")
    take = page.get_by_role("region", name="Take it with you")

    # when it is taken as a file to share, then that is a zip with all that a player needs
    (shared,) = _downloads(person, take, "Share file")
    assert shared.suggested_filename.endswith(".tabrl")
    with zipfile.ZipFile(shared.path()) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        manifest = json_format.Parse(archive.read("manifest.json"), manifest_pb2.ControllerManifest())
    assert {"controller.onnx", "scene/scene.xml", "MODEL_CARD.md"} <= set(names)
    assert manifest.environment_id == ENVIRONMENT

    # when it is taken as a web page, then that is a folder with a page in it
    (packed,) = _downloads(person, take, "Web page")
    with zipfile.ZipFile(packed.path()) as archive:
        assert archive.testzip() is None
        assert any(name.endswith("/index.html") for name in archive.namelist())

    # when it is taken for robots, then the controller comes with its manifest, and onnxruntime runs it
    beside, onnx = _downloads(person, take, "Controller (ONNX)", count=2)
    assert beside.suggested_filename == onnx.suggested_filename.replace(".onnx", ".manifest.json")
    json_format.Parse(Path(beside.path()).read_bytes(), manifest)
    assert manifest.environment_id == ENVIRONMENT
    _runs(onnx)

    # and as plain arrays, and as the network alone
    take.get_by_text("Other forms").click()
    person.screenshot("policies-take-away")
    (weights,) = _downloads(person, take, "Weights", exact=True)
    with zipfile.ZipFile(weights.path()) as archive, archive.open("weights.npz") as file:
        arrays = np.load(io.BytesIO(file.read()))
        assert arrays["layer0/kernel"].ndim == 2
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files)
    (network,) = _downloads(person, take, "Network alone")
    _runs(network)
    assert person.problems == []


def test_a_shared_policy_comes_back_and_says_that_it_came_in_a_file(person: Tab, from_elsewhere: bytes) -> None:
    page = person.page
    # given the list of policies
    person.open("/?view=policies")

    # when a shared file is chosen
    _bring(page, "pole.tabrl", from_elsewhere)

    # then the page says what came, and it can take a name at once
    imported = page.get_by_role("status").filter(has_text="Imported: Untrained, seed 81")
    imported.get_by_role("button", name="Register as…").click()
    imported.get_by_label("Name").fill("pole-from-elsewhere")
    person.screenshot("policies-imported")
    imported.get_by_role("button", name="Register", exact=True).click()
    imported.get_by_role("link", name="pole-from-elsewhere, version 1").click()

    # then it is marked as one from elsewhere, and what its file claims is told as a claim
    version = version_on(page, 1)
    expect(version).to_contain_text("imported")
    expect(version).to_contain_text("Exact, its file says")
    origin = version.get_by_role("region", name="Where it comes from")
    expect(origin).to_contain_text("where it was made")
    picture = page.get_by_role("region", name="Lineage as a picture")
    expect(picture).to_contain_text("Imported file")
    person.screenshot("policies-from-elsewhere")

    # and it drives the robot here
    version.get_by_role("link", name="Play").click()
    person.until_driven()
    assert person.problems == []


def test_a_shared_policy_that_never_left_is_said_to_be_here_already(
    person: Tab, trained: Trained, connection: Connection
) -> None:
    # when a person brings the file of a policy that was trained here
    person.open("/?view=policies")
    _bring(person.page, "pole.tabrl", _shared(connection, trained.policy_ids[1]))

    # then the page says that it is here already, and is no second one
    expect(person.page.get_by_role("status").filter(has_text=f"Here already: {PROMPT}")).to_be_visible()
    assert person.problems == []


def test_a_file_that_is_no_shared_policy_is_refused_by_what_is_wrong(person: Tab, from_elsewhere: bytes) -> None:
    page = person.page
    person.open("/?view=policies")
    refusal = page.get_by_role("alert")
    for kind, name, content, said in (
        ("damaged", "pole.tabrl", _with_a_changed_byte(from_elsewhere), "refused"),
        ("cut-short", "pole.tabrl", from_elsewhere[: len(from_elsewhere) // 2], "refused"),
        ("no-zip", "pole.tabrl", b"Dear robot, please balance the pole.", "refused"),
        ("another-kind", "pole.zip", from_elsewhere, "pole.zip is no shared policy"),
        ("empty", "pole.tabrl", b"", "pole.tabrl is empty"),
    ):
        # when a person brings it
        _bring(page, name, content)

        # then the page says what is wrong, and nothing came of it
        expect(refusal).to_contain_text(said)
        expect(page.get_by_role("status").filter(has_text="Imported")).to_have_count(0)
        person.screenshot(f"policies-refused-{kind}")

        # and the remark can be put away, and another file chosen
        refusal.get_by_role("button", name="Dismiss").click()
        expect(refusal).to_have_count(0)
        expect(page.get_by_label("Import a policy")).to_be_enabled()


def _bring(page: Page, name: str, content: bytes) -> None:
    """Chooses a file for the import."""
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.get_by_label("Import a policy").set_input_files(file)  # type: ignore[arg-type]


def _shared(connection: Connection, policy_id: str) -> bytes:
    """A policy as the file that people share."""
    asked = sharing_pb2.CreateBundleRequest(policy_id=policy_id)
    made = connection.call(connection.sharing.CreateBundle, asked, PACKING_SECS)
    with urllib.request.urlopen(connection.url + made.download_path, timeout=60) as answer:
        content: bytes = answer.read()
    return content


def _with_a_changed_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _downloads(person: Tab, place: Locator, button: str, *, count: int = 1, exact: bool = False) -> list[Download]:
    """What the browser saves after a click, by name: it may save a small file before a large one."""
    saved: list[Download] = []

    def save(download: Download) -> None:
        saved.append(download)

    person.page.on("download", save)
    place.get_by_role("button", name=button, exact=exact).click()
    person.until(lambda: len(saved) >= count, what=f"{count} files")
    person.page.remove_listener("download", save)
    expect(place.get_by_role("button", name=button, exact=exact)).to_be_enabled()
    return sorted(saved, key=lambda download: download.suggested_filename)


def _runs(download: Download) -> None:
    """Requires that a graph gives numbers for zeros."""
    session = onnxruntime.InferenceSession(download.path(), providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(bool)": bool}
    zeros = {each.name: np.zeros(each.shape, kinds[each.type]) for each in session.get_inputs()}
    outputs = session.run(None, zeros)
    assert outputs
    assert all(np.isfinite(each).all() for each in outputs)
