"""Rewards as people and models write them: each must pass every gate."""

import pytest

from tabrl_simulation.rewards.container import ProgramHeader, pack
from tabrl_simulation.rewards.language import JNP_FUNCTIONS, NN_FUNCTIONS
from tabrl_simulation.rewards.repair import repaired
from tabrl_simulation.rewards.tracing import trace
from tabrl_simulation.rewards.verification import verify


def sealed(source, robot):
    """Pass source through every gate but the jail; return the traced forms."""
    traced = trace(source, robot)
    inputs = {name: robot.arrays[name] for name in traced.inputs}
    identity = (robot.environment_id, robot.environment_fingerprint)
    header = ProgramHeader(*identity, inputs, robot.action_size, traced.uses_action, traced.terms)
    verify(pack(header, traced.exported), traced.onnx, robot, {})
    return traced


# Right-hand sides of a term, on the walker; v, p, a are a vector, a position and a scalar.
EXPRESSIONS = [
    "state.up('torso')",
    "0.5 * (1.0 + state.up('torso'))",
    "state.body_height('torso')",
    "at_least(state.body_height('torso'), 1.2, 0.6)",
    "at_most(state.body_height('torso'), 0.7, 0.3)",
    "near(state.body_linear_velocity('torso')[0], 1.0, 0.5)",
    "tolerance(state.body_linear_velocity('torso')[0], 0.9, 1.1, 1.0, 'linear')",
    "tolerance(a, 0.0, 0.5)",
    "tolerance(a, 0.0, 0.5, margin=0.2, sigmoid='long_tail')",
    "jnp.exp(-jnp.square(state.body_linear_velocity('torso')[0] - 1.0))",
    "-0.01 * jnp.sum(jnp.square(action))",
    "jnp.mean(action ** 2)",
    "state.effort() + 1e-4 * state.power() + 1e-3 * state.speed()",
    "jnp.clip(state.qpos[0], -1.0, 1.0)",
    "jnp.where(state.body_height('torso') > 1.0, 1.0, 0.0)",
    "jnp.where((a > 0.0) & (a < 0.5) | ~(p[2] > 1.0), 1.0, 0.2)",
    "(v > 0.1).astype(jnp.float32).mean()",
    "jnp.linalg.norm(p[:2])",
    "jnp.abs(state.joint_position('left_knee') - state.joint_position('right_knee'))",
    "sum([jnp.abs(state.joint_velocity(name)) for name in ('left_knee', 'right_knee')])",
    "max(state.body_height('left_foot'), state.body_height('right_foot'), 0.1)",
    "min(1.0, abs(a))",
    "jnp.tanh(state.sensor('torso_subtreelinvel')[0])",
    "state.control('left_hip') * 0.1",
    "state.distance('left_foot', 'right_foot')",
    "state.center_of_mass('torso')[2] - state.body_height('left_foot')",
    "state.body_angular_velocity('torso')[1]",
    "jnp.sin(2.0 * jnp.pi * state.time)",
    "jax.nn.sigmoid(4.0 * a) * jax.nn.relu(p[2])",
    "(state.xmat[1, :, 2] @ state.xmat[1][:, 2]) * a",
    "jnp.arctan2(state.xmat[1, 2, 0], state.xmat[1, 2, 2])",
    "float(a > 0.0) + round(a) + len(v) * 0.0",
    "jnp.max(jnp.array([a, v[0], 0.0]))",
    "v[-1] + v[1:3].sum() + v.shape[0] * a",
    "jnp.dot(v, v) / jnp.maximum(jnp.linalg.norm(v), 1e-6)",
    "jnp.sort(v)[0]" if "sort" in JNP_FUNCTIONS else "jnp.min(v)",
]

MODULES = [
    "W = 0.5\n\ndef gate(x, low=0.2):\n    return jnp.clip(x, low, 1.0)\n\n"
    "def reward(state, action):\n    '''Stand.'''\n"
    "    return {'stand': W * gate(state.up('torso')), 'effort': state.effort()}\n",
    "def reward(state, action):\n    terms = {}\n    for side in ('left', 'right'):\n"
    "        terms[f'{side}_foot'] = state.body_height(f'{side}_foot')\n    return terms\n",
    "def reward(state, action):\n    total = 0.0\n    for i in range(3):\n        total += jnp.square(state.qvel[i])\n"
    "    return dict(calm=jnp.exp(-total), effort=jnp.mean(jnp.square(action)))\n",
    "def reward(state, action):\n    parts = []\n    for i, name in enumerate(('left_hip', 'right_hip')):\n"
    "        parts.append(state.joint_position(name) * (i + 1))\n    return {'hips': sum(parts)}\n",
    "def reward(state, action):\n    gains = {'left_hip': 1.0, 'right_hip': -1.0}\n"
    "    return {f'{name}_term': gain * state.joint_velocity(name) for name, gain in gains.items()}\n",
    "Sure! Here is the reward:\n\n```python\nimport jax.numpy as jp\nimport jax\n\n"
    "@jax.jit\ndef reward(state, action):\n"
    "    return {'a': jp.tanh(state.qvel[0]), 'b': (action > 0).astype(float).mean()}\n```\n"
    "This rewards speed.",
    "import numpy as np\nfrom jax import numpy as jnp\n\ndef reward(state, action):\n"
    "    return {'a': np.cos(state.qpos[2])}\n",
    "def reward(state, action):\n    return {'ctrl': state.effort(), 'time': state.time, 'alive': 1.0}\n",
]


@pytest.mark.parametrize("chunk", range(6))
def test_an_honest_term_is_sealed(chunk, walker):
    # six rewards with six terms each: the same expressions, a sixth of the compilations
    terms = EXPRESSIONS[chunk::6]
    lines = "\n".join(f"        'term_{index}': {term}," for index, term in enumerate(terms))
    head = "def reward(state, action):\n    v = state.qvel\n    p = state.body_position('torso')\n    a = action[0]\n"
    traced = sealed(f"{head}    return {{\n{lines}\n    }}\n", walker)
    assert traced.terms == tuple(f"term_{index}" for index in range(len(terms)))


@pytest.mark.parametrize("source", MODULES, ids=range(len(MODULES)))
def test_an_honest_module_is_sealed(source, walker):
    assert sealed(repaired(source).source, walker).terms


SPECIAL = {
    "append": "append(v, w)",
    "arange": "arange(3)",
    "array": "array([1.0, a])",
    "average": "average(v)",
    "bitwise_and": "bitwise_and(v > a, w > a)",
    "bitwise_not": "bitwise_not(v > a)",
    "bitwise_or": "bitwise_or(v > a, w > a)",
    "clip": "clip(v, -1.0, 1.0)",
    "concatenate": "concatenate([v, w])",
    "cross": "cross(p, p + 1.0)",
    "einsum": "einsum('i,i->', v, w)",
    "full": "full((3,), 2.0)",
    "full_like": "full_like(v, 2.0)",
    "heaviside": "heaviside(v, 0.5)",
    "linspace": "linspace(0.0, 1.0, 4)",
    "ones": "ones((3,))",
    "zeros": "zeros((3,))",
    "stack": "stack([v, w])",
    "reshape": "reshape(v, (3, 3))",
    "select": "select([v > a, v < -a], [v, w], 0.0)",
    "take": "take(v, 1)",
    "trace": "trace(state.xmat[1])",
    "transpose": "transpose(state.xmat[1])",
    "where": "where(v > a, v, w)",
    "arccos": "arccos(0.9 * u)",
    "arcsin": "arcsin(0.9 * u)",
    "arccosh": "arccosh(1.0 + s)",
    "arctanh": "arctanh(0.5 * u)",
    "power": "power(s, 1.5)",
    "float_power": "float_power(s, 1.5)",
    "mod": "mod(v, 2.0)",
    "remainder": "remainder(v, 2.0)",
}
POSITIVE = {"log", "log10", "log2", "log1p", "sqrt", "exp", "exp2", "expm1", "cosh", "sinh", "tan", "prod"}
OF_TWO = {"add", "arctan2", "divide", "dot", "equal", "fmax", "fmin", "greater", "greater_equal", "hypot", "inner"} | {
    *("isclose", "less", "less_equal", "logaddexp", "matmul", "maximum", "minimum", "multiply", "not_equal", "outer"),
    *("subtract", "true_divide", "vdot"),
}
OF_TRUTHS = {"all", "any", "logical_not"}
OF_TWO_TRUTHS = {"logical_and", "logical_or", "logical_xor"}
ROUNDED = {"floor", "ceil", "round", "trunc"}


def _call(name):
    if name in SPECIAL:
        return SPECIAL[name]
    if name in OF_TWO:
        return f"{name}(v, s)"
    if name in OF_TRUTHS:
        return f"{name}(v > a)"
    if name in OF_TWO_TRUTHS:
        return f"{name}(v > a, w > a)"
    if name in ROUNDED:
        return f"{name}(v + 0.123)"
    return f"{name}({'0.5 + 0.4 * u' if name in POSITIVE else 'v'})"


CALLS = [f"jnp.{_call(name)}" for name in sorted(JNP_FUNCTIONS)] + [
    f"jax.nn.{name}(v)" for name in sorted(NN_FUNCTIONS)
]


@pytest.mark.parametrize("chunk", range(5))
def test_every_listed_function_has_both_sealed_forms(chunk, walker):
    # given the language's own list, then no function on it fails to be exported, converted, loaded or to agree
    calls = CALLS[chunk::5]
    lines = "\n".join(f"        'term_{index}': jnp.sum({call} * 1.0)," for index, call in enumerate(calls))
    head = (
        "def reward(state, action):\n    v = state.qvel\n    w = state.qacc\n    s = jnp.square(v) + 0.5\n"
        "    u = jnp.tanh(v)\n    a = action[0]\n    p = state.body_position('torso')\n"
    )
    assert len(sealed(f"{head}    return {{\n{lines}\n    }}\n", walker).terms) == len(calls)


def test_the_corpus_is_large():
    assert len(EXPRESSIONS) + len(MODULES) >= 40
