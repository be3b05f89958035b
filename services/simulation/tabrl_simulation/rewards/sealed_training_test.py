"""A sealed reward is what training trains for."""

from tabrl_simulation import environments
from tabrl_simulation.rewards.container import ProgramHeader, pack
from tabrl_simulation.rewards.from_model import robot_of
from tabrl_simulation.rewards.program import RewardProgram
from tabrl_simulation.rewards.tracing import trace
from tabrl_simulation.settings import Settings
from tabrl_simulation.training import train

SOURCE = """def reward(state, action):
    return {
        "upright": 0.5 * (1.0 + state.up("pole_1")),
        "place": near(state.joint_position("slider"), -0.5, 1.0),
        "effort": state.effort(),
    }
"""


def test_training_accepts_a_sealed_reward_and_reports_its_terms():
    # given a reward in its container, when a policy is trained on it for a moment, then its terms are measured
    environment = environments.load("CartpoleBalance")
    robot = robot_of(environment)
    traced = trace(SOURCE, robot)
    inputs = {name: robot.arrays[name] for name in traced.inputs}
    identity = (environment.id, environment.fingerprint)
    header = ProgramHeader(*identity, inputs, robot.action_size, traced.uses_action, traced.terms)
    program = RewardProgram.from_bytes(pack(header, traced.exported))
    measured, checkpoints = [], []
    settings = Settings(env_steps=2_560, num_envs=32, unroll_length=20, num_minibatches=4, hidden_layer_sizes=(16,))
    train(
        environment,
        settings,
        reward=program,
        weights={"effort": -0.1},
        metrics_every_secs=0.0,
        on_metrics=measured.append,
        on_checkpoint=checkpoints.append,
    )
    assert checkpoints[-1].reward_program_sha256 == program.sha256
    assert measured
    assert set(measured[-1].term_returns) <= {"upright", "place", "effort"}
