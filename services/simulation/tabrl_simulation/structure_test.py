import mujoco
import pytest

from tabrl_simulation.structure import Actuator, Body, Joint, JointType, Sensor, describe

_ARM = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 1"/>
    <body name="base" pos="0 0 1">
      <freejoint name="root"/>
      <geom type="sphere" size="0.1" mass="2"/>
      <site name="imu"/>
      <body name="arm">
        <joint name="shoulder" type="hinge" range="-90 90"/>
        <joint name="reach" type="slide"/>
        <geom name="bone" type="capsule" fromto="0 0 0 1 0 0" size="0.05" mass="0.5"/>
      </body>
    </body>
  </worldbody>
  <tendon><fixed name="string"><joint joint="shoulder" coef="1"/><joint joint="reach" coef="2"/></fixed></tendon>
  <actuator>
    <motor name="lift" joint="shoulder" gear="30" ctrlrange="-1 1"/>
    <position name="pull" tendon="string"/>
  </actuator>
  <sensor>
    <gyro name="turn" site="imu"/>
    <subtreelinvel name="speed" body="base"/>
    <jointpos joint="shoulder"/>
  </sensor>
</mujoco>
"""


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(_ARM)


def test_describe_lists_every_part_in_the_order_of_its_id(model: mujoco.MjModel) -> None:
    structure = describe(model)

    assert structure.bodies == (Body("world", 0, 0.0), Body("base", 0, 2.0), Body("arm", 1, 0.5))
    assert structure.joints == (
        Joint("root", JointType.FREE, 1, 0, 0, None),
        Joint("shoulder", JointType.HINGE, 2, 7, 6, pytest.approx((-1.5707963, 1.5707963))),
        Joint("reach", JointType.SLIDE, 2, 8, 7, None),
    )
    assert structure.actuators == (
        Actuator("lift", "shoulder", (-1.0, 1.0), 30.0),
        Actuator("pull", "string", None, 1.0),
    )
    assert structure.sensors == (
        Sensor("turn", "gyro", 0, 3, "imu"),
        Sensor("speed", "subtreelinvel", 3, 3, "base"),
        Sensor("", "jointpos", 6, 1, "shoulder"),
    )
    assert structure.sites == ("imu",)
    assert structure.geoms == ("floor", "", "bone")
    assert (structure.nq, structure.nv, structure.nu, structure.na) == (9, 8, 2, 0)
    assert structure.mass_kg == pytest.approx(2.5)


def test_an_empty_model_has_only_the_world() -> None:
    structure = describe(mujoco.MjModel.from_xml_string("<mujoco/>"))
    assert structure.bodies == (Body("world", 0, 0.0),)
    assert structure.joints == structure.actuators == structure.sensors == ()
