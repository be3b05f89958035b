"""The jailed trial: honest bundles pass, and those that break a reader break only the jail."""

from __future__ import annotations

import pytest
from tabrl.play import forging
from tabrl.play.bundle import BundleError, write_bundle
from tabrl.play.sample import sample_contents

from tabrl_exporter.trials import try_in_jail


async def test_an_honest_bundle_passes() -> None:
    await try_in_jail(write_bundle(sample_contents()))


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
    # Given a scene of twenty height fields of the largest size that is let through: 5 GB
    fields = "".join(f'<hfield name="h{n}" nrow="8192" ncol="8192" size="1 1 1 1"/>' for n in range(20))
    xml = forging.sample_files()["scene/scene.xml"].replace(b"<asset>", f"<asset>{fields}".encode())
    with pytest.raises(BundleError) as caught:
        await try_in_jail(forging.with_scene(xml, {}))
    assert caught.value.rule in ("TRIAL_TOO_HEAVY", "TRIAL_SCENE")
