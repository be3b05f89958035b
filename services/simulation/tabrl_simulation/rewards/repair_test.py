"""Repairs of source whose meaning is plain, and of nothing else."""

import pytest

from tabrl_simulation.rewards.checker import check
from tabrl_simulation.rewards.diagnostics import RewardRejected
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
    "numpy by its name": "import numpy\n" + CODE.replace("jnp.", "numpy."),
    "numpy from jax": "from jax import numpy\n" + CODE.replace("jnp.", "numpy."),
    "numpy from jax under another name": "from jax import numpy as jn\n" + CODE.replace("jnp.", "jn."),
    "jax.numpy by its name": "import jax\n" + CODE.replace("jnp.", "jax.numpy."),
    "jax.numpy imported by its name": "import jax.numpy\n" + CODE.replace("jnp.", "jax.numpy."),
    "math": "import math\n" + CODE.replace("jnp.", "math."),
    "imported both ways": "import numpy as np\nimport jax.numpy as jnp\n" + CODE.replace("jnp.", "np."),
    "with a comment": f"import jax.numpy as jnp  # arrays\n{CODE}",
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


def test_several_constants_in_one_line_stay_too():
    assert repaired(f"LOW, HIGH = 0.2, 0.8\n\n{CODE}").source == f"LOW, HIGH = 0.2, 0.8\n\n{CODE}"


def test_nn_is_found_where_it_is():
    code = CODE.replace("jnp.sum(action)", "jax.nn.relu(action[0])")
    assert repaired("from jax import nn\n" + code.replace("jax.nn.", "nn.")).source == code
    assert repaired("import jax.nn as nn\n" + code.replace("jax.nn.", "nn.")).source == code
    assert repaired("import jax.nn\n" + code).source == code


def test_functions_of_numpy_that_the_language_lacks_stay_refused(walker):
    with pytest.raises(RewardRejected) as refused:
        check(repaired("import numpy as np\n" + CODE.replace("jnp.sum", "np.fromfile")).source, walker)
    assert [remark.rule for remark in refused.value.diagnostics] == ["call-forbidden"]


def test_plain_types_become_those_of_the_language():
    assert "astype(jnp.float32)" in repaired(CODE.replace("jnp.sum(action)", "(action > 0).astype(float).sum()")).source
