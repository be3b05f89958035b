"""From source to a sealed reward through the real jails."""

import asyncio
import sys

import pytest
import pytest_asyncio

from tabrl_simulation.rewards import pool as pools
from tabrl_simulation.rewards.compile import compile_reward_with
from tabrl_simulation.rewards.container import unpack
from tabrl_simulation.rewards.diagnostics import JailSlowToStart, JailUnavailable, RewardRejected
from tabrl_simulation.rewards.pool import JailPool

SOURCE = """def reward(state, action):
    speed = state.body_linear_velocity("torso")[0]
    return {
        "upright": 0.5 * (1.0 + state.up("torso")),
        "speed": near(speed, 1.0, 0.5),
        "effort": state.effort(),
    }
"""


@pytest_asyncio.fixture
async def pool():
    async with JailPool(answer_secs=20) as pool:
        pool.warm()
        yield pool


async def test_source_is_sealed_in_both_forms(pool, walker):
    compiled = await compile_reward_with(pool, SOURCE, walker)
    header, program = unpack(compiled.program)
    assert compiled.terms == header.terms == ("upright", "speed", "effort")
    assert compiled.term_lines == {"upright": 4, "speed": 5, "effort": 6}
    assert set(header.inputs) == {"xmat", "xpos", "cvel", "subtree_com"}
    assert header.environment_fingerprint == walker.environment_fingerprint
    assert len(program) < 20_000
    assert len(compiled.onnx) < 20_000
    assert compiled.diagnostics == ()


async def test_a_term_that_is_not_a_number_is_named(pool, walker):
    source = 'def reward(state, action):\n    return {\n        "ok": action[0],\n'
    source += '        "bad": state.qvel[0] / jnp.linalg.norm(state.qvel),\n    }\n'
    with pytest.raises(RewardRejected) as refused:
        await compile_reward_with(pool, source, walker)
    (remark,) = refused.value.diagnostics
    assert (remark.rule, remark.line) == ("not-finite", 4)
    assert "'bad'" in remark.message
    assert "at rest" in remark.message


async def test_a_shape_error_is_named(pool, walker):
    source = 'def reward(state, action):\n    return {"a": jnp.sum(state.qpos + state.xpos[0])}\n'
    with pytest.raises(RewardRejected) as refused:
        await compile_reward_with(pool, source, walker)
    assert refused.value.diagnostics[0].rule == "shape-error"
    assert refused.value.diagnostics[0].line == 2


async def test_a_bomb_at_trace_time_is_stopped(walker):
    # given arithmetic that passes the checker but never ends, when it is traced, then the jail is ended and says so
    source = (
        'def reward(state, action):\n    n = 10\n    for _ in range(1000):\n        n = n * n\n    return {"a": n}\n'
    )
    async with JailPool(answer_secs=3) as pool:
        with pytest.raises(RewardRejected) as refused:
            await compile_reward_with(pool, source, walker)
    assert refused.value.diagnostics[0].rule in ("too-slow", "too-much")


async def test_what_a_jailed_process_claims_is_not_believed(pool, walker, monkeypatch):
    # given a tracer that was taken over and answers what it likes, then each lie is refused
    lies = [
        ({"inputs": ["passwords"], "uses_action": True, "terms": ["a"]}, [b"x", b"y"]),
        ({"inputs": ["qpos"], "uses_action": True, "terms": ["__class__"]}, [b"x", b"y"]),
        ({"inputs": ["qpos"], "uses_action": True, "terms": ["a"]}, [b"x"]),
        ({"inputs": ["qpos"], "uses_action": True, "terms": ["a"]}, [b"not a program", b"not onnx"]),
        ({"terms": "a"}, []),
        ({"rejected": "nonsense"}, []),
    ]
    ask = pool.ask
    for fields, blobs in lies:

        async def lie(role, request, fields=fields, blobs=blobs):
            return (fields, blobs) if role == "trace" else await ask(role, request)

        monkeypatch.setattr(pool, "ask", lie)
        with pytest.raises(RewardRejected):
            await compile_reward_with(pool, SOURCE, walker)


async def test_a_machine_without_a_jail_compiles_nothing(walker, monkeypatch, tmp_path):
    # given children that cannot enter the jail, when source is compiled, then it fails closed
    child = tmp_path / "child.sh"
    message = '{"reason": "no Landlock here", "blobs": []}'
    child.write_text(f"#!/bin/sh\nprintf '\\000\\{len(message):03o}\\000\\000\\000{message}'\n")
    child.chmod(0o755)
    monkeypatch.setattr(pools.sys, "executable", str(child))
    async with JailPool() as pool:
        with pytest.raises(JailUnavailable, match="no Landlock here"):
            await compile_reward_with(pool, SOURCE, walker)


async def test_a_jail_that_died_while_it_waited_is_replaced(pool, walker):
    # given a warm jail that something ended, when source is compiled, then another jail serves it
    child = await pool._warm["trace"]
    child.kill()
    await child.wait()
    assert (await compile_reward_with(pool, SOURCE, walker)).terms == ("upright", "speed", "effort")


async def test_a_jail_that_does_not_start_in_time_is_no_fault_of_the_source(walker, monkeypatch, tmp_path):
    child = tmp_path / "child.sh"
    child.write_text("#!/bin/sh\nexec sleep 60\n")
    child.chmod(0o755)
    monkeypatch.setattr(pools.sys, "executable", str(child))
    monkeypatch.setattr(pools, "_START_SECS", 0.2)
    async with JailPool() as pool:
        with pytest.raises(JailSlowToStart):
            await compile_reward_with(pool, SOURCE, walker)


async def test_a_cancelled_compilation_leaves_no_process(walker):
    async with JailPool() as pool:
        task = asyncio.create_task(compile_reward_with(pool, SOURCE, walker))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not pool._warm


def test_compiling_needs_no_jax_in_this_process():
    import subprocess

    code = (
        "import sys, tabrl_simulation.rewards.compile, tabrl_simulation.rewards.repair\n"
        "print([name for name in ('jax', 'numpy', 'onnx', 'mujoco') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
