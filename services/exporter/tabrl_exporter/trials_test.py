"""The jailed trial: honest bundles pass, and those that break a reader break only the jail."""

from __future__ import annotations

from pathlib import Path

import pytest
from tabrl.play import forging
from tabrl.play.bundle import BundleError, write_bundle
from tabrl.play.sample import sample_contents

from tabrl_exporter.trials import try_in_jail


async def test_an_honest_bundle_passes() -> None:
    await try_in_jail(write_bundle(sample_contents()))


@pytest.mark.parametrize(
    "answer",
    [
        b'{"refused": 1}',
        b'{"refused": {"rule": "DIGEST"}}',
        b'["unavailable"]',
        b'["passed"]',
        b'"passed"',
        b"null",
        b"1",
        b"[" * (60 << 10),
        b"[" * (100 << 10),
        b"\xff{",
        b"",
        b'{"passed": 1}',
        b"1" * 5_000,
    ],
    ids=lambda answer: f"{answer[:20]!r} of {len(answer)}",
)
async def test_what_is_no_answer_of_the_jail_is_a_refusal(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a jail in which a bundle has taken over the reader, and answers in its place
    taken_over = tmp_path / "reader"
    (tmp_path / "answer").write_bytes(answer)
    taken_over.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
    taken_over.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(taken_over))

    # when a bundle is tried, then it is refused
    with pytest.raises(BundleError) as caught:
        await try_in_jail(write_bundle(sample_contents()))
    assert caught.value.rule == "TRIAL_TOO_HEAVY"


async def test_what_the_reader_and_the_players_refuse_is_told_by_rule_and_file() -> None:
    honest = write_bundle(sample_contents())
    with pytest.raises(BundleError) as caught:
        await try_in_jail(honest[:-3])
    assert caught.value.rule == "NOT_A_ZIP"

    xml = forging.sample_files()["scene/scene.xml"].replace(b'joint="hinge"', b'joint="none"')
    with pytest.raises(BundleError) as caught:
        await try_in_jail(forging.with_scene(xml, {}))
    assert (caught.value.rule, caught.value.file) == ("TRIAL_SCENE", "scene/scene.xml")


async def test_a_scene_that_takes_too_much_memory_ends_the_jail_alone() -> None:
    # Given a scene of 700 bodies, each with as many numbers of its own as are let through: 5.6 GB
    bodies = "<body/>" * 700
    xml = forging.sample_files()["scene/scene.xml"].replace(b"<asset>", b'<size nuser_body="1000000"/><asset>')
    xml = xml.replace(b"</worldbody>", f"{bodies}</worldbody>".encode())
    with pytest.raises(BundleError) as caught:
        await try_in_jail(forging.with_scene(xml, {}))
    assert caught.value.rule in ("TRIAL_TOO_HEAVY", "TRIAL_SCENE")
