"""Source that tries to leave the language. Every piece must be refused by the checker, which never runs it."""

import ast

import pytest

from tabrl_simulation.rewards.checker import LONGEST_SOURCE, check
from tabrl_simulation.rewards.diagnostics import RewardRejected

# Each is put where EXPRESSION stands in `x = EXPRESSION` inside a reward that is otherwise fine.
EXPRESSIONS = [
    "().__class__.__bases__[0].__subclasses__()",
    "[].__class__.__mro__[-1].__subclasses__()",
    '"".__class__',
    "(1).__class__.__base__",
    "reward.__globals__",
    'reward.__globals__["__builtins__"]',
    "jnp.sum.__globals__",
    "jnp.sum.__wrapped__",
    "jnp.sum.__code__",
    "jnp.__dict__",
    'jnp.__builtins__["open"]("/etc/passwd")',
    "state.__class__",
    "state.__init__.__globals__",
    "state._robot",
    "state._arrays",
    "action.__array__()",
    "action.__class__.__init__.__globals__",
    "action.at[0].set(1.0)",
    "action.addressable_data(0)",
    "action.device_buffer",
    "action.block_until_ready()",
    "action.tolist()",
    "action.dtype.type.__subclasses__()",
    "state.qpos.aval",
    'open("/etc/passwd").read()',
    'eval("1")',
    'exec("import os")',
    'compile("1", "a", "eval")',
    '__import__("os").system("id")',
    'getattr(state, "qpos")',
    'setattr(state, "qpos", 1)',
    "globals()",
    "locals()",
    "vars(state)",
    "dir(state)",
    'type("X", (), {})',
    "object()",
    "super()",
    "breakpoint()",
    'input("password: ")',
    "print(1)",
    "id(state)",
    "memoryview(b'1')",
    "help()",
    "classmethod(reward)",
    'jnp.load("/etc/passwd")',
    'jnp.save("/tmp/x", action)',
    'jnp.fromfile("/etc/passwd")',
    "jnp.frompyfunc(abs, 1, 1)",
    "jnp.vectorize(abs)(action)",
    'jnp.fromstring("1", sep=" ")',
    "jnp.apply_along_axis(abs, 0, action)",
    "jnp.piecewise(action, [action > 0], [abs])",
    "jnp.linalg.inv(state.xmat[0])",
    "jnp.fft.fft(action)",
    "jax.pure_callback(abs, action, action)",
    "jax.debug.callback(abs, action)",
    'jax.debug.print("x")',
    "jax.jit(abs)(action)",
    "jax.vmap(abs)(action)",
    "jax.lax.while_loop(abs, abs, 1)",
    "jax.random.PRNGKey(0)",
    "jax.devices()",
    "jax.config",
    "jax.nn",
    "jnp",
    "jax",
    "state.qpos if True else 1",
    "lambda: 1",
    "(y := 1)",
    "(yield)",
    "[z async for z in action]",
    "{1, 2}",
    "{z for z in (1, 2)}",
    "[z for z in (1, 2) if z]",
    'f"{state.__class__}"',
    'f"{action!r}"',
    'f"{action:{action}}"',
    '"%s" % action',
    '"{0.__class__}".format(action)',
    '"a".join(["b"])',
    '"a" * 1000000000',
    "[0] * 1000000000",
    "(0,) * 1000000000",
    "10 ** 10000000",
    "1 << 1000000000",
    "9" * 30,
    "1e400",
    "b'bytes'",
    "1j",
    "jnp.sum(*[action])",
    "jnp.sum(**{'a': action})",
    "[abs][0](action)",
    "(abs or abs)(action)",
    "jnp.sum(action)(1)",
    "[z for z in range(1000000000)]",
    "undefined_name",
    "__name__",
    "__builtins__",
    "not action[0]",
    "action[0] and action[0]",
    "0 < action[0] < 1",
    "action is None",
    "1 in action",
]

# Each is put as statements at the top of the body of reward.
STATEMENTS = [
    "import os",
    "from os import system",
    "import jax.numpy",
    "global x",
    "nonlocal x",
    "del action",
    "raise ValueError",
    "assert action",
    "return {}",
    "while True:\n        pass",
    "with open('x') as f:\n        pass",
    "try:\n        pass\n    except Exception:\n        pass",
    "class A:\n        pass",
    "def inner():\n        return 1",
    "async def inner():\n        return 1",
    "if action[0] > 0:\n        pass",
    "match action:\n        case _:\n            pass",
    "for i in range(3):\n        break",
    "for i in iter(action):\n        pass",
    "for i in range(100000):\n        pass",
    "state.qpos = action",
    "state.qpos[0] = 1.0",
    "jnp.sum = abs",
    "jnp = action",
    "state = action",
    "__x = 1",
    "action.sort()",
    "[1][0] = 2",
    "x: int = __import__('os')",
    "a = b = __import__('os')",
    "(a, *b) = (1, 2)",
    "print('hi')",
]

# Whole modules.
MODULES = [
    "import os\ndef reward(state, action):\n    return {'a': 1.0}",
    "from jax import numpy as jnp, lax\ndef reward(state, action):\n    return {'a': 1.0}",
    "os = __import__('os')\ndef reward(state, action):\n    return {'a': 1.0}",
    "def reward(state, action, __builtins__=None):\n    return {'a': 1.0}",
    "def reward(state, action, *rest):\n    return {'a': 1.0}",
    "def reward(state, action, **rest):\n    return {'a': 1.0}",
    "def reward(state, action=open('x')):\n    return {'a': 1.0}",
    "@open\ndef reward(state, action):\n    return {'a': 1.0}",
    "async def reward(state, action):\n    return {'a': 1.0}",
    "def helper(x=__import__('os')):\n    return x\ndef reward(state, action):\n    return {'a': 1.0}",
    "class reward:\n    pass",
    "reward = 1",
    "def reward(state, action):\n    return 1.0",
    "def reward(state, action):\n    x = 1.0",
    "def reward(state, action):\n    return {'a': 1.0}\nreward(None, None)",
    "def reward(state, action):\n    return {'a': 1.0}\ndef reward(state, action):\n    return {'b': 1.0}",
    "def reward(state, action):\n    return {'__class__': 1.0}",
    "def reward(state, action):\n    return {'A b': 1.0}",
    "def reward(state, action):\n    return {'a': jnp.\uff53um(action)}",
    "def reward(state, \u0430ction):\n    return {'a': 1.0}",
    "def reward(state, action):\n    return {'a': 1.0}  # \u202e }0.1 :'a'{",
    "def reward(state, action):\n    return {'a': 1.0\u200b}",
    "def reward(state, action):\n    return {'a': 1.0\x00}",
    "def reward(state, action):\n    return {'a': '\ud800'}",
    "def reward(state, action):\n    return {'a': " + "(" * 500 + "1" + ")" * 500 + "}",
    "def reward(state, action):\n    return {'a': " + "-" * 900 + "1.0}",
    "def reward(state, action):\n    return {'a': " + "~ " * 400 + "1}",
    "def reward(state, action):\n    return {'a': " + " + ".join(["1"] * 200) + "}",
    "def reward(state, action):\n    return {'a': 1.0}\n" + "# padding\n" * LONGEST_SOURCE,
    "def reward(state, action):\n" + "    x = 1.0\n" * 2500 + "    return {'a': x}",
    "def reward(state, action):\n    return {'a': 1.0",
    "def reward(state, action):\n  x = 1\n    return {'a': x}",
    "",
    "   \n\n",
    "\ufeff",
]


def _with_expression(expression):
    return f"def reward(state, action):\n    x = {expression}\n    return {{'a': jnp.sum(action)}}\n"


def _with_statement(statement):
    return f"def reward(state, action):\n    {statement}\n    return {{'a': jnp.sum(action)}}\n"


CORPUS = [*map(_with_expression, EXPRESSIONS), *map(_with_statement, STATEMENTS), *MODULES]


@pytest.mark.parametrize("source", CORPUS, ids=range(len(CORPUS)))
def test_a_source_that_leaves_the_language_is_refused_with_a_reason(source, walker):
    with pytest.raises(RewardRejected) as refused:
        check(source, walker)
    for remark in refused.value.diagnostics:
        assert remark.rule
        assert remark.message
        assert remark.line <= source.count("\n") + 1


def test_the_corpus_is_large_and_its_frame_is_accepted():
    assert len(CORPUS) >= 160


def test_the_frame_of_the_corpus_is_accepted(walker):
    # given the frames with harmless content, then nothing is refused: the refusals above are of what was put in
    check(_with_expression("1.0"), walker)
    check(_with_statement("y = 1.0"), walker)


def test_every_kind_of_syntax_is_either_known_or_refused(walker):
    # given every node that Python's grammar has, when it is not one that the language lists, then it has a refusal
    from tabrl_simulation.rewards.refusals import refusal_of

    for name in dir(ast):
        kind = getattr(ast, name)
        if isinstance(kind, type) and issubclass(kind, ast.expr | ast.stmt) and kind not in (ast.expr, ast.stmt):
            rule, message, suggestion = refusal_of(kind())
            assert rule
            assert message
            assert suggestion


@pytest.mark.parametrize(
    "source",
    [
        'def reward(state: __import__("os").system("id"), action):\n    return {"a": 1.0}',
        'def reward(state, action) -> open("/etc/passwd"):\n    return {"a": 1.0}',
        'def reward(state, action):\n    x: (lambda: 1)() = 1.0\n    return {"a": x}',
    ],
)
def test_annotations_compute_nothing(source, walker):
    with pytest.raises(RewardRejected) as refusal:
        check(source, walker)

    assert refusal.value.diagnostics[0].rule == "annotation-forbidden"
