"""What a policy came from, and what came from it."""

from __future__ import annotations

import pytest
from tabrl.exporter.v1 import exporter_pb2, manifest_pb2, registry_pb2

from tabrl_exporter.conftest import Rig, refused

pytestmark = pytest.mark.asyncio

Edge = tuple[tuple[str, str], tuple[str, str]]


async def lineage(rig: Rig, policy_id: str) -> tuple[list[tuple[str, str]], set[Edge]]:
    """Returns nodes and edges by kind and id."""
    answer = await rig.registry.GetLineage(registry_pb2.GetLineageRequest(policy_id=policy_id))
    names = [
        (registry_pb2.LineageKind.Name(node.kind).removeprefix("LINEAGE_KIND_").lower(), node.id)
        for node in answer.nodes
    ]
    assert len(set(names)) == len(names)
    return names, {(names[edge.source], names[edge.target]) for edge in answer.edges}


async def publish(rig: Rig, name: str, *, parent: str = "", prompt: str = "", reward: str = "") -> None:
    """Publishes the policy of a run's checkpoint, all named alike."""
    policy = exporter_pb2.Policy(run_id=f"run-{name}", checkpoint_sha256=f"checkpoint-{name}")
    policy.lineage.CopyFrom(
        manifest_pb2.ControllerLineage(
            run_id=f"run-{name}", parent_checkpoint_sha256=f"checkpoint-{parent}" if parent else "", prompt=prompt
        )
    )
    if reward:
        policy.reward.program_sha256 = reward
        policy.reward.reward_id = f"id-{reward}"
    fields = {field.name: value for field, value in policy.ListFields()}
    await rig.publish(name, title=f"title of {name}", **fields)


async def test_a_policy_comes_from_a_checkpoint_of_a_run_for_a_reward(rig: Rig) -> None:
    await publish(rig, "p", prompt="sway gently", reward="program")
    nodes, edges = await lineage(rig, "p")
    policy, checkpoint, run = ("policy", "p"), ("checkpoint", "checkpoint-p"), ("run", "run-p")
    environment, reward = ("environment", "CartpoleBalance"), ("reward", "program")
    assert nodes[0] == policy
    assert edges == {
        (checkpoint, policy),
        (run, checkpoint),
        (environment, run),
        (reward, run),
        (("prompt", "sway gently"), reward),
    }
    answer = await rig.registry.GetLineage(registry_pb2.GetLineageRequest(policy_id="p"))
    assert {node.id: node.title for node in answer.nodes if node.title} == {"p": "title of p", "program": "id-program"}


async def test_a_lineage_goes_up_from_checkpoint_to_checkpoint_and_down_again(rig: Rig) -> None:
    # Given a policy that was trained on twice, one time after the other, and a third time beside
    await publish(rig, "first", prompt="walk", reward="walking")
    await publish(rig, "second", parent="first", prompt="walk slowly")
    await publish(rig, "third", parent="second")
    await publish(rig, "other", parent="first")
    await publish(rig, "stranger")

    # when the lineage of the one in the middle is asked for
    nodes, edges = await lineage(rig, "second")

    # then what it came from is all there, and what came from it, and nothing else
    assert nodes[0] == ("policy", "second")
    kinds = {kind: sorted(name for each, name in nodes if each == kind) for kind, _ in nodes}
    assert kinds["policy"] == ["first", "second", "third"]
    assert kinds["prompt"] == ["walk", "walk slowly"]
    assert kinds["reward"] == ["walking"]
    assert {
        (("checkpoint", "checkpoint-first"), ("run", "run-second")),
        (("checkpoint", "checkpoint-first"), ("policy", "first")),
        (("run", "run-first"), ("checkpoint", "checkpoint-first")),
        (("checkpoint", "checkpoint-second"), ("run", "run-third")),
        (("checkpoint", "checkpoint-third"), ("policy", "third")),
        (("prompt", "walk slowly"), ("run", "run-second")),
    } <= edges

    # and from the first one all that came of it, also by way of others
    nodes, _ = await lineage(rig, "first")
    assert {name for kind, name in nodes if kind == "policy"} == {"first", "second", "third", "other"}


async def test_a_checkpoint_of_which_no_policy_is_on_record_ends_the_way_up(rig: Rig) -> None:
    await publish(rig, "p", parent="lost")
    nodes, edges = await lineage(rig, "p")
    assert (("checkpoint", "checkpoint-lost"), ("run", "run-p")) in edges
    assert [name for kind, name in nodes if kind == "policy"] == ["p"]


async def test_a_policy_without_a_checkpoint_ends_no_branch_but_its_own(rig: Rig) -> None:
    # Given two that were trained on from one, the older of them without a checkpoint
    await publish(rig, "first")
    parent = manifest_pb2.ControllerLineage(parent_checkpoint_sha256="checkpoint-first")
    await rig.publish("bare", lineage=parent)
    await publish(rig, "second", parent="first")
    await publish(rig, "third", parent="second")
    nodes, _ = await lineage(rig, "first")
    assert sorted(name for kind, name in nodes if kind == "policy") == ["bare", "first", "second", "third"]


async def test_a_lineage_that_bites_its_tail_ends(rig: Rig) -> None:
    await publish(rig, "a", parent="b")
    await publish(rig, "b", parent="a")
    nodes, _ = await lineage(rig, "a")
    assert sorted(name for kind, name in nodes if kind == "policy") == ["a", "b"]


async def test_an_imported_policy_without_a_run_names_its_bundle(rig: Rig) -> None:
    imported = exporter_pb2.PolicyImport(bundle_sha256="bundle", policy_id="there")
    await rig.publish("p", checkpoint_sha256="c", imported=imported)
    _, edges = await lineage(rig, "p")
    assert edges == {
        (("bundle", "bundle"), ("policy", "p")),
        (("checkpoint", "c"), ("policy", "p")),
        (("environment", "CartpoleBalance"), ("checkpoint", "c")),
    }


async def test_of_an_old_policy_what_is_known_is_told(rig: Rig) -> None:
    reward = exporter_pb2.PolicyReward(reward_id="reward-1", program_sha256="program")
    await rig.publish("old", run_id="run-1", checkpoint_sha256="c", reward=reward)
    _, edges = await lineage(rig, "old")
    assert (("reward", "program"), ("run", "run-1")) in edges


async def test_a_long_lineage_tells_what_is_nearest(rig: Rig) -> None:
    await publish(rig, "root")
    for number in range(210):
        await publish(rig, f"p{number}", parent="root")
    nodes, _ = await lineage(rig, "root")
    assert sum(kind == "policy" for kind, _ in nodes) == 200


async def test_a_policy_that_is_not_there_has_no_lineage(rig: Rig) -> None:
    error = await refused(rig.registry.GetLineage, registry_pb2.GetLineageRequest(policy_id="none"))
    assert error.reason == "POLICY_NOT_FOUND"
