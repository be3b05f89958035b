"""A robot that nobody has seen before, from a person's own file to a policy that drives it in the tab."""

from __future__ import annotations

import io
import zipfile

from playwright.sync_api import expect

from tests.e2e.browser_tab import Tab

TRAINING_SECS = 300.0

# Four legs of two joints each under a trunk that a mesh draws.
LEG = """
      <body name="{name}" pos="{x} {y} 0">
        <joint name="{name}-hip" axis="0 1 0" range="-1 1"/>
        <geom type="capsule" fromto="0 0 0 0 0 -.15" size=".02"/>
        <body name="{name}-shin" pos="0 0 -.15">
          <joint name="{name}-knee" axis="0 1 0" range="-1.5 0.1"/>
          <geom type="capsule" fromto="0 0 0 0 0 -.15" size=".02"/>
        </body>
      </body>"""
LEGS = {"fl": (0.2, 0.1), "fr": (0.2, -0.1), "rl": (-0.2, 0.1), "rr": (-0.2, -0.1)}
SCENE = f"""<mujoco model="crawler">
  <compiler angle="radian"/>
  <default><joint damping="0.2" armature="0.01"/><position kp="12" ctrlrange="-1.5 1"/></default>
  <asset><mesh name="trunk" file="trunk.obj" scale=".25 .1 .04"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 .1"/>
    <body name="trunk" pos="0 0 .34">
      <freejoint/>
      <geom type="mesh" mesh="trunk" mass="2"/>{"".join(LEG.format(name=n, x=x, y=y) for n, (x, y) in LEGS.items())}
    </body>
  </worldbody>
  <actuator>{"".join(f'<position joint="{name}-{joint}"/>' for name in LEGS for joint in ("hip", "knee"))}</actuator>
</mujoco>"""
CUBE = (
    "\n".join(f"v {x} {y} {z}" for x in (-1, 1) for y in (-1, 1) for z in (-1, 1))
    + """
f 1 2 4 3
f 5 7 8 6
f 1 5 6 2
f 3 4 8 7
f 1 3 7 5
f 2 6 8 4
"""
)


def test_a_person_brings_a_robot_and_trains_it(person: Tab) -> None:
    # given a zip with a scene and its mesh, in a folder as people pack them
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("crawler/scene.xml", SCENE)
        archive.writestr("crawler/trunk.obj", CUBE)
    person.open()

    # when the person uploads it, then it is there, alive, and is said to be theirs
    person.page.get_by_test_id("upload-file").set_input_files(
        {"name": "crawler.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
    )
    person.see("prompt")
    person.until_alive()
    tick = person.tick()
    assert tick is not None
    assert len(tick["qpos"]) == 7 + 2 * len(LEGS)
    person.screenshot("upload-1-robot")

    # and a reward is written for it, from how it stands
    person.click("example-prompt")
    person.click("generate")
    person.see("reward-terms")
    expect(person.part("reward-source")).to_contain_text('state.body_height("trunk")')

    # and its training gives policies that drive it here, beside the reward's terms
    person.click("train")
    person.see("checkpoint-item", within_secs=TRAINING_SECS)
    person.until_driven()
    person.until(lambda: (person.tick() or {}).get("terms"), what="the reward's terms")
    person.screenshot("upload-2-driven")
    person.click("cancel-run")
    person.click("confirm-cancel-run")

    # and it is found in the gallery
    person.open()
    person.page.get_by_text("crawler", exact=False).first.wait_for()
    assert person.player_errors() == []
    assert person.problems == []
