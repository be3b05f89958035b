"""`tabrl envs`, and how a robot of one's own becomes one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from tabrl.scene.v1 import scene_pb2

from tabrl_cli import scenes
from tabrl_cli.connection import DEFAULT_GATEWAY
from tabrl_cli.session import AsJson, Gateway, open_session

app = typer.Typer(rich_markup_mode=None)


@app.command("envs")
def environments(
    query: Annotated[str, typer.Option(help="Only those whose id, title or description holds this.")] = "",
    category: Annotated[str, typer.Option(help="Only this category.")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """List the environments."""
    with open_session(gateway, as_json) as session:
        request = scene_pb2.ListEnvironmentsRequest(query=query, category=category, page_size=1000)
        answer = session.connection.call(session.connection.scene.ListEnvironments, request)
        if as_json:
            session.output.document(answer)
            return
        session.output.table(
            ("environment", "robot", "degrees of freedom", "actuators", "its own task"),
            (
                (item.environment_id, item.robot, str(item.dof_count), str(item.actuator_count), item.description)
                for item in answer.environments
            ),
            empty="No environment matches.",
        )


@app.command("upload")
def upload(  # noqa: PLR0917
    path: Annotated[str, typer.Argument(help="A zip, an MJCF file, or a folder with one; or a robot's name.")],
    menagerie: Annotated[bool, typer.Option("--menagerie", help="Take a robot of MuJoCo Menagerie by name.")] = False,
    title: Annotated[str, typer.Option(help="Name for people; that of the file if left out.")] = "",
    main_file: Annotated[str, typer.Option("--main", help="The scene's file in the zip or folder.")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Make an environment of a robot of your own, or of one of MuJoCo Menagerie (`anybotics_anymal_c`)."""
    with open_session(gateway, as_json) as session:
        # A name of one's own needs the robot's files: as an upload.
        if menagerie and not title and scenes.add_from_menagerie(session.connection, session.output, path, main_file):
            return
        packed = scenes.from_menagerie(path, main_file) if menagerie else scenes.from_disk(Path(path), main_file)
        scenes.upload(session.connection, session.output, packed, title=title)


@app.command("scene")
def scene(
    environment_id: Annotated[str, typer.Argument(help="Id of an uploaded environment.")],
    config: Annotated[Path | None, typer.Option(help="JSON file with what to change in its configuration.")] = None,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Show the configuration of an uploaded environment, or make another one of the scene with a changed one."""
    with open_session(gateway, as_json) as session:
        scenes.configure(session.connection, session.output, environment_id, config)
