"""Sizes and exactness of a policy in each of its forms: what `services/exporter/FORMATS.md` shows.

    python -m tabrl_simulation.benchmarks formats [--out FOLDER]

The policies have learned nothing: their weights are random, with statistics of observations that are not trivial, so
that a minute is enough. Networks are as wide as those that learn these tasks; Go1's is Playground's own. Each is
measured as `ExportPolicy` measures it. Writes `formats.json` and `formats.md`. Ends with status 1 when one would be
refused.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tabrl.play.player import Controller, Player

from tabrl_simulation import bundle
from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence
from tabrl_simulation.controllers import build, formats, network, network_zip, parity
from tabrl_simulation.controllers.formats import Form
from tabrl_simulation.controllers.untrained import untrained_checkpoint

__all__ = ["Row", "main", "measure"]

NETWORKS: Final = {
    "CartpoleBalance": (64, 64),
    "WalkerWalk": (128, 128),
    "Go1JoystickFlatTerrain": (512, 256, 128),
}
_DECISIONS: Final = 2000
_CONTROLLER: Final = "controller"


@dataclass(frozen=True)
class Row:
    """A policy in one form.

    Attributes:
        environment: what it drives.
        layers: widths of its hidden layers.
        form: the form.
        size_bytes: size of the file.
        action: largest difference of the action over all states.
        rest: largest difference of what does not follow from the action; None for the network alone.
        states: how many states.
        decision_usecs: median time of one decision on one thread.
        accepted: whether it would be given away.
    """

    environment: str
    layers: tuple[int, ...]
    form: str
    size_bytes: int
    action: float
    rest: float | None
    states: int
    decision_usecs: float
    accepted: bool


def measure(environment_id: str, layers: tuple[int, ...]) -> list[Row]:
    """Returns the rows of an environment: its controller, then every other form."""
    bench = build.prepare(environment_id)
    checkpoint = untrained_checkpoint(bench.environment, hidden_layer_sizes=layers)
    sha256 = hashlib.sha256(checkpoint.to_bytes()).hexdigest()
    made = build.build_controller(bench, checkpoint, None, checkpoint_sha256=sha256)
    published = formats.Published(made.onnx, made.manifest, made.scene)
    controller, model = Controller(made.onnx, made.manifest), bundle.load_scene(made.scene)
    first = next(Player(controller, model).episode())
    report = parity.measure_parity(made.source, controller, model, states=formats.STATES)
    differences = {output.name: output.max_difference for output in report.outputs}

    def row(form: str, content: bytes, found: dict[str, float], states: int, decide: Callable[[], Any]) -> Row:
        rest = [value for name, value in found.items() if name.partition(".")[0] not in ("action", "ctrl", "carry")]
        return Row(
            environment=environment_id,
            layers=layers,
            form=form,
            size_bytes=len(content),
            action=found["action"],
            rest=max(rest) if rest else None,
            states=states,
            decision_usecs=_median_usecs(decide),
            accepted=True,
        )

    rows = [row(_CONTROLLER, made.onnx, differences, report.states, lambda: controller.run(first.feed))]
    for form in Form:
        if form.is_controller:
            other = formats.make_controller(form, published, (bench, made.source))
        else:
            other = formats.make_network(form, published, checkpoint, bench.environment, checkpoint_sha256=sha256)
        found = {output.name: output.max_difference for output in other.report.outputs}
        decide = _decider(form, other, first.feed, first.decision.observation)
        one = row(form.value, other.content, found, other.report.states, decide)
        rows.append(Row(**{**asdict(one), "accepted": formats.acceptable(other.report)}))
    return rows


def _decider(form: Form, made: formats.Made, feed: Any, observation: Any) -> Callable[[], Any]:
    if made.manifest is not None:
        controller = Controller(made.content, made.manifest)
        return lambda: controller.run(feed)
    if form is Form.WEIGHTS:
        return lambda: network_zip.action_of(made.content, observation)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(made.content, options, providers=["CPUExecutionProvider"])
    return lambda: session.run([network.ACTION], {network.OBSERVATION: observation})


def _median_usecs(decide: Callable[[], Any]) -> float:
    spent = []
    for _ in range(_DECISIONS):
        started = time.perf_counter()
        decide()
        spent.append(time.perf_counter() - started)
    return 1e6 * statistics.median(spent)


def _table(rows: list[Row]) -> str:
    whole = {row.environment: row.size_bytes for row in rows if row.form == _CONTROLLER}
    lines = [
        "| environment | hidden layers | form | bytes | of the whole | action differs | all else differs | decision |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        rest = "" if row.rest is None else f"{row.rest:.2g}"
        share = row.size_bytes / whole[row.environment]
        # reading the zip is most of what NumPy's reader does
        decision = "" if row.form == Form.WEIGHTS.value else f"{row.decision_usecs:.0f} µs"
        layers = ", ".join(map(str, row.layers))
        lines.append(
            f"| {row.environment} | {layers} | `{row.form}` | {row.size_bytes:,} | {share:.0%} | {row.action:.2g} "
            f"| {rest} | {decision} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measures every form for each of the networks."""
    parser = argparse.ArgumentParser(prog="formats", description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for environment_id, layers in NETWORKS.items():
        rows += measure(environment_id, layers)
        print(f"{environment_id} is measured", flush=True)
    table = _table(rows)
    print(table)
    described = machine()
    states = min(row.states for row in rows)
    head = (
        f"Untrained policies, {states} states of each one's own rollout. A difference is relative to the larger of 1 "
        f"and the value. Decisions on one thread. {sentence(described)}"
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": described, "rows": [asdict(row) for row in rows]}
    (arguments.out / "formats.json").write_text(compact(result))
    (arguments.out / "formats.md").write_text(f"# Forms of a policy\n\n{head}\n\n{table}\n")
    refused = [f"{row.environment} {row.form}" for row in rows if not row.accepted]
    if refused:
        sys.exit(f"refused: {', '.join(refused)}")


if __name__ == "__main__":
    main()
