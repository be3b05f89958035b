"""Rewards as people and models write them; what must not be refused."""

__all__ = ["DECISIONS", "EXPRESSIONS", "HEAD", "MODULES", "PROGRAMS"]

HEAD = "def reward(state, action):\n    v = state.qvel\n    p = state.body_position('torso')\n    a = action[0]\n"
"""What expressions may use: a vector, a position and a scalar."""

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
    "jnp.min(v)",
    # as models write them: shaped errors, gates, penalties
    "jnp.exp(-4.0 * jnp.square(state.body_height('torso') - 1.2))",
    "jnp.exp(-jnp.abs(v[0] - 1.0) / 0.25)",
    "1.0 / (1.0 + jnp.square(v[0] - 1.0))",
    "jnp.clip((state.body_height('torso') - 0.8) / 0.4, 0.0, 1.0)",
    "jnp.maximum(0.0, state.up('torso')) ** 2",
    "jnp.where(state.up('torso') > 0.8, 1.0, 0.0) * jnp.clip(v[0], 0.0, 2.0)",
    "1.0 - jnp.tanh(jnp.abs(state.body_linear_velocity('torso')[0]))",
    "jnp.minimum(v[0], 1.5) / 1.5",
    "0.5 * (jnp.tanh(3.0 * v[0]) + 1.0)",
    "jax.nn.sigmoid(10.0 * (p[2] - 1.0))",
    "jax.nn.softplus(v[0]) / (1.0 + jax.nn.softplus(v[0]))",
    "jax.nn.relu(1.0 - jnp.abs(p[2] - 1.2))",
    "jax.nn.hard_tanh(v[0] / 2.0)",
    "-jnp.square(action).mean() * 0.05",
    "-jnp.abs(action).sum() / action.shape[0]",
    "jnp.sum(jnp.abs(action)) * -0.01",
    "jnp.linalg.norm(action) / jnp.sqrt(1.0 * action.size)",
    "jnp.sqrt(jnp.sum(jnp.square(state.qvel)) + 1e-6)",
    "jnp.mean(jnp.square(state.qacc)) * 1e-6",
    "jnp.sum(jnp.square(state.qfrc_actuator)) * 1e-5",
    "jnp.all(jnp.abs(state.qvel) < 20.0) * 1.0",
    "jnp.any(state.qpos > 10.0) * -1.0",
    "jnp.logical_and(p[2] > 1.0, v[0] > 0.0).astype(jnp.float32)",
    "jnp.logical_not(p[2] < 0.5) * 1.0",
    "(1.0 * (p[2] > 1.0)) * (1.0 * (state.up('torso') > 0.7))",
    "jnp.where(jnp.isfinite(v[0]), v[0], 0.0)",
    "jnp.nan_to_num(v[0] / (p[2] + 1e-6))",
    "jnp.stack([v[0], v[1], v[2]]).max()",
    "jnp.concatenate([state.qpos, state.qvel]).std()",
    "jnp.array([state.body_height('left_foot'), state.body_height('right_foot')]).min()",
    "jnp.var(jnp.array([state.joint_position('left_knee'), state.joint_position('right_knee')]))",
    "jnp.cos(state.joint_position('left_hip')) * jnp.sin(state.joint_position('right_hip'))",
    "jnp.abs(jnp.sin(jnp.pi * state.time) - p[2])",
    "jnp.mod(state.time, 1.0) * a",
    "jnp.floor(state.time) * 0.0 + a",
    "jnp.heaviside(v[0] - 0.5, 0.0)",
    "jnp.sign(v[0]) * jnp.minimum(jnp.abs(v[0]), 1.0)",
    "jnp.hypot(state.body_linear_velocity('torso')[0], state.body_linear_velocity('torso')[1])",
    "jnp.dot(state.body_rotation('torso')[:, 2], jnp.array([0.0, 0.0, 1.0]))",
    "state.body_rotation('torso').T[2] @ state.body_rotation('torso')[:, 2]",
    "jnp.cross(state.body_rotation('torso')[:, 0], state.body_rotation('torso')[:, 1])[2]",
    "jnp.einsum('i,i->', v, v) * 1e-3",
    "jnp.trace(state.body_rotation('torso')) / 3.0",
    "jnp.outer(v, v)[0, 0] * 1e-3",
    "state.heading_velocity('torso')[0] - jnp.abs(state.heading_velocity('torso')[1])",
    "state.center_of_mass('torso')[0] - state.body_position('left_foot')[0]",
    "state.body_position('left_foot')[0] * 0.1",
    "near(state.body_height('torso'), 1.2, 0.3) * near(v[0], 1.0, 0.5) * at_most(state.effort(), 0.2, 0.5)",
    "tolerance(state.body_height('torso'), lower=1.2, upper=2.0, margin=0.6) * (0.5 + 0.5 * state.up('torso'))",
    "3 * tolerance(p[2], 1.2, 5.0, 0.6) / 4 + (1 + state.up('torso')) / 2 / 4",
    "sum(jnp.square(state.control(name)) for name in ('left_hip', 'right_hip')) / 2",
    "sum([abs(state.joint_velocity(f'{side}_{part}')) for side in ('left', 'right') for part in ('hip', 'knee')]) / 4",
    "max([state.body_height(side) for side in ('left_foot', 'right_foot')])",
    "min(state.distance('left_foot', 'right_foot'), 0.5) / 0.5",
    "len(action) * 0.1 + float(True) * 0.0",
    "1.0 - a ** 2",
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
    "N = 100\n\ndef raised(x, N):\n    return jnp.abs(x) ** N\n\n"
    "def reward(state, action):\n    return {'a': raised(state.up('torso'), 2)}\n",
    "def reward(state, action):\n    terms = {}\n    terms['up'] = state.up('torso')\n"
    "    terms['effort'] = state.effort()\n    return terms\n",
    # one term is also a factor of another
    "def reward(state, action):\n    upright = 0.5 * (1.0 + state.up('torso'))\n"
    "    low = near(state.body_height('torso'), 0.2, 0.1) * upright\n    ahead = state.heading_velocity('torso')[0]\n"
    "    return {'upright': upright, 'speed': low * tolerance(1 * ahead, 0.2, 0.3, 0.25, 'linear')}\n",
]

# Decisions in Python's own words, over `state.up`, `state.body_height`, `state.joint_position` and `action`.
DECISIONS = [
    """
def reward(state, action):
    height = state.body_height("torso")
    upright = state.up("torso")
    standing = 1.0
    if height < 0.3:
        standing = 0.0
    elif height < 0.6 and upright > 0.0:
        standing = 0.5
    bonus = 0.2 if standing > 0.7 and not upright < 0.5 else 0.0
    return {"standing": standing, "bonus": bonus}
""",
    """
HEALTHY_LOW, HEALTHY_HIGH = 0.2, 0.8

def reward(state, action):
    height = state.body_height("torso")
    is_healthy = HEALTHY_LOW < height < HEALTHY_HIGH
    healthy_reward = 1.0 if is_healthy else 0.0
    ctrl_cost = 0.1 * jnp.sum(jnp.square(action))
    return {"healthy": healthy_reward, "ctrl": ctrl_cost, "unhealthy": 1.0 * (not is_healthy)}
""",
    """
def shaped(x, low, high):
    if x < low:
        return x / low
    if x > high:
        overshoot = x - high
        return 1.0 - overshoot
    return 1.0

def reward(state, action):
    return {"height": shaped(state.body_height("torso"), 0.4, 0.6), "tilt": shaped(state.up("torso"), 0.5, 0.9)}
""",
    """
def reward(state, action):
    fallen = state.body_height("torso") < 0.25 or state.up("torso") < 0.0
    if fallen:
        return {"alive": 0.0, "effort": 0.0}
    effort = jnp.mean(jnp.square(action))
    return {"alive": 1.0, "effort": effort}
""",
    """
def reward(state, action):
    total = 0.0
    for side in ("left", "right"):
        sign = 1.0 if side == "left" else -1.0
        knee = state.joint_position(f"{side}_knee")
        if side == "left":
            target = 0.3
        else:
            target = -0.3
        if abs(knee - target) < 0.4:
            total += 0.5
        total += 0.1 * sign * knee
    return {"knees": total}
""",
    """
def reward(state, action):
    terms = {}
    for name in ("left_knee", "right_knee", "left_hip"):
        if name == "left_hip":
            terms["hip"] = state.joint_position(name)
        elif name != "right_knee":
            terms["knee"] = 2.0 * state.joint_position(name)
    return terms
""",
    """
def reward(state, action):
    upright = state.up("torso")
    height = state.body_height("torso")
    if upright > 0.5:
        if height > 0.5:
            level = 3.0
            level = level + upright
        else:
            level = 2.0
    elif height > 0.5:
        level = 1.0
    else:
        level = 0.0
    return {"level": level}
""",
    """
def reward(state, action):
    # count the joints that are near their limits
    near_limit = 0
    penalty = 0.0
    for i, name in enumerate(["left_hip", "left_knee", "right_hip", "right_knee"]):
        position = state.joint_position(name)
        if not -0.5 <= position <= 0.5:
            near_limit += 1
            excess = abs(position) - 0.5
            penalty += excess * (i + 1)
    return {"penalty": penalty, "count": 1.0 * near_limit}
""",
    """
def sign_of(x):
    return 1.0 if x > 0 else (-1.0 if x < 0 else 0.0)

def reward(state, action):
    return {"a": sign_of(action[0]), "b": sign_of(action[1]) * sign_of(state.up("torso"))}
""",
    """
def reward(state, action):
    low, high = (0.2, 0.4) if state.up("torso") > 0.0 else (0.5, 0.9)
    height = state.body_height("torso")
    inside = height >= low and height <= high
    return {"inside": 1.0 if inside else 0.0, "low": low}
""",
    """
def reward(state, action):
    speed = action[0]
    scale = 1.0
    if speed > 0.0:
        scale = 2.0
        speed = speed * scale
        scale = speed + scale
    else:
        speed = -speed
    return {"speed": speed, "scale": scale}
""",
    """
def reward(state, action):
    crossed = state.joint_position("left_hip") > 0 and state.joint_position("right_hip") < 0 or action[0] > 0.5
    value = action[1] or 0.25
    other = action[2] and 2.0
    same = value == 0.5 == other / 4.0
    return {"crossed": 1.0 if crossed else 0.0, "value": value, "other": other, "same": 1.0 * same}
""",
    """
def level(n, x):
    if n == 0:
        return x
    return 0.5 * level(n - 1, x) + 0.1

def reward(state, action):
    best = sum([state.joint_position(name) for name in ("left_hip", "left_knee") if name != "left_hip"])
    weights = {name: 2.0 for name in ("left_hip", "left_knee") if "left_knee" == name}
    return {"level": level(3, action[0]), "best": best, "count": 1.0 * len(weights)}
""",
    """
def reward(state, action):
    height = state.body_height("torso")
    if height > 0.5:
        parts = []
        for name in ("left_hip", "right_hip"):
            parts.append(state.joint_position(name))
        total = sum(parts)
    else:
        total = 0.0
    return {"total": total}
""",
    """
def reward(state, action):
    upright = state.up("torso")
    if upright < 0.0:
        stage, progress = 0.0, 0.0
    elif 0.0 <= upright < 0.5:
        stage, progress = 1.0, upright
    else:
        stage = 2.0
        progress = upright * 2.0
        progress -= 0.1
    if stage == 2.0:
        return dict(stage=stage, progress=progress)
    else:
        return {"stage": stage, "progress": progress / 2.0}
""",
    """
def reward(state, action):
    x = action[0]
    y: float = 0.0
    if x > 0.0:
        pass
    elif x > -1.5:
        y = x if x > -0.6 else 2.0 * x
    reward_value = x * y if y != 0 else 0.3
    return {"reward": reward_value}
""",
    """
def reward(state, action):
    angles = (state.joint_position(name) for name in ("left_hip", "right_hip"))
    pairs = zip((1.0, 2.0), (state.joint_position("left_knee"), state.up("torso")))
    bent = sum(angles) if state.up("torso") > 0.0 else -sum(angles)
    turned = -0.5 < sum(weight * angle for weight, angle in pairs) < 0.5
    return {"bent": bent, "turned": 1.0 if turned else 0.0}
""",
    """
def reward(state, action):
    for i, name in enumerate(("left_hip", "right_hip", "left_knee")):
        angle = state.joint_position(name)
        if i == 0:
            highest = angle
        else:
            highest = max(highest, angle)
    return {"highest": highest}
""",
    """
def grown(values, more):
    values += more
    return sum(values)

def reward(state, action):
    angles = [state.joint_position("left_hip")]
    total = grown(angles, [state.joint_position("right_hip")]) if state.up("torso") > 0.0 else 0.0
    return {"total": total}
""",
]

PROGRAMS = [*(f"{HEAD}    return {{'term': {term}}}\n" for term in EXPRESSIONS), *MODULES, *DECISIONS]
"""All of them as whole programs; some of the modules with what has to be repaired around them."""
