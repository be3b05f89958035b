import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tabrl.scene.v1 import scene_pb2

from tabrl_scene import catalogue
from tabrl_scene.catalogue import BakedEnvironment


def _environment(environment_id: str, assets: dict[str, bytes] | None = None) -> BakedEnvironment:
    message = scene_pb2.Environment(summary=scene_pb2.EnvironmentSummary(environment_id=environment_id))
    message.timing.control_period_secs = 1 / 3
    return BakedEnvironment(message, b"<mujoco/>", assets or {})


def _read(path: Path) -> dict[str, BakedEnvironment] | None:
    """The catalogue with the bytes of its files."""
    found = catalogue.read_catalogue(path)
    return found and {
        name: replace(baked, assets={path: catalogue.content(asset) for path, asset in baked.assets.items()})
        for name, baked in found.items()
    }


def test_a_catalogue_reads_as_it_was_written(tmp_path: Path) -> None:
    hand = {"meshes/hand.stl": b"\x00solid", "skin.png": b"\x89"}
    environments = [_environment("Walker", {"glove.stl": hand["meshes/hand.stl"]}), _environment("Arm", hand)]
    path = tmp_path / "scene" / "catalogues" / "1"

    catalogue.write_catalogue(path, environments)

    assert _read(path) == {"Arm": environments[1], "Walker": environments[0]}
    assert len(list((path / "assets").iterdir())) == 2  # what two scenes name is kept once


def test_nothing_is_left_of_a_bake_that_failed(tmp_path: Path) -> None:
    def failing() -> Iterator[BakedEnvironment]:
        yield _environment("Walker")
        raise RuntimeError("out of memory")

    path = tmp_path / "1"
    with pytest.raises(RuntimeError, match="out of memory"):
        catalogue.write_catalogue(path, failing())

    assert catalogue.read_catalogue(path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_newer_catalogue_takes_the_place_of_older_ones(tmp_path: Path) -> None:
    catalogue.write_catalogue(tmp_path / "1", [_environment("Walker")])
    catalogue.write_catalogue(tmp_path / "2", [_environment("Arm")])
    assert [path.name for path in tmp_path.iterdir()] == ["2"]


def test_baking_the_same_catalogue_twice_at_once_keeps_one(tmp_path: Path) -> None:
    catalogue.write_catalogue(tmp_path / "1", [_environment("Walker")])
    catalogue.write_catalogue(tmp_path / "1", [_environment("Walker")])
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def _damage_json(path: Path) -> None:
    (path / "environments" / "Walker" / "environment.json").write_text("{")


def _empty_file(path: Path) -> None:
    (path / "environments" / "Walker" / "scene.xml").write_bytes(b"")


def _lose_environment(path: Path) -> None:
    shutil.rmtree(path / "environments" / "Walker")


def _lose_everything(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def _put_file_instead(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("")


@pytest.mark.parametrize("damage", [_damage_json, _empty_file, _lose_environment, _lose_everything, _put_file_instead])
def test_a_damaged_catalogue_counts_as_none_and_the_next_bake_replaces_it(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "1"
    environments = [_environment("Arm"), _environment("Walker")]
    catalogue.write_catalogue(path, environments)

    damage(path)
    damaged = catalogue.read_catalogue(path)
    catalogue.write_catalogue(path, environments)

    assert damaged is None
    assert _read(path) == {"Arm": environments[0], "Walker": environments[1]}
    assert list(tmp_path.iterdir()) == [path]


def test_a_catalogue_of_nothing_counts_as_none(tmp_path: Path) -> None:
    catalogue.write_catalogue(tmp_path / "1", [])
    assert catalogue.read_catalogue(tmp_path / "1") is None


def test_what_a_killed_bake_left_is_swept_but_not_what_another_one_writes(tmp_path: Path) -> None:
    (tmp_path / ".baking-killed" / "Walker").mkdir(parents=True)

    def baking() -> Iterator[BakedEnvironment]:
        # a second bake begins and ends while this one is at work
        catalogue.write_catalogue(tmp_path / "1", [_environment("Walker")])
        assert not (tmp_path / ".baking-killed").exists()
        yield _environment("Arm")

    catalogue.write_catalogue(tmp_path / "2", baking())

    assert _read(tmp_path / "2") == {"Arm": _environment("Arm")}
    assert [path.name for path in tmp_path.iterdir()] == ["2"]


def test_a_missing_catalogue_is_none(tmp_path: Path) -> None:
    assert catalogue.read_catalogue(tmp_path / "none") is None
