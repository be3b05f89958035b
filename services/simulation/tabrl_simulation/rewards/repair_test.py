"""Repairs of source whose meaning is plain, and of nothing else."""

import pytest

from tabrl_simulation.rewards.repair import repaired

CODE = 'def reward(state, action):\n    return {"a": jnp.sum(action)}\n'
PLAIN = {
    "bare": CODE,
    "fenced": f"```python\n{CODE}```",
    "fenced without a language": f"```\n{CODE}```\n",
    "prose around a fence": f"Sure, here it is:\n\n```python\n{CODE}```\nIt sums the action.",
    "prose before": f"Here is the reward function:\n\n{CODE}",
    "prose after": f"{CODE}\nThis reward sums the action.\n",
    "imported jax.numpy": f"import jax.numpy as jnp\n\n{CODE}",
    "imported both": f"import jax\nimport jax.numpy as jnp\n{CODE}",
    "imported from jax": f"from jax import numpy as jnp\n{CODE}",
    "typing": f"from typing import Any, Dict\n{CODE}",
    "another alias": "import jax.numpy as jp\n" + CODE.replace("jnp.", "jp."),
    "numpy": "import numpy as np\n" + CODE.replace("jnp.", "np."),
    "jitted": f"@jax.jit\n{CODE}",
    "Windows lines": CODE.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_what_stands_around_the_code_is_removed(text):
    assert repaired(text).source == CODE


@pytest.mark.parametrize("line", ["import os", "from jax import lax", "import subprocess as jnp", "from os import *"])
def test_other_imports_stay_for_the_checker(line):
    assert line in repaired(f"{line}\n{CODE}").source


def test_places_can_be_told_in_the_original_text():
    # given three lines above the code, when they are removed, then it is known how many
    found = repaired(f"Here:\n```python\nimport jax.numpy as jnp\n\n{CODE}```")
    assert found.source == CODE
    assert found.lines_above == 4


def test_constants_above_the_function_stay():
    assert repaired(f"# weights\nW = 2.0\n\n{CODE}").source == f"# weights\nW = 2.0\n\n{CODE}"


def test_plain_types_become_those_of_the_language():
    assert "astype(jnp.float32)" in repaired(CODE.replace("jnp.sum(action)", "(action > 0).astype(float).sum()")).source
