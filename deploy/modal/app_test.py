"""The app as it is deployed: what its image holds, and what its function asks for."""

import importlib.util
import re
from pathlib import Path

from packaging.requirements import Requirement
from tabrl_trainer.modal_cloud import names

WORKSPACE = Path(__file__).resolve().parents[2]


def locked(name: str) -> dict[str, str]:
    """Return the version of each package in a lock that is for this Python on this system, as the image's are."""
    lines = (WORKSPACE / "deploy" / "locks" / f"{name}.txt").read_text().splitlines()
    packages = [Requirement(line.removesuffix(" \\")) for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return {
        package.name: str(package.specifier)
        for package in packages
        if package.marker is None or package.marker.evaluate()
    }


def test_the_image_has_the_trainers_packages_in_their_versions_and_cuda_but_no_tensorflow():
    image, trainer = locked("modal"), locked("trainer")
    assert {name: version for name, version in image.items() if name in trainer} == {
        name: version for name, version in trainer.items() if name in image
    }
    assert {"jax", "jaxlib", "brax", "mujoco", "modal", "jax-cuda12-plugin", "nvidia-cudnn-cu12"} <= image.keys()
    assert image["jax-cuda12-plugin"] == image["jax"]
    assert not {name for name in image if name.startswith(("tensorflow", "torch"))}


def test_every_package_of_the_image_is_pinned_by_hash():
    text = (WORKSPACE / "deploy" / "locks" / "modal.txt").read_text()
    requirements = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(requirements) > 100
    assert not [requirement for requirement in requirements if "--hash=sha256:" not in requirement]


def test_the_function_is_the_one_that_the_trainer_calls():
    spec = importlib.util.spec_from_file_location("app", Path(__file__).with_name("app.py"))
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    assert (app.app.name, repr(app.train_v1)) == (names.APP, f"Function({names.FUNCTION})")
