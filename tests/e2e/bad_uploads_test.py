"""Files that are no robot: what is wrong with each is said where it was dropped, and another may follow."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import pytest
from playwright.sync_api import expect

from tests.e2e.browser_tab import Tab

SCENE = '<mujoco><worldbody><geom type="sphere" size=".1"/></worldbody></mujoco>'


def packed(files: Mapping[str, str | bytes]) -> bytes:
    """A zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


@pytest.mark.parametrize(
    ("file_name", "content", "said"),
    [
        pytest.param("robot.pdf", b"%PDF-1.7", ["zip"], id="another-kind"),
        pytest.param("robot.zip", b"this is no archive", ["robot.zip is no zip"], id="no-zip"),
        pytest.param("robot.zip", b"", ["robot.zip is empty"], id="empty"),
        pytest.param(
            "robot.zip",
            packed({"scene.xml": SCENE, "zeros.bin": bytes(64 << 20)}),
            ["zeros.bin", "200 times"],
            id="bomb",
        ),
        pytest.param(
            "robot.zip",
            packed({"scene.xml": SCENE, "../../etc/passwd": "root"}),
            ["../../etc/passwd", "leads out of the zip"],
            id="path-outside",
        ),
        pytest.param(
            "robot.zip",
            packed({"scene.xml": '<mujoco>\n  <worldbody>\n    <geom type="bowl"/>\n  </worldbody>\n</mujoco>'}),
            ["scene.xml", "line 3"],
            id="does-not-compile",
        ),
        pytest.param(
            "robot.zip",
            packed({"scene.xml": '<mujoco><asset><mesh file="trunk.stl"/></asset></mujoco>'}),
            ["trunk.stl"],
            id="mesh-missing",
        ),
    ],
)
def test_a_file_that_is_no_robot_is_refused_by_name(
    file_name: str, content: bytes, said: list[str], person: Tab
) -> None:
    # when a person brings it
    person.open()
    person.page.get_by_test_id("upload-file").set_input_files(
        {"name": file_name, "mimeType": "application/octet-stream", "buffer": content}
    )

    # then the card says what is wrong, and where
    error = person.page.get_by_test_id("upload-card").get_by_test_id("error")
    for each in said:
        expect(error).to_contain_text(each)
    person.screenshot("failure-upload")

    # and another file can be chosen at once
    expect(person.page.get_by_test_id("upload-file")).to_be_enabled()
