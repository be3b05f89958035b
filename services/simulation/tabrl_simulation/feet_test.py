"""Feet are found where people would say that they are."""

import mujoco
import pytest

from tabrl_simulation import environments
from tabrl_simulation.feet import find_feet


@pytest.mark.parametrize(
    ("environment_id", "feet"),
    [
        ("WalkerWalk", ["right_foot", "left_foot"]),
        ("CheetahRun", ["bfoot", "ffoot"]),
        ("HopperHop", ["foot"]),
        ("HumanoidStand", ["right_foot", "left_foot"]),
        ("CartpoleBalance", []),  # its cart slides sideways alone
        ("BallInCup", []),  # its ball falls, but nothing in it is driven
        ("FishSwim", []),  # it is weightless
        ("SwimmerSwimmer6", []),
    ],
)
def test_feet_are_the_last_bodies_of_the_legs(environment_id: str, feet: list[str]) -> None:
    assert [foot.name for foot in find_feet(environments.load(environment_id).model)] == feet


def test_feet_of_robots_whose_geoms_collide_in_pairs_alone_are_found() -> None:
    xml = """<mujoco>
      <worldbody>
        <geom name="floor" type="plane" size="1 1 1" contype="0" conaffinity="0"/>
        <body name="trunk" pos="0 0 0.5">
          <freejoint/><geom size="0.1" contype="0" conaffinity="0"/>
          <body name="leg" pos="0 0 -0.2"><joint name="knee" axis="0 1 0"/>
            <geom name="sole" type="capsule" fromto="0 0 0 0 0 -0.2" size="0.04" contype="0" conaffinity="0"/>
          </body>
        </body>
      </worldbody>
      <contact><pair geom1="floor" geom2="sole"/></contact>
      <actuator><motor joint="knee"/></actuator>
    </mujoco>"""
    (foot,) = find_feet(mujoco.MjModel.from_xml_string(xml))
    assert foot.name == "leg"
    assert foot.geoms[0].radius_m == pytest.approx(0.04)
    assert foot.geoms[0].half_m == pytest.approx((0.0, 0.0, 0.1))
