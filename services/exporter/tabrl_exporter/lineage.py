"""Where a policy came from and what came from it, read from the policies on record.

A run makes a checkpoint, from which a policy is exported. Into the run went an environment, a reward and its prompt,
and for fine-tuning another checkpoint, which is of a run of its own: so a lineage goes up from one policy's checkpoint
to the policy of the checkpoint before it, and down the same way.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.exporter.v1 import exporter_pb2, registry_pb2

from tabrl_exporter import policies
from tabrl_exporter.policies import PolicyRow

__all__ = ["lineage_of"]

_MOST_POLICIES = 200


def lineage_of(session: Session, policy_id: str) -> registry_pb2.GetLineageResponse:
    """Returns the lineage of a policy, the policy first; of a long one, what is nearest.

    Raises:
        TabrlError: POLICY_NOT_FOUND.
    """
    policy = policies.get(session, policy_id)
    graph = _Graph()
    graph.origins(policy)
    seen = {policy.policy_id}
    _upwards(session, graph, policy, seen)
    _downwards(session, graph, policy, seen)
    return registry_pb2.GetLineageResponse(nodes=graph.nodes, edges=graph.edges)


def _upwards(session: Session, graph: _Graph, policy: exporter_pb2.Policy, seen: set[str]) -> None:
    """Adds the policies whose checkpoints were trained on, one before the other."""
    while (parent := policy.lineage.parent_checkpoint_sha256) and len(seen) < _MOST_POLICIES:
        # The first one exported is that of the run; others may show the same checkpoint with another reward.
        query = sa.select(PolicyRow).where(PolicyRow.checkpoint_sha256 == parent).order_by(PolicyRow.number).limit(1)
        row = session.scalar(query)
        if row is None or row.policy_id in seen:
            return
        policy = row.message()
        seen.add(policy.policy_id)
        graph.origins(policy)


def _downwards(session: Session, graph: _Graph, policy: exporter_pb2.Policy, seen: set[str]) -> None:
    """Adds the policies that were trained on from a policy's checkpoint, and from theirs."""
    trained_from = deque(filter(None, [policy.checkpoint_sha256]))
    while trained_from:
        parent = trained_from.popleft()
        query = sa.select(PolicyRow).where(PolicyRow.parent_checkpoint_sha256 == parent).order_by(PolicyRow.number)
        for row in session.scalars(query.limit(_MOST_POLICIES)):
            if row.policy_id in seen or len(seen) >= _MOST_POLICIES:
                continue
            seen.add(row.policy_id)
            graph.making(row.message())
            if row.checkpoint_sha256:  # an imported one may be without, and ends its branch alone
                trained_from.append(row.checkpoint_sha256)


@dataclass
class _Graph:
    """Nodes and edges, each once."""

    nodes: list[registry_pb2.LineageNode] = field(default_factory=list)
    edges: list[registry_pb2.LineageEdge] = field(default_factory=list)
    _index: dict[tuple[registry_pb2.LineageKind.ValueType, str], int] = field(default_factory=dict)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def making(self, policy: exporter_pb2.Policy) -> int:
        """Adds a policy, its checkpoint and its run; returns what made the checkpoint, the run where it is known."""
        made = self._node(registry_pb2.LINEAGE_KIND_POLICY, policy.policy_id, policy.title)
        maker = made
        if policy.checkpoint_sha256:
            maker = self._node(registry_pb2.LINEAGE_KIND_CHECKPOINT, policy.checkpoint_sha256)
            self._edge(maker, made)
        run_id = policy.lineage.run_id or policy.run_id
        if run_id:
            run = self._node(registry_pb2.LINEAGE_KIND_RUN, run_id)
            self._edge(run, maker)
            maker = run
        if parent := policy.lineage.parent_checkpoint_sha256:
            self._edge(self._node(registry_pb2.LINEAGE_KIND_CHECKPOINT, parent), maker)
        return maker

    def origins(self, policy: exporter_pb2.Policy) -> None:
        """Adds a policy with all that went into it."""
        maker = self.making(policy)
        self._edge(self._node(registry_pb2.LINEAGE_KIND_ENVIRONMENT, policy.environment_id), maker)
        wished_for = maker
        if policy.HasField("reward"):
            reward_id = policy.lineage.reward_id or policy.reward.reward_id
            wished_for = self._node(registry_pb2.LINEAGE_KIND_REWARD, policy.reward.program_sha256, reward_id)
            self._edge(wished_for, maker)
        if policy.lineage.prompt:
            self._edge(self._node(registry_pb2.LINEAGE_KIND_PROMPT, policy.lineage.prompt), wished_for)
        if policy.imported.bundle_sha256:
            bundle = self._node(registry_pb2.LINEAGE_KIND_BUNDLE, policy.imported.bundle_sha256)
            self._edge(bundle, self._node(registry_pb2.LINEAGE_KIND_POLICY, policy.policy_id))

    def _node(self, kind: registry_pb2.LineageKind.ValueType, identity: str, title: str = "") -> int:
        key = (kind, identity)
        if key not in self._index:
            self._index[key] = len(self.nodes)
            self.nodes.append(registry_pb2.LineageNode(kind=kind, id=identity, title=title))
        return self._index[key]

    def _edge(self, source: int, target: int) -> None:
        if source != target and (source, target) not in self._seen:
            self._seen.add((source, target))
            self.edges.append(registry_pb2.LineageEdge(source=source, target=target))
