"""From a prompt to a sealed reward, told as it happens."""

from __future__ import annotations

import uuid

from rich.live import Live
from rich.markup import escape
from rich.syntax import Syntax
from tabrl.rewardgen.v1 import rewardgen_pb2

from tabrl_cli.connection import Connection
from tabrl_cli.console import Output, count
from tabrl_cli.errors import CallError

_PHASES = {
    rewardgen_pb2.GENERATION_PHASE_READING_ROBOT: "reads the robot",
    rewardgen_pb2.GENERATION_PHASE_WRITING: "writes the reward",
    rewardgen_pb2.GENERATION_PHASE_CHECKING: "checks the reward",
    rewardgen_pb2.GENERATION_PHASE_SEALING: "seals the reward",
}


def generate_reward(
    connection: Connection, output: Output, *, prompt: str, environment_id: str, model: str
) -> rewardgen_pb2.Reward:
    """Asks for a reward and shows it while it is written. Raises CallError."""
    request = rewardgen_pb2.GenerateRewardRequest(
        prompt=prompt, environment_id=environment_id, model=model, request_id=str(uuid.uuid4())
    )
    reward = None
    with _Draft(output) as draft:
        for message in connection.stream(connection.rewards.GenerateReward, request):
            match message.WhichOneof("event"):
                case "stage":
                    text = message.stage.message or _PHASES.get(message.stage.phase, "works")
                    phase = rewardgen_pb2.GenerationPhase.Name(message.stage.phase)
                    output.event("stage", phase=phase, message=text)
                    output.note(f"· {text}")
                case "source_delta":
                    output.event("source_delta", text=message.source_delta)
                    draft.write(message.source_delta)
                case "repair":
                    output.event("repair", repair=message.repair)
                    draft.restart()
                    output.note(f"· attempt {message.repair.attempt} was refused and is repaired:")
                    for diagnostic in message.repair.diagnostics:
                        output.note(f"    {describe(diagnostic)}")
                case "reward":
                    reward = message.reward
    if reward is None:
        raise CallError("INTERNAL", "INTERNAL", "The stream ended without a reward.")
    output.event("reward", reward=reward)
    show_reward(output, reward)
    return reward


class _Draft:
    """The source as it grows, redrawn in place; off a terminal it waits for the finished source."""

    def __init__(self, output: Output) -> None:
        self._live = Live(console=output.console, transient=True, refresh_per_second=12) if output.live else None
        self._source = ""

    def __enter__(self) -> _Draft:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def write(self, text: str) -> None:
        self._source += text
        if self._live:
            # the newest lines: a long draft would not fit the screen
            height = max(5, self._live.console.height - 6)
            self._live.update(_highlighted("\n".join(self._source.splitlines()[-height:])))

    def restart(self) -> None:
        self._source = ""
        if self._live:
            self._live.update("")


def show_reward(output: Output, reward: rewardgen_pb2.Reward) -> None:
    """Shows source, terms, what was understood and what was left out."""
    if output.as_json:
        return
    output.line()
    output.console.print(_highlighted(reward.source.rstrip()))
    output.line()
    for term in reward.terms:
        output.line(f"  [bold]{escape(term.name)}[/bold] · {term.weight:g}  {escape(term.explanation)}")
    output.line()
    if reward.explanation:
        output.line(escape(reward.explanation))
    for wish in reward.left_out:
        output.line(f"[yellow]not covered:[/yellow] {escape(wish)}")
    for diagnostic in reward.diagnostics:
        output.line(f"[yellow]note:[/yellow] {escape(describe(diagnostic))}")
    output.note(f"{origin(reward)}; reward {reward.reward_id}")


def show_trial(output: Output, reward: rewardgen_pb2.Reward) -> None:
    """Shows what the reward was worth on real states of the robot, if it was tried on some."""
    if reward.HasField("trial"):
        output.line(
            f"on {reward.trial.states} real states: doing nothing earns {reward.trial.idle_reward:.3g} a step, "
            f"acting at random {reward.trial.random_reward:.3g}"
        )


def origin(reward: rewardgen_pb2.Reward) -> str:
    """Who wrote it, and what that cost."""
    if reward.origin == rewardgen_pb2.REWARD_ORIGIN_LIBRARY:
        return "from the built-in library, without an LLM"
    if reward.origin == rewardgen_pb2.REWARD_ORIGIN_PERSON:
        return "written by a person"
    text = f"written by {reward.model}"
    if reward.HasField("usage"):
        text += f", {count(reward.usage.prompt_tokens + reward.usage.completion_tokens)} tokens"
        if reward.usage.HasField("cost_usd"):
            text += f", ${reward.usage.cost_usd:.4f}"
    return text


def describe(diagnostic: rewardgen_pb2.Diagnostic) -> str:
    """A remark on source in one line."""
    place = f"line {diagnostic.line}" if diagnostic.line else ""
    if diagnostic.line and diagnostic.column:
        place += f", column {diagnostic.column}"
    text = ": ".join(part for part in (place, diagnostic.message) if part)
    return f"{text} ({diagnostic.suggestion})" if diagnostic.suggestion else text


def _highlighted(source: str) -> Syntax:
    return Syntax(source, "python", theme="ansi_dark", background_color="default", line_numbers=True)
