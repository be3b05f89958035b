"""Policies are measured by the Inference service, and what was measured stays with them."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from tabrl.exporter.v1 import exporter_pb2, registry_pb2
from tabrl_chassis.errors import TabrlError, invalid_field

from tabrl_exporter import policies
from tabrl_exporter.conftest import Rig, refused

pytestmark = pytest.mark.asyncio


async def measure(rig: Rig, **asked: object) -> exporter_pb2.PolicyMeasurement:
    request = registry_pb2.MeasurePolicyRequest(policy_id="p1", **asked)  # type: ignore[arg-type]
    return (await rig.registry.MeasurePolicy(request)).measurement


async def kept(rig: Rig) -> list[exporter_pb2.PolicyMeasurement]:
    return list((await rig.exporter.GetPolicy(exporter_pb2.GetPolicyRequest(policy_id="p1"))).policy.measurements)


async def test_what_is_measured_stays_with_the_policy(rig: Rig) -> None:
    await rig.publish("p1")

    measured = await measure(rig, episodes=3, seed=7, check=" mean(up('pole')) > 0.9 ")

    assert (measured.episodes, measured.seed, measured.mean_return, measured.std_return) == (3, 7, 17.0, 1.5)
    assert (measured.mean_survived, dict(measured.term_returns)) == (0.75, {"upright": 3.0})
    assert (measured.check, measured.check_held) == ("mean(up('pole')) > 0.9", 2)
    assert measured.HasField("measure_time")
    assert await kept(rig) == [measured]


async def test_without_a_number_five_episodes_are_played(rig: Rig) -> None:
    await rig.publish("p1")
    assert (await measure(rig)).episodes == 5
    (asked,) = rig.inference.asked
    assert (asked.policy_id, asked.episodes, asked.check) == ("p1", 5, "")


async def test_the_newest_ten_are_kept(rig: Rig) -> None:
    await rig.publish("p1")
    for seed in range(12):
        await measure(rig, seed=seed)
    assert [each.seed for each in await kept(rig)] == list(range(11, 1, -1))


async def test_measurements_at_once_are_all_kept(shared_rig: Rig) -> None:
    await shared_rig.publish("p1")
    await asyncio.gather(*(measure(shared_rig, seed=seed) for seed in range(8)))
    assert sorted(each.seed for each in await kept(shared_rig)) == list(range(8))


async def test_what_inference_refuses_is_refused_and_nothing_is_kept(rig: Rig) -> None:
    await rig.publish("p1")
    request = registry_pb2.MeasurePolicyRequest(policy_id="p1", check="nonsense(")

    rig.inference.refusal = invalid_field("check", "is no expression")
    error = await refused(rig.registry.MeasurePolicy, request)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert [field for field, _ in error.fields] == ["check"]

    busy = TabrlError(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS", "busy", retry_after_secs=2.0)
    rig.inference.refusal = busy
    error = await refused(rig.registry.MeasurePolicy, request)
    assert (error.reason, error.retry_after_secs) == ("TOO_MANY_REQUESTS", 2.0)

    rig.inference.refusal, rig.inference.says_summary = None, False
    assert (await refused(rig.registry.MeasurePolicy, request)).reason == "SERVICE_UNAVAILABLE"
    assert await kept(rig) == []


async def test_a_policy_that_is_not_there_is_not_played(rig: Rig) -> None:
    error = await refused(rig.registry.MeasurePolicy, registry_pb2.MeasurePolicyRequest(policy_id="none"))
    assert error.reason == "POLICY_NOT_FOUND"
    assert rig.inference.asked == []


async def test_what_was_measured_of_a_policy_that_was_deleted_meanwhile_is_said_to_be_lost(rig: Rig) -> None:
    measurement = exporter_pb2.PolicyMeasurement(episodes=1)
    with pytest.raises(TabrlError) as caught:
        await rig.database.write(lambda session: policies.add_measurement(session, "p1", measurement))
    assert caught.value.reason == "POLICY_NOT_FOUND"
