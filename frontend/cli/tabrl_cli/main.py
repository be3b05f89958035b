"""`tabrl`: the same API as the page, from a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from tabrl.inference.v1 import inference_pb2
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.scene.v1 import scene_pb2
from tabrl.trainer.v1 import trainer_pb2

from tabrl_cli import batch_commands, evaluation, exports, policy_commands, reward_records, scenes, sharing_commands
from tabrl_cli.connection import DEFAULT_GATEWAY
from tabrl_cli.console import count
from tabrl_cli.errors import EXIT_INTERRUPTED
from tabrl_cli.improvement import auto_improve, generate_approaches
from tabrl_cli.policy_names import PolicyName, policy_id_of
from tabrl_cli.progress import reached_return
from tabrl_cli.session import AsJson, Gateway, Limit, Session, open_session
from tabrl_cli.share_page import share_page
from tabrl_cli.training import Backend, Place, compute_of, run_spec, show_estimate, start_run, watch_to_the_end

app = typer.Typer(
    help="TabRL: type a behaviour, train a policy, see it drive the robot.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(batch_commands.app, name="batch")
app.add_typer(policy_commands.app)
app.command("share-page")(share_page)
app.add_typer(sharing_commands.app)

_NO_RUNS = "No runs yet: tabrl try PROMPT --env ENVIRONMENT starts one."

RunId = Annotated[str, typer.Argument(help="Id of the run.")]
On = Annotated[Place, typer.Option("--on", help="Where to train; modal rents a GPU, which costs.")]
Gpu = Annotated[str, typer.Option(help="GPU to rent: H100 (if left out), A100-80GB, L40S, L4 or T4.")]
MaxSecs = Annotated[int, typer.Option(min=0, help="What training may take there, in seconds; 0 for 6 h.")]
EnvironmentFilter = Annotated[str, typer.Option("--env", help="Only this environment.")]


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
            "--from", help="Start from what this run, policy (also NAME@TAG) or checkpoint (its SHA-256) learned."
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
        _watch(session, run)


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


@app.command("approaches")
def approaches(  # noqa: PLR0917
    prompt: Annotated[str, typer.Argument(help="The behaviour in words.")],
    environment_id: Annotated[str, typer.Option("--env", help="Environment, such as CartpoleBalance.")],
    number: Annotated[int, typer.Option("--count", min=1, max=6, help="How many rewards to write.")] = 3,
    model: Annotated[str, typer.Option(help="Who writes them; `tabrl models` lists them.")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write several different rewards for a prompt, each with what to expect of it."""
    with open_session(gateway, as_json) as session:
        generate_approaches(
            session.connection,
            session.output,
            prompt=prompt,
            environment_id=environment_id,
            model=model,
            number=number,
        )


@app.command("improve")
def improve(  # noqa: PLR0917
    prompt: Annotated[str, typer.Argument(help="The behaviour in words.")],
    environment_id: Annotated[str, typer.Option("--env", help="Environment, such as CartpoleBalance.")],
    check: Annotated[str, typer.Option(help="What the motion is judged by, such as \"mean(up('pole')) > 0.9\".")] = "",
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often to write, train and measure.")] = 3,
    candidates: Annotated[int, typer.Option(min=1, max=6, help="Rewards in each round.")] = 2,
    steps: Annotated[int, typer.Option(min=0, help="Control steps of each training; 0 for a third of usual.")] = 0,
    secs: Annotated[float, typer.Option(min=0.0, help="What all may take, in seconds; 0 for no limit.")] = 0.0,
    usd: Annotated[float, typer.Option(min=0.0, help="What the LLM may cost, in US dollars; 0 for no limit.")] = 0.0,
    model: Annotated[str, typer.Option(help="Who writes them; `tabrl models` lists them.")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write rewards, train for each, measure the robot, and write better ones; keep the best by what it did."""
    with open_session(gateway, as_json) as session:
        request = rewardgen_pb2.AutoImproveRequest(
            prompt=prompt,
            environment_id=environment_id,
            model=model,
            check=check,
            rounds=rounds,
            candidates=candidates,
            env_steps=steps,
            budget_secs=secs,
            budget_usd=usd,
        )
        auto_improve(session.connection, session.output, request)


@app.command("compile")
def compile_source(
    path: Annotated[str, typer.Argument(help="File with `def reward(state, action)`; - for standard input.")],
    environment_id: Annotated[str, typer.Option("--env", help="Environment, such as CartpoleBalance.")],
    prompt: Annotated[str, typer.Option(help="What it is for, in words.")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Check and seal a reward that you wrote, and say how it fares on real states of the robot."""
    with open_session(gateway, as_json) as session:
        reward_records.compile_source(
            session.connection, session.output, path=path, environment_id=environment_id, prompt=prompt
        )


@app.command("rewards")
def list_rewards(
    environment_id: EnvironmentFilter = "",
    saved: Annotated[bool, typer.Option("--saved", help="Only those that you saved.")] = False,
    limit: Limit = 20,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """List the rewards, newest first."""
    with open_session(gateway, as_json) as session:
        reward_records.list_rewards(
            session.connection, session.output, environment_id=environment_id, saved=saved, limit=limit
        )


@app.command("save")
def save(
    reward_id: Annotated[str, typer.Argument(help="Id of the reward.")],
    name: Annotated[str, typer.Argument(help="What you call it, such as 'my dance'; '' takes it out again.")],
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Save a reward into your library, which answers prompts with it (`--model library`) that mean the same."""
    with open_session(gateway, as_json) as session:
        reward_records.save(session.connection, session.output, reward_id=reward_id, name=name)


@app.command("watch")
def watch(
    run_id: RunId,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Follow a run to its end."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.GetRunRequest(run_id=run_id)
        _watch(session, session.connection.call(session.connection.trainer.GetRun, request).run)


def _watch(session: Session, run: trainer_pb2.Run) -> None:
    try:
        watch_to_the_end(session.connection, session.output, run)
    except KeyboardInterrupt:
        session.output.line()
        session.output.line(
            f"The run goes on: `tabrl watch {run.run_id}` follows it, `tabrl cancel {run.run_id}` stops it."
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None


@app.command("cancel")
def cancel(
    run_id: RunId,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Stop a run; its newest checkpoint stays."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.CancelRunRequest(run_id=run_id)
        _show_state(session, session.connection.call(session.connection.trainer.CancelRun, request))


@app.command("pause")
def pause(run_id: RunId, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Stop a run for a while; it gives up its slot."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.PauseRunRequest(run_id=run_id)
        _show_state(session, session.connection.call(session.connection.trainer.PauseRun, request))


@app.command("continue")
def continue_run(run_id: RunId, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Go on with a paused run, from its newest checkpoint."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.ContinueRunRequest(run_id=run_id)
        _show_state(session, session.connection.call(session.connection.trainer.ContinueRun, request))


@app.command("note")
def note(
    run_id: RunId,
    text: Annotated[str | None, typer.Argument(help="What to write; '' takes it away, nothing leaves it.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag; these replace those there are; '' for none.")
    ] = None,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write notes and tags beside a run, by which `tabrl runs --query` finds it."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.UpdateRunRequest(run_id=run_id, notes=text)
        if tags is not None:
            request.tags.values.extend(tag for tag in tags if tag)
            request.tags.SetInParent()
        answer = session.connection.call(session.connection.trainer.UpdateRun, request)
        if as_json:
            session.output.document(answer)
        else:
            session.output.note(f"run {answer.run.run_id}: {' '.join(f'#{tag}' for tag in answer.run.tags)}")
            session.output.line(escape(answer.run.notes))


@app.command("delete")
def delete(run_id: RunId, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Delete a run that has ended, with its history; its policies stay."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.DeleteRunRequest(run_id=run_id)
        answer = session.connection.call(session.connection.trainer.DeleteRun, request)
        if as_json:
            session.output.document(answer)
        else:
            session.output.line(f"run {escape(run_id)} is deleted")


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


@app.command("runs")
def runs(  # noqa: PLR0917
    environment_id: EnvironmentFilter = "",
    query: Annotated[str, typer.Option(help="Only those whose prompt, notes, tags or id hold this.")] = "",
    tag: Annotated[str, typer.Option(help="Only those with this tag.")] = "",
    limit: Limit = 20,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.ListRunsRequest(environment_id=environment_id, query=query, tag=tag, page_size=limit)
        answer = session.connection.listed(session.connection.trainer.ListRuns, request, "runs")
        if as_json:
            session.output.document(answer)
            return
        session.output.table(
            ("run", "environment", "state", "steps", "return", "prompt"),
            (
                (
                    run.run_id,
                    run.spec.environment_id,
                    _state(run.state) + (f" ({run.error.reason})" if run.HasField("error") else ""),
                    count(run.metrics.env_steps) if run.HasField("metrics") else "",
                    reached_return(run.metrics) if run.HasField("metrics") else "",
                    run.spec.title,
                )
                for run in answer.runs
            ),
            empty="No run is like that." if query or tag or environment_id else _NO_RUNS,
        )
        if any(not run.metrics.HasField("episode_return") for run in answer.runs if run.HasField("metrics")):
            session.output.note("≈ is what the first episodes come to if they go on as they began; none had ended yet")


@app.command("export")
def export(
    policy: PolicyName,
    form: Annotated[
        exports.Format, typer.Option("--format", help="Whole controller, with smaller weights, or the network alone.")
    ] = exports.Format.CONTROLLER,
    path: Annotated[Path | None, typer.Option("--output", "-o", help="File to write, or a folder for it.")] = None,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write a policy to a file, and say how exact it is in that form."""
    with open_session(gateway, as_json) as session:
        policy_id = policy_id_of(session.connection, policy)
        exports.export(session.connection, session.output, policy_id=policy_id, form=form, path=path)


@app.command("models")
def models(gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """List who can write rewards here; the first is the default."""
    with open_session(gateway, as_json) as session:
        answer = session.connection.call(session.connection.rewards.ListModels, rewardgen_pb2.ListModelsRequest())
        if as_json:
            session.output.document(answer)
            return
        session.output.table(
            ("model", "name", "what it is"),
            ((model.name, model.title, model.description) for model in answer.models),
            empty="No model answers.",
        )


@app.command("evaluate")
def evaluate(  # noqa: PLR0917
    policy: PolicyName,
    episodes: Annotated[int, typer.Option(min=1, max=100, help="How many episodes to play.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed that chooses the starting states.")] = 0,
    check: Annotated[str, typer.Option(help="What to judge the motion by, such as \"mean(up('pole')) > 0.9\".")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Play whole episodes on the server and measure them."""
    with open_session(gateway, as_json) as session:
        policy_id = policy_id_of(session.connection, policy)
        request = inference_pb2.EvaluateRequest(policy_id=policy_id, episodes=episodes, seed=seed, check=check)
        evaluation.evaluate(session.connection, session.output, request)


def _show_state(
    session: Session,
    answer: trainer_pb2.CancelRunResponse | trainer_pb2.PauseRunResponse | trainer_pb2.ContinueRunResponse,
) -> None:
    if session.output.as_json:
        session.output.document(answer)
    else:
        session.output.line(f"run {answer.run.run_id}: {_state(answer.run.state)}")


def _state(state: trainer_pb2.RunState.ValueType) -> str:
    return trainer_pb2.RunState.Name(state).removeprefix("RUN_STATE_").lower()


def main() -> None:
    """Runs the program."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
