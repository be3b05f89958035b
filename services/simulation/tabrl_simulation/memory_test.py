"""What trainings took, against what is reckoned."""

import pytest

from tabrl_simulation.memory import training_memory
from tabrl_simulation.settings import Settings


@pytest.mark.parametrize(
    ("settings", "measured_mib"),
    [
        # Peaks of a process on Linux that made two updates in CheetahRun.
        ({"num_envs": 128, "unroll_length": 20, "num_minibatches": 8, "hidden_layer_sizes": (128, 128)}, 775),
        ({"num_envs": 4_096, "unroll_length": 50, "num_minibatches": 8, "hidden_layer_sizes": (128, 128)}, 1_080),
        ({"num_envs": 2_048, "unroll_length": 20, "num_minibatches": 1, "hidden_layer_sizes": (512, 512, 512)}, 2_143),
    ],
)
def test_it_is_near_to_what_was_measured(settings, measured_mib):
    needed = training_memory(Settings(env_steps=1_000, **settings), observation_size=17, action_size=6)
    assert needed.total / 2**20 == pytest.approx(measured_mib, rel=0.25)
