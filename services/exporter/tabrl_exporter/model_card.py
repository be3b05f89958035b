"""What a bundle says of itself to people, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tabrl.exporter.v1 import exporter_pb2, manifest_pb2

__all__ = ["model_card"]


def model_card(policy: exporter_pb2.Policy, manifest: manifest_pb2.ControllerManifest) -> str:
    """Returns the model card of a policy: what it is, where it comes from, what was measured, and its licences."""
    return "\n".join(_lines(policy, manifest)) + "\n"


def _lines(policy: exporter_pb2.Policy, manifest: manifest_pb2.ControllerManifest) -> Iterator[str]:
    yield f"# {_plain(policy.title or policy.environment_id)}"
    yield ""
    yield f"A controller for the robot of `{_code(policy.environment_id)}`, trained and exported by TabRL."
    yield "It is one ONNX graph that reads MuJoCo's state and says the controls, the reward and whether the episode"
    yield "ends; `manifest.json` says how to feed it."
    yield f"It decides every {manifest.control_period_secs:g} s, {manifest.episode_length:,} times an episode."
    yield ""
    yield "Play it with `tabrl play FILE.tabrl`, or bring it into another TabRL with `tabrl import FILE.tabrl`."
    yield ""
    yield "## Where it comes from"
    yield ""
    yield from _lineage(policy, manifest)
    yield ""
    yield "## What was measured"
    yield ""
    yield from _measurements(policy)
    yield ""
    yield "## How close it is to what was trained"
    yield ""
    yield from _parity(policy.parity)
    yield ""
    yield "## Licences"
    yield ""
    if not manifest.licences:
        yield "None is on record; ask whoever made the robot's model."
    for licence in manifest.licences:
        yield f"- {_plain(licence.covers)}: {_plain(licence.spdx_id)}"


def _lineage(policy: exporter_pb2.Policy, manifest: manifest_pb2.ControllerManifest) -> Iterator[str]:
    lineage = policy.lineage if policy.HasField("lineage") else manifest.lineage
    facts = {
        "asked for": _plain(lineage.prompt),
        "reward": _code(lineage.reward_id or policy.reward.reward_id) or "the environment's own",
        "trained for": f"{policy.env_steps:,} control steps",
        "run": _code(lineage.run_id or policy.run_id),
        "checkpoint (SHA-256)": _code(policy.checkpoint_sha256),
        "started from checkpoint": _code(lineage.parent_checkpoint_sha256),
        "policy where it was made": _code(policy.imported.policy_id or policy.policy_id),
        "MuJoCo": _code(manifest.mujoco_version),
        "environment's fingerprint": _code(manifest.environment_fingerprint),
    }
    for name, value in facts.items():
        if value:
            yield f"- {name}: {value}"


def _measurements(policy: exporter_pb2.Policy) -> Iterator[str]:
    if not policy.measurements:
        yield "Nothing yet."
        return
    yield "| episodes | seed | mean return | standard deviation | survived | check |"
    yield "|---|---|---|---|---|---|"
    for measured in policy.measurements:
        held = f"{_plain(measured.check)}: {measured.check_held} of {measured.episodes}" if measured.check else ""
        yield (
            f"| {measured.episodes} | {measured.seed} | {measured.mean_return:.2f} | {measured.std_return:.2f} "
            f"| {measured.mean_survived:.0%} | {held} |"
        )


def _parity(parity: exporter_pb2.ParityReport) -> Iterator[str]:
    if not parity.outputs:
        yield "Not on record."
        return
    furthest = max(parity.outputs, key=lambda output: output.max_difference)
    yield f"Over {parity.states} states of a rollout, no output differs from the source in JAX"
    yield f"{_plain(parity.jax_version)} by more than {furthest.max_difference:.1e} ({_plain(furthest.name)}),"
    yield "relative to the larger of 1 and the value; measured with onnxruntime"
    yield f"{_plain(parity.onnxruntime_version)}. `parity.json` has every output."


def _plain(text: str) -> str:
    """A person's words, in which Markdown and HTML find nothing to obey."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~-])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable() and letter != "`")
