"""Policies as a terminal shows them: what one is, how exact, how good, where it comes from, and how two differ."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from rich.markup import escape
from rich.text import Text
from rich.tree import Tree
from tabrl.exporter.v1 import exporter_pb2, registry_pb2

from tabrl_cli.connection import STREAM_SECS, Connection
from tabrl_cli.console import Output, count, printable

__all__ = [
    "collect_garbage",
    "compare",
    "date",
    "list_policies",
    "measure",
    "newest_return",
    "show_measurement",
    "show_policy",
]

_SHORT_DIGEST = 12
# Asks every service what it names, and looks through the whole store.
_COLLECT_SECS = 600.0


def list_policies(connection: Connection, output: Output, *, environment_id: str, run_id: str, limit: int) -> None:
    """Shows the newest policies. Raises CallError."""
    request = exporter_pb2.ListPoliciesRequest(environment_id=environment_id, run_id=run_id, page_size=limit)
    answer = connection.listed(connection.exporter.ListPolicies, request, "policies")
    if output.as_json:
        output.document(answer)
        return
    output.table(
        ("policy", "environment", "steps", "return", "from", "prompt"),
        (
            (
                policy.policy_id,
                policy.environment_id,
                count(policy.env_steps),
                newest_return(policy),
                "imported" if policy.HasField("imported") else policy.run_id,
                policy.title,
            )
            for policy in answer.policies
        ),
        empty="No policies yet: tabrl try PROMPT --env ENVIRONMENT makes one.",
    )


def show_policy(connection: Connection, output: Output, policy_id: str) -> None:
    """Shows one policy with its lineage. Raises CallError."""
    request = exporter_pb2.GetPolicyRequest(policy_id=policy_id)
    policy = connection.call(connection.exporter.GetPolicy, request).policy
    asked = registry_pb2.GetLineageRequest(policy_id=policy_id)
    lineage = connection.call(connection.registry.GetLineage, asked)
    output.event("policy", policy=policy)
    output.event("lineage", lineage=lineage)
    if output.as_json:
        return
    output.line(f"policy [bold]{escape(policy.policy_id)}[/bold] drives {escape(policy.environment_id)}")
    if words := policy.lineage.prompt or policy.title:
        output.line(f"  {escape(words)}")
    output.line(f"  {count(policy.env_steps)} steps, published {date(policy.create_time)}")
    output.line(f"  controller of {count(policy.controller.size_bytes)} bytes {escape(policy.controller.sha256)}")
    if policy.HasField("imported"):
        output.line("  imported; what follows of its parity is its file's claim, not checked here")
    _show_parity(output, policy.imported.claimed_parity if policy.HasField("imported") else policy.parity)
    for export in policy.exports:
        form = exporter_pb2.ExportFormat.Name(export.format).removeprefix("EXPORT_FORMAT_").lower().replace("_", " ")
        output.line(f"  as {form}: {count(export.file.size_bytes)} bytes {escape(export.file.sha256)}")
    output.line()
    if policy.measurements:
        _show_measurements(output, policy.measurements)
    else:
        output.note(f"not measured yet: tabrl measure {policy.policy_id}")
    output.line()
    _show_lineage(output, lineage)
    output.note(connection.page(policy=policy.policy_id))


def measure(connection: Connection, output: Output, request: registry_pb2.MeasurePolicyRequest) -> None:
    """Has a policy measured and shows what came of it. Raises CallError."""
    answer = connection.call(connection.registry.MeasurePolicy, request, timeout=STREAM_SECS)
    if output.as_json:
        output.document(answer)
        return
    show_measurement(output, answer.measurement)


def show_measurement(output: Output, measured: exporter_pb2.PolicyMeasurement) -> None:
    """Shows what one evaluation measured."""
    output.line(
        f"return [bold]{measured.mean_return:.1f}[/bold] ± {measured.std_return:.1f} "
        f"over {measured.episodes} episodes, {100 * measured.mean_survived:.0f} % of their length"
    )
    if measured.check:
        output.line(
            f"the check held in [bold]{measured.check_held}[/bold] of {measured.episodes} episodes: "
            f"{escape(measured.check)}"
        )
    for name, value in sorted(measured.term_returns.items(), key=lambda item: -abs(item[1])):
        output.line(f"  {escape(name)} {value:.1f}")


def compare(connection: Connection, output: Output, left: str, right: str) -> None:
    """Shows in what two policies differ. Raises CallError."""
    request = registry_pb2.ComparePoliciesRequest(left_policy_id=left, right_policy_id=right)
    answer = connection.call(connection.registry.ComparePolicies, request)
    if output.as_json:
        output.document(answer)
        return
    output.table(
        ("", answer.left.policy_id, answer.right.policy_id, "change"),
        (
            (
                each.name,
                each.left or "none",
                each.right or "none",
                f"{each.change:+.6g}" if each.HasField("change") else "",
            )
            for each in answer.differences
        ),
        empty="They differ in nothing that is on record.",
    )
    for policy in (answer.left, answer.right):
        if not policy.measurements:
            output.note(f"{policy.policy_id} is not measured yet: tabrl measure {policy.policy_id}")


def collect_garbage(connection: Connection, output: Output, *, dry_run: bool) -> None:
    """Deletes the files that nothing names, or says how many they are. Raises CallError."""
    request = registry_pb2.CollectGarbageRequest(dry_run=dry_run)
    answer = connection.call(connection.registry.CollectGarbage, request, timeout=_COLLECT_SECS)
    if output.as_json:
        output.document(answer)
        return
    done = "would be deleted" if dry_run else "deleted"
    files = "1 file" if answer.files == 1 else f"{count(answer.files)} files"
    output.line(f"{files} of {count(answer.size_bytes)} bytes {done}")
    output.note(f"{count(answer.named_files)} are named, {count(answer.young_files)} are too young to be deleted")


def newest_return(policy: exporter_pb2.Policy) -> str:
    """The mean return that was measured last; nothing where none was."""
    return f"{policy.measurements[0].mean_return:.1f}" if policy.measurements else ""


def date(time: Timestamp) -> str:
    """A time as a person here reads it."""
    return f"{time.ToDatetime(datetime.UTC).astimezone():%Y-%m-%d %H:%M}" if time.seconds else "at an unknown time"


def _show_parity(output: Output, parity: exporter_pb2.ParityReport) -> None:
    if not parity.outputs:
        return
    worst = max(parity.outputs, key=lambda each: each.max_difference / (each.tolerance or parity.tolerance or 1.0))
    far = f"{worst.max_difference:.1e} of {worst.tolerance or parity.tolerance:.0e} allowed ({escape(worst.name)})"
    output.line(f"  parity {far}, over {count(parity.states)} states")
    if parity.HasField("closed_loop"):
        loop = parity.closed_loop
        fate = "goes the way of its source" if loop.passed else f"goes another way: {loop.reason}"
        output.line(f"  closed loop: {escape(fate)}, {len(loop.episodes)} episodes of {loop.secs:.0f} s at most")


def _show_measurements(output: Output, measurements: Sequence[exporter_pb2.PolicyMeasurement]) -> None:
    output.table(
        ("measured", "return", "±", "survived", "episodes", "check"),
        (
            (
                date(each.measure_time),
                f"{each.mean_return:.1f}",
                f"{each.std_return:.1f}",
                f"{100 * each.mean_survived:.0f} %",
                str(each.episodes),
                f"{each.check_held} of {each.episodes}: {each.check}" if each.check else "",
            )
            for each in measurements
        ),
        empty="",
    )


def _show_lineage(output: Output, lineage: registry_pb2.GetLineageResponse) -> None:
    """Shows what the first node came from, below it, and what came from it."""
    sources, targets = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
    for edge in lineage.edges:
        sources[edge.target].append(edge.source)
        targets[edge.source].append(edge.target)

    def named(node: int) -> Text:
        """What a node is; a checkpoint with the other policies that show it."""
        text = _node(lineage.nodes[node])
        if lineage.nodes[node].kind == registry_pb2.LINEAGE_KIND_CHECKPOINT:
            policies = [lineage.nodes[each].id for each in targets[node] if each and _is_policy(lineage.nodes[each])]
            if policies:
                text.append(f" (policy {', '.join(printable(each) for each in policies)})")
        return text

    output.console.print(_tree(0, sources.__getitem__, named, "came from"))
    begun = [after for source in sources[0] for after in targets[source] if after]
    if begun:
        after = Tree(Text("went on to", style="dim"), guide_style="dim")
        seen = {0}
        for each in begun:
            _grow(after, each, targets.__getitem__, lambda node: _node(lineage.nodes[node]), seen)
        output.console.print(after)


def _tree(root: int, next_of: Callable[[int], Iterable[int]], named: Callable[[int], Text], title: str) -> Tree:
    tree = Tree(Text(title, style="dim"), guide_style="dim")
    seen = {root}
    for each in next_of(root):
        _grow(tree, each, next_of, named, seen)
    return tree


def _grow(
    tree: Tree, node: int, next_of: Callable[[int], Iterable[int]], named: Callable[[int], Text], seen: set[int]
) -> None:
    """Hangs a node into a tree, with what comes next; what is there already is not shown again."""
    if node in seen:
        return
    seen.add(node)
    branch = tree.add(named(node))
    for each in next_of(node):
        _grow(branch, each, next_of, named, seen)


def _node(node: registry_pb2.LineageNode) -> Text:
    kind = registry_pb2.LineageKind.Name(node.kind).removeprefix("LINEAGE_KIND_").lower()
    is_digest = kind in ("checkpoint", "reward", "bundle")
    text = Text(f"{kind} ", style="dim")
    text.append(printable(node.id[:_SHORT_DIGEST] if is_digest else node.id), style="not dim")
    if node.title:
        text.append(f" {printable(node.title)}")
    return text


def _is_policy(node: registry_pb2.LineageNode) -> bool:
    return node.kind == registry_pb2.LINEAGE_KIND_POLICY
