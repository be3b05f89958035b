"""Sealed programs: calling them, and refusing those that are not what they should be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from tabrl_simulation.rewards.container import LONGEST_PROGRAM, ProgramHeader, ProgramRefused, pack, unpack
from tabrl_simulation.rewards.program import RewardProgram

INPUTS = {"qvel": (3,), "xpos": (2, 3)}


def terms(qvel, xpos, action):
    return jnp.sum(qvel) * xpos[1, 2], jnp.mean(action**2), jnp.float32(1.0)


def exported(function=terms, inputs=INPUTS, **options):
    (batch,) = export.symbolic_shape("b")
    shapes = [jax.ShapeDtypeStruct((batch, *shape), jnp.float32) for shape in (*inputs.values(), (2,))]
    return bytes(export.export(jax.jit(jax.vmap(function)), platforms=["cpu", "cuda"], **options)(*shapes).serialize())


def header(**changes):
    fields = {
        "environment_id": "Tiny",
        "environment_fingerprint": "f" * 64,
        "inputs": INPUTS,
        "action_size": 2,
        "uses_action": True,
        "terms": ("speed", "effort", "alive"),
    }
    return ProgramHeader(**{**fields, **changes})


@pytest.fixture(scope="module")
def program():
    return RewardProgram.from_bytes(pack(header(), exported()))


@pytest.fixture
def batch():
    draw = np.random.default_rng(0)
    arrays = {name: jnp.asarray(draw.normal(size=(4, 5, *shape)), jnp.float32) for name, shape in INPUTS.items()}
    return arrays, jnp.asarray(draw.normal(size=(4, 5, 2)), jnp.float32)


def at(arrays, *index):
    return {name: values[index] for name, values in arrays.items()}


def test_it_knows_what_it_is_for(program):
    assert program.environment_id == "Tiny"
    assert program.environment_fingerprint == "f" * 64
    assert program.inputs == INPUTS
    assert program.terms == ("speed", "effort", "alive")


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_one_environment_gives_one_number_per_term(program, batch, wrap):
    arrays, actions = batch
    found = wrap(program)(at(arrays, 1, 2), actions[1, 2])
    expected = terms(arrays["qvel"][1, 2], arrays["xpos"][1, 2], actions[1, 2])
    for name, value in zip(program.terms, expected, strict=True):
        assert found[name].shape == ()
        assert found[name].dtype == jnp.float32
        np.testing.assert_allclose(found[name], value, rtol=1e-6)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_batches_and_batches_of_batches_agree_with_single_calls(program, batch, wrap):
    arrays, actions = batch
    whole = wrap(jax.vmap(jax.vmap(program)))(arrays, actions)
    rows = wrap(jax.vmap(program))(at(arrays, 3), actions[3])
    assert whole["speed"].shape == (4, 5)
    np.testing.assert_allclose(whole["speed"][3], rows["speed"], rtol=1e-6)
    np.testing.assert_allclose(rows["speed"][1], program(at(arrays, 3, 1), actions[3, 1])["speed"], rtol=1e-6)


def test_an_unbatched_argument_is_broadcast(program, batch):
    arrays, actions = batch
    found = jax.vmap(program, in_axes=(None, 0))(at(arrays, 0, 0), actions[0])
    assert found["speed"].shape == (5,)
    assert len(set(np.asarray(found["speed"]).tolist())) == 1


def test_it_works_inside_scan(program, batch):
    arrays, actions = batch

    def step(total, inputs):
        return total + jax.vmap(program)(*inputs)["speed"].sum(), None

    total, _ = jax.lax.scan(step, 0.0, (arrays, actions))
    np.testing.assert_allclose(total, jax.vmap(jax.vmap(program))(arrays, actions)["speed"].sum(), rtol=1e-5)


def test_weights_are_data(program, batch):
    arrays, actions = batch
    found = program(at(arrays, 0, 0), actions[0, 0])
    total = program.total(found, {"speed": 2.0, "alive": 0.0})
    np.testing.assert_allclose(total, 2.0 * found["speed"] + found["effort"], rtol=1e-6)


def test_extra_arrays_are_ignored_and_missing_ones_named(program, batch):
    arrays, actions = batch
    some = at(arrays, 0, 0)
    assert program({**some, "qpos": jnp.zeros(9)}, actions[0, 0])
    with pytest.raises(KeyError, match="xpos"):
        program({"qvel": some["qvel"]}, actions[0, 0])


MALFORMED = {
    "empty": b"",
    "text": b"not a program at all, just some text",
    "cut": pack(header(), exported())[:60],
    "no program": pack(header(), b"")[:-1],
    "garbage inside": pack(header(), b"garbage"),
    "another version": pack(header(), exported()).replace(b"TABRLRWD\x01", b"TABRLRWD\x02", 1),
    "too long": b"TABRLRWD" + b"\0" * LONGEST_PROGRAM,
    "flipped bits": bytes(byte ^ 0x55 for byte in pack(header(), exported())),
    "other terms": pack(header(terms=("a",)), exported()),
    "bad term": pack(header(terms=("A B", "effort", "alive")), exported()),
    "other shapes": pack(header(inputs={"qvel": (4,), "xpos": (2, 3)}), exported()),
    "other action": pack(header(action_size=3), exported()),
    "other output": pack(header(), exported(lambda q, x, a: (q, q, q))),
    "integers": pack(header(), exported(lambda q, x, a: (jnp.argmax(q),) * 3)),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_programs_are_refused(data):
    with pytest.raises(ProgramRefused):
        RewardProgram.from_bytes(data)


def with_custom_call(qvel, xpos, action):
    values, _ = jnp.linalg.eigh(jnp.outer(qvel, qvel))
    return values[0], values[1], values[2]


def with_loop(qvel, xpos, action):
    total = jax.lax.fori_loop(0, 1000, lambda i, x: x + 1.0, qvel[0])
    return total, total, total


def with_much_memory(qvel, xpos, action):
    big = jnp.sum(jnp.zeros((300, 300)) + qvel[0])
    return big, big, big


def with_branch(qvel, xpos, action):
    found = jax.lax.while_loop(lambda x: x < 1e9, lambda x: x + 1.0, qvel[0])
    return found, found, found


def with_pairs_of_the_batch(qvel, xpos, action):
    # given one value for each pair of environments, whose number the size of one environment does not bound
    speeds = qvel[:, 0]
    apart = jnp.sum(jnp.abs(speeds[:, None] - speeds[None, :]), axis=1)
    return apart, apart, apart


def test_only_one_axis_may_be_of_any_length():
    (batch,) = export.symbolic_shape("b")
    shapes = [jax.ShapeDtypeStruct((batch, *shape), jnp.float32) for shape in (*INPUTS.values(), (2,))]
    program = export.export(jax.jit(with_pairs_of_the_batch), platforms=["cpu", "cuda"])(*shapes).serialize()
    with pytest.raises(ProgramRefused, match="only one axis"):
        RewardProgram.from_bytes(pack(header(), bytes(program)))


def test_the_batch_need_not_be_the_first_axis_of_every_value():
    # given a constant matrix times a vector, whose batch comes second inside the program
    turn = jnp.arange(9.0).reshape(3, 3)
    program = exported(lambda qvel, xpos, action: ((turn @ qvel)[0], qvel[0], qvel[0]))
    assert RewardProgram.from_bytes(pack(header(), program)).terms == ("speed", "effort", "alive")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (with_custom_call, "outside itself|which no reward needs"),
        (with_loop, "stablehlo.while"),
        (with_branch, "stablehlo.while"),
        (with_much_memory, "numbers"),
    ],
)
def test_programs_that_do_more_than_compute_terms_are_refused(function, reason):
    allowed = [export.DisabledSafetyCheck.custom_call("lapack_ssyevd_ffi")]
    data = pack(header(), exported(function, disabled_checks=allowed))
    with pytest.raises(ProgramRefused, match=reason):
        RewardProgram.from_bytes(data)


def test_the_header_survives_the_container():
    found, program = unpack(pack(header(), b"program"))
    assert found == header()
    assert program == b"program"
