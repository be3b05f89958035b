"""Rewards as people and models write them: each must pass every gate."""

import pytest

from tabrl_simulation.rewards.checker import check
from tabrl_simulation.rewards.container import ProgramHeader, pack
from tabrl_simulation.rewards.honest_corpus import EXPRESSIONS, HEAD, MODULES, PROGRAMS
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


@pytest.mark.parametrize("chunk", range(8))
def test_an_honest_term_is_sealed(chunk, walker):
    # eight rewards with some terms each: the same expressions in fewer compilations
    terms = EXPRESSIONS[chunk::8]
    lines = "\n".join(f"        'term_{index}': {term}," for index, term in enumerate(terms))
    traced = sealed(f"{HEAD}    return {{\n{lines}\n    }}\n", walker)
    assert traced.terms == tuple(f"term_{index}" for index in range(len(terms)))


@pytest.mark.parametrize("source", MODULES, ids=range(len(MODULES)))
def test_an_honest_module_is_sealed(source, walker):
    assert sealed(repaired(source).source, walker).terms


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_an_honest_program_passes_the_checker(program, walker):
    check(repaired(program).source, walker)


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
    assert len(PROGRAMS) >= 100
