"""Measures the table in `speeds`: the processor time of one control step of each environment in MuJoCo C.

`python -m tabrl_trainer.measure_speeds [ENVIRONMENT …]` prints its lines. Processor time, unlike time on the clock,
hardly depends on what else the machine does.
"""

from __future__ import annotations

import sys
import time

_MEASURING_SECS = 1.0
_STEPS_PER_ACTION = 20


def main() -> None:
    """Measure each environment named, or all of them."""
    from tabrl_simulation.environments import DM_CONTROL

    for environment_id in sys.argv[1:] or DM_CONTROL:
        print(f'    "{environment_id}": {step_usecs(environment_id):.3g},', flush=True)


def step_usecs(environment_id: str) -> float:
    """Return microseconds of processor time for one control step under random actions."""
    import mujoco
    import numpy as np
    from tabrl_simulation import environments

    environment = environments.load(environment_id)
    model, random = environment.model, np.random.default_rng(0)
    data = mujoco.MjData(model)
    steps, started = 0, time.process_time()
    while (spent := time.process_time() - started) < _MEASURING_SECS or steps == 0:
        data.ctrl[:] = random.uniform(-1.0, 1.0, model.nu)
        for _ in range(_STEPS_PER_ACTION):
            mujoco.mj_step(model, data, environment.physics_steps_per_control)
        steps += _STEPS_PER_ACTION
    return 1e6 * spent / steps


if __name__ == "__main__":
    main()
