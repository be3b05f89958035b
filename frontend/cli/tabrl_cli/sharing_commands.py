"""`tabrl share`, `share-page`, `import`, `play` and `unpack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabrl_cli import playing, sharing
from tabrl_cli.connection import DEFAULT_GATEWAY
from tabrl_cli.console import Output
from tabrl_cli.errors import CallError
from tabrl_cli.policy_names import PolicyName, policy_id_of
from tabrl_cli.session import AsJson, Gateway, open_session
from tabrl_cli.share_page import share_page

__all__ = ["app"]

app = typer.Typer()

Bundle = Annotated[Path, typer.Argument(help="A .tabrl file.")]


@app.command("share")
def share(
    policy: PolicyName,
    path: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; its own name if left out.")
    ] = None,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Pack a policy, its robot and a short video into one file, for others to play or import."""
    with open_session(gateway, as_json) as session:
        sharing.share(session.connection, session.output, policy_id_of(session.connection, policy), path)


app.command("share-page")(share_page)


@app.command("import")
def import_bundle(path: Bundle, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Import a policy that somebody shared, once all of it was verified and tried in a jail."""
    with open_session(gateway, as_json) as session:
        sharing.import_bundle(session.connection, session.output, path)


@app.command("play")
def play(  # noqa: PLR0917
    path: Bundle,
    headless: Annotated[
        bool, typer.Option("--headless", help="Open no window; say return, survival and terms.")
    ] = False,
    video: Annotated[Path | None, typer.Option(help="Film it into this .webp, .gif or .mp4.")] = None,
    record: Annotated[
        Path | None, typer.Option(help="Write qpos, ctrl and reward of each tick into this .npz.")
    ] = None,
    secs: Annotated[float | None, typer.Option(min=0.0, help="Simulated time; the whole episode if left out.")] = None,
    reset: Annotated[int, typer.Option(min=0, help="Which of its states to start from.")] = 0,
    command: Annotated[str, typer.Option(help='What to command the robot, such as "0.5 0 0".')] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="Draw the environment's noise with this seed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Play a shared policy here, without any TabRL running."""
    options = ["--headless"] if headless else []
    values = {"video": video, "record": record, "secs": secs, "reset": reset, "command": command or None, "seed": seed}
    options += [f"--{name}={value}" for name, value in values.items() if value is not None]
    _run(path, [*options, *(["--json"] if as_json else [])], as_json)


@app.command("unpack")
def unpack(
    path: Bundle,
    folder: Annotated[Path, typer.Argument(help="Folder to write into; made if it is not there, else empty.")],
    as_json: AsJson = False,
) -> None:
    """Verify a shared policy and write its files, for players in other languages."""
    _run(path, [f"--unpack={folder}", *(["--json"] if as_json else [])], as_json)


def _run(path: Path, options: list[str], as_json: bool) -> None:
    try:
        status = playing.play(path, options)
    except CallError as error:
        Output(as_json=as_json).error(error)
        raise typer.Exit(error.exit_status) from error
    if status:
        raise typer.Exit(status)
