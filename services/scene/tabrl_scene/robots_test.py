import hashlib
import zipfile
from pathlib import Path

import pytest
from tabrl_simulation import robots as simulated

from tabrl_scene import robots

_ROBOT = "test_robot"


def write_package(folder: Path) -> Path:
    """Writes a package with one robot in it, and returns the lock that names it by its hash."""
    package = folder / "robot_of_a_test-1.0-py3-none-any.whl"
    info = "robot_of_a_test-1.0.dist-info"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(f"robot_of_a_test/mujoco/playground/assets/mujoco_menagerie/{_ROBOT}/scene.xml", "<mujoco/>")
        archive.writestr(f"robot_of_a_test/mujoco/playground/assets/mujoco_menagerie/{_ROBOT}/assets/leg.stl", b"solid")
        archive.writestr("robot_of_a_test/mujoco/myosuite/arm.xml", "<mujoco/>")
        archive.writestr("robot_of_a_test/mujoco_menagerie/../../escaped.xml", "<mujoco/>")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: robot-of-a-test\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    lock = folder / "lock.txt"
    lock.write_text(f"robot-of-a-test==1.0 --hash=sha256:{hashlib.sha256(package.read_bytes()).hexdigest()}\n")
    return lock


def installed_robot() -> Path:
    """Where the scene of that robot lies once it is installed."""
    return simulated.folder() / _ROBOT / "scene.xml"


def test_only_the_robots_are_unpacked_from_a_package_and_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache" / "robots"
    monkeypatch.setenv("TABRL_ROBOTS", str(folder))
    write_package(tmp_path)
    package = tmp_path / "robot_of_a_test-1.0-py3-none-any.whl"

    robots.unpack(package, folder)
    installed_robot().write_text("mine")
    robots.unpack(package, folder)

    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        f"{_ROBOT}/assets/leg.stl",
        f"{_ROBOT}/scene.xml",
    ]
    assert installed_robot().read_text() == "mine"
    assert sorted(path.name for path in tmp_path.rglob("*.xml")) == ["scene.xml"]
    assert [path.name for path in folder.parent.iterdir()] == ["robots"]


def test_the_lock_names_the_packages_of_the_simulation_by_hash() -> None:
    lines = Path(robots.__file__).with_name("robots.txt").read_text().splitlines()

    packages = [line.partition("==")[0] for line in lines if "==" in line]
    hashes = [line for line in lines if "--hash=sha256:" in line]

    assert packages == sorted(simulated.PACKAGES)
    assert len(hashes) == len(packages)


def test_robots_are_installed_once_all_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABRL_ROBOTS", str(tmp_path))
    every = [robot for folders in simulated.PACKAGES.values() for robot in folders]
    for robot in every[:-1]:
        (tmp_path / robot).mkdir()
    assert not robots.installed()
    (tmp_path / every[-1]).mkdir()
    assert robots.installed()
