"""In what two policies differ."""

from __future__ import annotations

import grpc
import pytest
from tabrl.exporter.v1 import exporter_pb2, registry_pb2

from tabrl_exporter.comparing import differences
from tabrl_exporter.conftest import Rig, refused


def policy(policy_id: str = "p", **fields: object) -> exporter_pb2.Policy:
    made = exporter_pb2.Policy(policy_id=policy_id, environment_id="CartpoleBalance", **fields)  # type: ignore[arg-type]
    made.controller.size_bytes = 30_000
    return made


def told(left: exporter_pb2.Policy, right: exporter_pb2.Policy) -> list[tuple[str, str, str, float | None]]:
    return [
        (each.name, each.left, each.right, each.change if each.HasField("change") else None)
        for each in differences(left, right)
    ]


def measured(mean_return: float, survived: float = 1.0, **terms: float) -> exporter_pb2.PolicyMeasurement:
    return exporter_pb2.PolicyMeasurement(mean_return=mean_return, mean_survived=survived, term_returns=terms)


def test_what_is_the_same_is_left_out() -> None:
    left = policy("a", title="sway", measurements=[measured(1.0, up=1.0)])
    right = policy("b", title="sway", measurements=[measured(1.0, up=1.0), measured(7.0)])
    assert told(left, right) == []


def test_what_they_achieve_comes_before_what_they_are() -> None:
    left = policy(title="sway", run_id="r1", env_steps=1000, measurements=[measured(800.0, up=790.0, calm=10.0)])
    right = policy(title="stand", run_id="r2", env_steps=250_000)
    right.measurements.extend([measured(950.5, 0.5, up=780.0, calm=170.5), measured(1.0)])
    right.controller.size_bytes = 12_345
    left.parity.outputs.add(name="ctrl", max_difference=2e-6)
    left.parity.outputs.add(name="action", max_difference=1e-7)
    right.parity.outputs.add(name="ctrl", max_difference=5e-6)
    left.lineage.prompt, right.lineage.prompt = "sway gently", "stand"

    assert told(left, right) == [
        ("mean_return", "800", "950.5", 150.5),
        ("mean_survived", "1", "0.5", -0.5),
        ("term_returns.calm", "10", "170.5", 160.5),
        ("term_returns.up", "790", "780", -10.0),
        ("prompt", "sway gently", "stand", None),
        ("title", "sway", "stand", None),
        ("env_steps", "1,000", "250,000", 249_000.0),
        ("run", "r1", "r2", None),
        ("controller_bytes", "30,000", "12,345", -17_655.0),
        ("parity", "2e-06", "5e-06", pytest.approx(3e-6)),
    ]


def test_another_environment_is_told_first() -> None:
    right = policy(measurements=[measured(1.0)])
    right.environment_id = "WalkerWalk"
    assert told(policy(), right) == [
        ("environment", "CartpoleBalance", "WalkerWalk", None),
        ("mean_return", "", "1", None),
        ("mean_survived", "", "1", None),
    ]


def test_a_number_that_is_none_is_told_without_a_change() -> None:
    nan, infinite = float("nan"), float("inf")
    assert told(policy(measurements=[measured(nan, up=infinite)]), policy(measurements=[measured(1.0, up=2.0)])) == [
        ("mean_return", "nan", "1", None),
        ("term_returns.up", "inf", "2", None),
    ]
    both = policy(measurements=[measured(nan, up=-infinite)])
    assert told(both, both) == []
    assert told(both, policy(measurements=[measured(nan, up=infinite)])) == [("term_returns.up", "-inf", "inf", None)]


def test_weights_that_are_left_out_of_one_reward_are_one() -> None:
    left = policy(reward=exporter_pb2.PolicyReward(reward_id="r", program_sha256="a", weights={"up": 2.0, "calm": 1.0}))
    right = policy(reward=exporter_pb2.PolicyReward(reward_id="r", program_sha256="a", weights={"far": 4.0}))
    assert told(left, right) == [
        ("reward.weights.far", "1", "4", 3.0),
        ("reward.weights.up", "2", "1", -1.0),
    ]


def test_another_reward_has_its_own_terms() -> None:
    left = policy(reward=exporter_pb2.PolicyReward(reward_id="r1", program_sha256="a", weights={"up": 2.0}))
    right = policy(reward=exporter_pb2.PolicyReward(program_sha256="b", weights={"calm": 1.0}))
    assert told(left, right) == [
        ("reward", "r1", "b", None),
        ("reward.weights.calm", "", "1", None),
        ("reward.weights.up", "2", "", None),
    ]
    assert told(left, policy())[0] == ("reward", "r1", "", None)


async def test_both_are_returned_and_the_one_that_is_missing_is_named(rig: Rig) -> None:
    left, right = await rig.publish("a", title="sway"), await rig.publish("b", title="stand")
    request = registry_pb2.ComparePoliciesRequest(left_policy_id="a", right_policy_id="b")
    answer = await rig.registry.ComparePolicies(request)
    assert (answer.left, answer.right) == (left, right)
    assert [each.name for each in answer.differences] == ["title"]
    request.right_policy_id = "none"
    error = await refused(rig.registry.ComparePolicies, request)
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND")
    assert [field for field, _ in error.fields] == ["right_policy_id"]
