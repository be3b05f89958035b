"""Licences as the files beside environments and robots say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabrl_simulation import licences, robots


def test_control_suite_stands_under_playgrounds_licence() -> None:
    """Given an environment whose model comes with Playground, then one licence covers both."""
    (licence,) = licences.licences_of("CartpoleBalance")
    assert licence.spdx_id == "Apache-2.0"
    assert "Apache License" in licence.text


def test_robot_brings_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Given a robot of Menagerie, then its own file says which licence it is; without a file it is not known."""
    monkeypatch.setattr(robots, "folder", lambda: tmp_path)
    assert [each.spdx_id for each in licences.licences_of("Go1JoystickFlatTerrain")] == ["Apache-2.0", licences.UNKNOWN]
    (tmp_path / "unitree_go1").mkdir()
    (tmp_path / "unitree_go1" / "LICENSE").write_text("Neither the name of the copyright holder")
    assert [each.spdx_id for each in licences.licences_of("Go1JoystickFlatTerrain")] == ["Apache-2.0", "BSD-3-Clause"]


def test_upload_names_none() -> None:
    """Given a scene that somebody uploaded, then nothing is said of its licence."""
    assert [each.spdx_id for each in licences.licences_of("custom-1234")] == [licences.UNKNOWN]
