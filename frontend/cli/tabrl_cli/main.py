"""`tabrl`: the same API as the page, from a terminal."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tabrl_cli import (
    batch_commands,
    policy_commands,
    reward_commands,
    reward_records,
    run_commands,
    scene_commands,
    sharing_commands,
)
from tabrl_cli.connection import DEFAULT_GATEWAY
from tabrl_cli.errors import EXIT_INTERRUPTED
from tabrl_cli.policy_names import policy_id_of
from tabrl_cli.session import AsJson, Gateway, open_session
from tabrl_cli.training import Backend, Place, compute_of, run_spec, show_estimate, start_run


class _Sections(TyperGroup):
    """Help that lists commands by what they are about."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a list for each section, in the order of the commands."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                section = getattr(command, "rich_help_panel", None) or "Train"
                sections.setdefault(section, []).append((name, command.get_short_help_str(limit=300)))
        for section, commands in sections.items():
            with formatter.section(section):
                formatter.write_dl(commands)


app = typer.Typer(
    cls=_Sections,
    help="TabRL: type a behaviour, train a policy, see it drive the robot.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

On = Annotated[Place, typer.Option("--on", help="Where to train; modal rents a GPU, which costs.")]
Gpu = Annotated[str, typer.Option(help="GPU to rent: H100 (if left out), A100-80GB, L40S, L4 or T4.")]
MaxSecs = Annotated[int, typer.Option(min=0, help="What training may take there, in seconds; 0 for 6 h.")]


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tabrl {importlib.metadata.version('tabrl-cli')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """What can be said without a command."""


@app.command("try")
def try_prompt(  # noqa: PLR0917
    prompt: Annotated[
        str | None, typer.Argument(help="The behaviour in words; without it and --reward, its own task.")
    ] = None,
    environment_id: Annotated[str, typer.Option("--env", help="Environment, such as CartpoleBalance.")] = "",
    reward_id: Annotated[str, typer.Option("--reward", help="Train for this reward; `tabrl rewards` lists them.")] = "",
    steps: Annotated[int | None, typer.Option(min=1000, help="Control steps to train for.")] = None,
    model: Annotated[str, typer.Option(help="Who writes the reward; `tabrl models` lists them.")] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random draw.")] = None,
    backend: Annotated[Backend | None, typer.Option(help="Physics; the machine chooses if left out.")] = None,
    randomize: Annotated[bool, typer.Option("--randomize", help="Vary masses, friction and gains.")] = False,
    start_from: Annotated[
        str,
        typer.Option(
            "--from",
            help="Start from what this run, policy (also NAME or NAME@TAG) or checkpoint (its SHA-256) learned.",
        ),
    ] = "",
    place: On = Place.HERE,
    gpu: Gpu = "",
    max_secs: MaxSecs = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Start what costs money without asking.")] = False,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Turn a prompt into a reward, or take one that is there, train for it, and say where to see the policy."""
    with open_session(gateway, as_json) as session:
        reward = reward_records.reward_for_training(
            session.connection,
            session.output,
            prompt=prompt,
            environment_id=environment_id,
            reward_id=reward_id,
            model=model,
        )
        spec = run_spec(
            reward.environment_id if reward else environment_id,
            reward,
            title=prompt or (reward_records.title(reward) if reward else "its own task"),
            env_steps=steps,
            seed=seed,
            backend=backend,
            randomize=randomize,
            start_from=policy_id_of(session.connection, start_from),
            compute=compute_of(place, gpu, max_secs),
        )
        run = start_run(session.connection, session.output, spec, may_cost=yes)
        run_commands.follow(session, run)


@app.command("estimate")
def estimate(  # noqa: PLR0917
    environment_id: Annotated[str, typer.Option("--env", help="Environment, such as CartpoleBalance.")],
    steps: Annotated[int | None, typer.Option(min=1000, help="Control steps to train for.")] = None,
    backend: Annotated[Backend | None, typer.Option(help="Physics; the machine chooses if left out.")] = None,
    place: On = Place.HERE,
    gpu: Gpu = "",
    max_secs: MaxSecs = 0,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Say how long a training would take, and what it would cost, without starting it."""
    with open_session(gateway, as_json) as session:
        compute = compute_of(place, gpu, max_secs)
        spec = run_spec(environment_id, None, title="", env_steps=steps, seed=None, backend=backend, compute=compute)
        show_estimate(session.connection, session.output, spec)


def _add(section: str, commands: typer.Typer) -> None:
    for command in commands.registered_commands:
        command.rich_help_panel = section
    app.add_typer(commands)


_add("Runs", run_commands.app)
_add("Rewards", reward_commands.app)
_add("Robots", scene_commands.app)
_add("Policies", policy_commands.app)
_add("Share", sharing_commands.app)
app.add_typer(batch_commands.app, name="batch")


def main() -> None:
    """Runs the program."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()


if __name__ == "__main__":
    main()
