"""In what two policies differ, in words and numbers for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from tabrl.exporter.v1 import exporter_pb2, registry_pb2

__all__ = ["differences"]


def differences(left: exporter_pb2.Policy, right: exporter_pb2.Policy) -> list[registry_pb2.PolicyDifference]:
    """Returns what differs, the most telling first.

    First that they drive different robots; then what they achieve, as the newest measurement of each found it; what
    they were trained for; where they come from; their size and their parity. Of terms and weights, those that changed
    most come first.
    """
    both = (left, right)
    found = [
        _words("environment", *(policy.environment_id for policy in both)),
        *_measured(left, right),
        _words("prompt", *(policy.lineage.prompt for policy in both)),
        _words("title", *(policy.title for policy in both)),
        *_reward(left, right),
        _number("env_steps", *(float(policy.env_steps) for policy in both)),
        _words("run", *(policy.lineage.run_id or policy.run_id for policy in both)),
        _number("controller_bytes", *(float(policy.controller.size_bytes) for policy in both)),
        _number("parity", *map(_worst, both)),
    ]
    return [each for each in found if each is not None]


def _measured(left: exporter_pb2.Policy, right: exporter_pb2.Policy) -> Iterator[registry_pb2.PolicyDifference | None]:
    newest = [policy.measurements[0] if policy.measurements else None for policy in (left, right)]
    yield _number("mean_return", *(None if each is None else each.mean_return for each in newest))
    yield _number("mean_survived", *(None if each is None else each.mean_survived for each in newest))
    yield from _each("term_returns", *({} if each is None else each.term_returns for each in newest))


def _reward(left: exporter_pb2.Policy, right: exporter_pb2.Policy) -> Iterator[registry_pb2.PolicyDifference | None]:
    programs = [policy.reward.program_sha256 for policy in (left, right)]
    if programs[0] != programs[1]:
        yield _words("reward", _reward_name(left), _reward_name(right))
    weights = [dict(policy.reward.weights) for policy in (left, right)]
    if programs[0] == programs[1]:
        # Of one program, terms that are left out weigh 1.
        for name in set(weights[0]) | set(weights[1]):
            for each in weights:
                each.setdefault(name, 1.0)
    yield from _each("reward.weights", *weights)


def _reward_name(policy: exporter_pb2.Policy) -> str:
    if not policy.HasField("reward"):
        return ""
    return policy.lineage.reward_id or policy.reward.reward_id or policy.reward.program_sha256


def _worst(policy: exporter_pb2.Policy) -> float | None:
    """Returns the largest difference between a controller and its source; None where none was measured."""
    return max((output.max_difference for output in policy.parity.outputs), default=None)


def _each(
    prefix: str, left: Mapping[str, float], right: Mapping[str, float]
) -> Iterator[registry_pb2.PolicyDifference | None]:
    """Yields the difference of each number by its name, the one that changed most first."""
    found = [_number(f"{prefix}.{name}", left.get(name), right.get(name)) for name in sorted({*left, *right})]
    yield from sorted(filter(None, found), key=lambda each: -abs(each.change) if each.HasField("change") else 0.0)


def _number(name: str, left: float | None, right: float | None) -> registry_pb2.PolicyDifference | None:
    if left == right or _text(left) == _text(right) == "nan":
        return None
    told = registry_pb2.PolicyDifference(name=name, left=_text(left), right=_text(right))
    if left is not None and right is not None and math.isfinite(right - left):
        told.change = right - left
    return told


def _words(name: str, left: str, right: str) -> registry_pb2.PolicyDifference | None:
    return None if left == right else registry_pb2.PolicyDifference(name=name, left=left, right=right)


def _text(number: float | None) -> str:
    """Returns a number with six digits that tell, `nan`, `inf` or `-inf`; or nothing."""
    if number is None:
        return ""
    if not math.isfinite(number):
        return f"{number}"
    return f"{number:,.0f}" if number == round(number) and abs(number) < 1e15 else f"{number:.6g}"
