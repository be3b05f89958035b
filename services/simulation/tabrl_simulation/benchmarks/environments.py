"""Every environment on MuJoCo C: loaded, reset, split and stepped 100 times with random actions, without a NaN.

    python -m tabrl_simulation.benchmarks environments [ENVIRONMENT ...]

Writes `environments.md` when all are run. Ends with status 1 when one fails; one whose robot is missing counts as such.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from tabrl_simulation import environments, physics, reset, split
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence
from tabrl_simulation.environments import Environment

__all__ = ["Survey", "main", "survey"]

_EPISODES: Final = 16
_STEPS: Final = 100


@dataclass(frozen=True)
class Survey:
    """What became of an environment.

    Attributes:
        load_secs: time to load it.
        first_secs: time to split it, to compile its reset and its halves and to sample the starting states.
        step_usecs: time of one control step of one simulation, the compilation left out.
        fell: share of the episodes that ended within the steps.
        written: mjData arrays that its step writes.
    """

    load_secs: float
    first_secs: float
    step_usecs: float
    fell: float
    written: tuple[str, ...]


def survey(environment_id: str, *, episodes: int = _EPISODES, steps: int = _STEPS) -> Survey:
    """Loads, resets, splits and steps an environment with random actions; episodes that end go on.

    Raises:
        FloatingPointError: an observation, a reward, a term or a state is not finite; the message says where.
        SplitError, TypeError: the environment does not fit.
    """
    started = time.perf_counter()
    environment = environments.load(environment_id)
    loaded = time.perf_counter()
    threads = physics.cores()
    halves = split.split(environment)
    starts = reset.Resetter(environment, threads=threads).sample(jax.random.split(jax.random.PRNGKey(0), episodes))
    _require_finite(environment, "the reset", starts.observation, starts.privileged_observation, *starts.state.values())
    simulations = physics.Simulations(
        environment.model, count=episodes, threads=threads, reads=(*halves.reads, "qpos", "qvel")
    )
    simulations.write(starts.state)

    @jax.jit
    def actuate(action: jax.Array, carry: dict[str, jax.Array], data: dict[str, Any]) -> tuple[jax.Array, Any]:
        read = {name: data[name] for name in halves.before_arrays}
        writes = {name: data[name] for name in halves.written} | jax.vmap(halves.writes)(action, carry, read)
        return jax.vmap(halves.before)(action, carry, read)[0], writes

    look: Any = jax.jit(jax.vmap(halves.after))
    data: dict[str, Any] = dict(starts.data)
    carry = {name: jnp.asarray(starts.carry[name]) for name in halves.carry}
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, episodes, environment.action_size)).astype(np.float32)
    ended = np.zeros(episodes, bool)
    compiled = loaded
    for step, action in enumerate(actions):
        ctrl, writes = actuate(action, carry, data)
        simulations.overwrite({name: np.asarray(values) for name, values in writes.items()})
        simulations.hold(np.asarray(ctrl))
        simulations.run(environment.physics_steps_per_control)
        earlier = {f"before.{name}": data[name] for name in halves.after_reads_before}
        read = simulations.read()
        after: split.After = look({**read, **earlier}, action, carry)
        carry, data = after.carry, {**read, **after.writes}
        ended |= np.asarray(after.done) != 0
        _require_finite(
            environment,
            f"step {step + 1}",
            *(after.observation, after.privileged_observation, after.reward, after.done),
            *(*after.terms.values(), read["qpos"], read["qvel"]),
        )
        if step == 0:
            compiled = time.perf_counter()
    spent = time.perf_counter() - compiled
    return Survey(
        load_secs=loaded - started,
        first_secs=compiled - loaded,
        step_usecs=1e6 * spent / ((steps - 1) * episodes),
        fell=float(ended.mean()),
        written=halves.written,
    )


def _require_finite(environment: Environment, when: str, *arrays: Any) -> None:
    if not all(np.isfinite(np.asarray(array)).all() for array in arrays):
        raise FloatingPointError(f"{environment.id}: not finite at {when}")


def main() -> None:
    """Surveys the environments that are named, or all."""
    parser = argparse.ArgumentParser(prog="environments", description=__doc__)
    parser.add_argument("environments", nargs="*", metavar="ENVIRONMENT", help="ids; all when none is named")
    options = parser.parse_args()
    names = options.environments or list(environments.CATEGORY)
    lines = [
        "| environment | category | load s | first step s | step µs | ended | writes |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    failed = []
    for number, name in enumerate(names, start=1):
        try:
            result = survey(name)
        except Exception as error:  # whatever fails, the others are looked at too
            failed.append(name)
            lines.append(f"| {name} | {environments.CATEGORY.get(name, '')} | {type(error).__name__}: {error} |||||")
        else:
            lines.append(
                f"| {name} | {environments.CATEGORY[name]} | {result.load_secs:.1f} | {result.first_secs:.1f} "
                f"| {result.step_usecs:.0f} | {result.fell:.0%} | {', '.join(result.written)} |"
            )
        print(f"{number}/{len(names)} {lines[-1]}", flush=True)
    print(f"{len(names) - len(failed)} of {len(names)} loaded, reset, split and stepped {_STEPS} times without a NaN")
    if not options.environments:
        RESULTS.mkdir(parents=True, exist_ok=True)
        head = f"{len(names) - len(failed)} of {len(names)} environments load, reset, split and step {_STEPS} times"
        how = f"on MuJoCo C without a NaN, {_EPISODES} side by side under random actions."
        text = f"# Every environment\n\n{head} {how} {sentence(machine())}\n\n"
        (RESULTS / "environments.md").write_text(text + "\n".join(lines) + "\n")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
