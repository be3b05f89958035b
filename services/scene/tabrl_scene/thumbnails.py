"""Makes the thumbnails that are committed beside this module.

    MUJOCO_GL=osmesa python -m tabrl_scene.thumbnails [ENVIRONMENT ...]

Needs an OpenGL that works without a display (`MUJOCO_GL=egl` or `osmesa`).
"""

from __future__ import annotations

import argparse
import io
import os
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from tabrl_scene.descriptions import descriptions
from tabrl_scene.studio import SAMPLES, Shot, photograph

__all__ = ["MAXIMUM_BYTES", "main", "render", "shot_of"]

MAXIMUM_BYTES: Final = 12_000
_PICTURES: Final = Path(__file__).with_name("pictures")


def main(arguments: Sequence[str] | None = None) -> None:
    """Renders the named environments, or all."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_scene.thumbnails", description=__doc__)
    parser.add_argument("environments", nargs="*", help="ids; all when none is named")
    parser.add_argument("--to", type=Path, default=_PICTURES, help="folder to write to")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="pictures that each thumbnail is the mean of")
    options = parser.parse_args(arguments)
    os.environ.setdefault("MUJOCO_GL", "osmesa")
    os.environ["JAX_PLATFORMS"] = "cpu"
    for environment_id in options.environments or descriptions():
        picture = render(environment_id, samples=options.samples)
        (options.to / f"{environment_id}.webp").write_bytes(picture)
        print(f"{environment_id}: {len(picture)} bytes", flush=True)


def render(environment_id: str, *, samples: int = SAMPLES) -> bytes:
    """Returns the environment's thumbnail as WebP, of at most MAXIMUM_BYTES."""
    from PIL import Image
    from tabrl_simulation.bundle import scene_bundle
    from tabrl_simulation.environments import load

    files = scene_bundle(load(environment_id))
    image = Image.fromarray(photograph(files, shot_of(environment_id), samples=samples))
    for quality in (92, 88, 84, 80, 75, 70, 60, 50):
        encoded = io.BytesIO()
        image.save(encoded, "WEBP", quality=quality, method=6)
        if encoded.tell() <= MAXIMUM_BYTES:
            break
    return encoded.getvalue()


def shot_of(environment_id: str) -> Shot:
    """Returns how an environment is photographed: its robot's defaults, and what is its own."""
    table = tomllib.loads(resources.files(__package__).joinpath("shots.toml").read_text(encoding="utf-8"))
    robot = descriptions()[environment_id].robot
    entry = {**table.get(robot, {}), **table.get(environment_id, {})}
    for name in ("hidden", "unframed"):
        entry[name] = tuple(entry.get(name, ()))
    return Shot(**entry)


if __name__ == "__main__":
    main()
