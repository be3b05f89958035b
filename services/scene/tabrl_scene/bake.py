"""Bakes the catalogue: loads every environment whose robot is here once, describes it and writes its scene as files.

    python -m tabrl_scene.bake --data .data

Returns at once when the data folder holds this version's catalogue. It is a process of its own for it imports jax.
"""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tabrl_chassis.processes import die_with_parent
from tabrl_simulation import environments

from tabrl_scene.catalogue import (
    BakedEnvironment,
    bakeable,
    catalogue_path,
    read_catalogue,
    read_previous,
    write_catalogue,
)
from tabrl_scene.messages import environment_message

__all__ = ["bake_environment", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Bakes what is missing, saying how far it is, one line an environment."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_scene.bake", description=__doc__)
    default = os.environ.get("TABRL_DATA", ".data")
    parser.add_argument("--data", type=Path, default=default, help="data folder (TABRL_DATA)")
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one ends")
    options = parser.parse_args(arguments)
    if options.with_parent:
        die_with_parent()
    path = catalogue_path(options.data)
    if read_catalogue(path) is None:
        # A graphics card would only be woken up for nothing.
        os.environ["JAX_PLATFORMS"] = "cpu"
        _quieten()
        print("Preparing the environments: loading the simulator", flush=True)
        write_catalogue(path, _baked(read_previous(options.data)))


def bake_environment(environment_id: str) -> BakedEnvironment:
    """Loads an environment and returns all that the catalogue holds of it.

    Raises:
        UnknownEnvironment: there is no such environment.
        MissingRobot: its robot is not installed.
        BundleError: its scene cannot be written as MJCF.
    """
    from tabrl_simulation import arrays, bundle, structure

    environment = environments.load(environment_id)
    files = bundle.scene_bundle(environment)
    robot = structure.describe(environment.model)
    message = environment_message(
        environment, robot, arrays.shapes(environment.model), category=environments.CATEGORY[environment_id]
    )
    return BakedEnvironment(message, files.xml.encode(), files.assets)


def _baked(previous: Mapping[str, BakedEnvironment]) -> Iterator[BakedEnvironment]:
    names = bakeable()
    for number, environment_id in enumerate(names, start=1):
        yield previous.get(environment_id) or bake_environment(environment_id)
        print(f"Preparing the environments: {number} of {len(names)}, {environment_id}", flush=True)


def _quieten() -> None:
    """Silences what the simulator's packages say of themselves and of their models, which helps nobody who waits."""
    import mujoco

    warnings.simplefilter("ignore")
    mujoco.set_mju_user_warning(lambda _text: None)
    logging.disable(logging.WARNING)


if __name__ == "__main__":
    main()
