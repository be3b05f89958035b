"""Writes each scene bundle and where native MuJoCo takes it in 100 control periods, for other loaders to compare.

    python tests/e2e/scene_references.py FOLDER

FOLDER then holds `<environment>/scene.xml`, the assets beside it, and `<environment>/reference.json`: the state to
start from, the control of each period, and `qpos` after each. In every period the control is written and the physics
stepped `physics_steps_per_control` times.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mujoco
import numpy as np
from tabrl_simulation import bundle, environments

CONTROL_PERIODS = 100


def main(folder: Path) -> None:
    """Writes all environments into the folder."""
    for environment_id in environments.DM_CONTROL:
        environment = environments.load(environment_id)
        files = bundle.scene_bundle(environment)
        here = folder / environment_id
        for path, content in {"scene.xml": files.xml.encode(), **files.assets}.items():
            (here / path).parent.mkdir(parents=True, exist_ok=True)
            (here / path).write_bytes(content)
        reference = trajectory(bundle.load_scene(files), environment.physics_steps_per_control)
        (here / "reference.json").write_text(json.dumps({"environment_id": environment_id, **reference}))
        print(environment_id)


def trajectory(model: mujoco.MjModel, physics_steps_per_control: int) -> dict[str, object]:
    """Returns a start, random controls, and the `qpos` they lead to."""
    rng = np.random.default_rng(0)
    data = mujoco.MjData(model)
    data.qvel[:] = rng.uniform(-0.1, 0.1, model.nv)
    low, high = np.where(model.actuator_ctrllimited[:, None], model.actuator_ctrlrange, [-1.0, 1.0]).T
    controls = rng.uniform(low, high, (CONTROL_PERIODS, model.nu))
    start = {"qpos": data.qpos.tolist(), "qvel": data.qvel.tolist()}
    qpos = []
    for control in controls:
        data.ctrl[:] = control
        mujoco.mj_step(model, data, physics_steps_per_control)
        qpos.append(data.qpos.tolist())
    return {
        "mujoco_version": mujoco.__version__,
        "physics_steps_per_control": physics_steps_per_control,
        **start,
        "ctrl": controls.tolist(),
        "expected_qpos": qpos,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
