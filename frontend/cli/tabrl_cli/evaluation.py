"""Episodes of a policy, told as they end."""

from __future__ import annotations

from rich.markup import escape
from tabrl.inference.v1 import inference_pb2

from tabrl_cli.connection import Connection
from tabrl_cli.console import Output, count
from tabrl_cli.errors import CallError


def evaluate(
    connection: Connection, output: Output, request: inference_pb2.EvaluateRequest
) -> inference_pb2.EvaluationSummary:
    """Plays the episodes and shows each result and the summary. Raises CallError."""
    summary = None
    for message in connection.stream(connection.inference.Evaluate, request):
        if message.WhichOneof("update") == "summary":
            summary = message.summary
            continue
        episode = message.episode
        output.event("episode", episode=episode)
        cut = "" if episode.survived >= 1 else f", ended at {100 * episode.survived:.0f} %"
        output.line(
            f"  episode {episode.index + 1}: return {episode.episode_return:.1f}, {count(episode.length)} steps{cut}"
            + _verdict(episode)
        )
    if summary is None:
        raise CallError("INTERNAL", "INTERNAL", "The stream ended without a summary.")
    output.event("summary", summary=summary)
    output.line()
    output.line(
        f"return [bold]{summary.mean_return:.1f}[/bold] ± {summary.std_return:.1f} over {summary.episodes} episodes, "
        f"{100 * summary.mean_survived:.0f} % of their length"
    )
    if summary.HasField("checked"):
        output.line(
            f"the check held in [bold]{summary.checked.held}[/bold] of {summary.episodes} episodes, "
            f"score {summary.checked.score:.2f}"
        )
        for name, value in sorted(summary.checked.measures.items()):
            output.line(f"  {escape(name)} = {value:.3g}")
    for name, value in sorted(summary.term_returns.items(), key=lambda item: -abs(item[1])):
        output.line(f"  {name} {value:.1f}")
    output.note(f"median decision {1e6 * summary.control_latency_secs:.0f} µs")
    return summary


def _verdict(episode: inference_pb2.EpisodeResult) -> str:
    if not episode.HasField("checked"):
        return ""
    return ", the check holds" if episode.checked.held else f", the check does not hold ({episode.checked.score:.2f})"
