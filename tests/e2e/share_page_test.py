"""A shared page, unpacked and served by a plain web server under some path, plays its policy in a real browser."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from playwright.sync_api import Browser, expect, sync_playwright
from tabrl.exporter.v1 import exporter_pb2, manifest_pb2
from tabrl.play import manifest_json
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_exporter.share_page import pack_share_page
from tabrl_simulation.controllers import build
from tabrl_simulation.controllers.untrained import untrained_checkpoint

from tests.e2e.browser_tab import DESKTOP, PATIENCE_MS, PHONE, Scheme, Screen, Tab, chromium

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "frontend" / "web" / "dist-share"
ENVIRONMENT = "CartpoleBalance"
TITLE = "Hold the pole upright"
PROMPT = "Keep the pole upright while the cart sways gently from side to side, as if it were listening to music"
# A name of this machine that is not one of those a browser trusts without https.
HOST = "robots.test"


def policy_in(store: ArtifactStore) -> exporter_pb2.Policy:
    """A policy with its files in the store, and with all that a card can show."""
    bench = build.prepare(ENVIRONMENT)
    made = build.build_controller(bench, untrained_checkpoint(bench.environment), None, checkpoint_sha256="c" * 64)
    store.put(made.scene.xml.encode(), "application/xml")
    for content in made.scene.assets.values():
        store.put(content)
    manifest = json_format.Parse(manifest_json.dumps(made.manifest), manifest_pb2.ControllerManifest())
    del manifest.licences[:]
    manifest.licences.add(covers="robot dm_control cartpole", spdx_id="Apache-2.0", text="Apache License\n" * 40)
    manifest.licences.add(covers="environment", spdx_id="LicenseRef-unknown")
    policy = exporter_pb2.Policy(
        policy_id="pq7x2shared0000000",
        environment_id=ENVIRONMENT,
        title=TITLE,
        run_id="run-4f1c",
        env_steps=2_400_000,
        checkpoint_sha256="c" * 64,
        controller=store.put(made.onnx),
        manifest=store.put(json_format.MessageToJson(manifest).encode(), "application/json"),
        parity=exporter_pb2.ParityReport(
            states=240, passed=True, outputs=[exporter_pb2.OutputDifference(name="ctrl", max_difference=3.2e-7)]
        ),
        lineage=manifest_pb2.ControllerLineage(prompt=PROMPT, parent_checkpoint_sha256="ab12" * 16),
    )
    policy.create_time.FromJsonString("2026-11-20T10:00:00Z")
    policy.measurements.add(episodes=10, seed=1, mean_return=871.4, std_return=12.2, mean_survived=1.0)
    return policy


@dataclasses.dataclass
class Served:
    """A page on a web server."""

    folder: Path
    path: str
    port: int

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        return f"http://127.0.0.1:{self.port}{self.path}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page of a policy, unpacked into a folder of Python's own web server."""
    if not (PAGE / "index.html").is_file():
        pytest.fail(f"{PAGE} holds no built page; run `make install`")
    store = ArtifactStore(tmp_path_factory.mktemp("store"))
    packed = pack_share_page(policy_in(store), PAGE, store)
    public = tmp_path_factory.mktemp("public")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        archive.extractall(public / "people" / "robots")
    (folder,) = (public / "people" / "robots").iterdir()
    handler = functools.partial(_Quiet, directory=str(public))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Served(folder, f"/people/robots/{folder.name}/", server.server_address[1])
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for which a name leads to this machine."""
    with (
        sync_playwright() as playwright,
        chromium(playwright, f"--host-resolver-rules=MAP {HOST} 127.0.0.1") as started,
    ):
        yield started


@contextlib.contextmanager
def visitor(browser: Browser, screen: Screen, *, scheme: Scheme = "light") -> Iterator[Tab]:
    """A tab of somebody to whom the page was given."""
    context = browser.new_context(
        viewport=screen.size,
        color_scheme=scheme,
        has_touch=screen.touch,
        is_mobile=screen.touch,
        device_scale_factor=2 if screen.touch else 1,
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield Tab(context.new_page(), "", screen, scheme)
    finally:
        context.close()


def stands(tab: Tab) -> dict[str, Any] | None:
    """The newest tick, where none came after it for half a second."""
    tick = tab.tick()
    tab.page.wait_for_timeout(500)
    return tick if tab.tick() == tick else None


def step(tab: Tab) -> int:
    tick = tab.tick()
    return tick["step"] if tick else 0


def test_a_visitor_sees_the_robot_driven_and_what_there_is_to_know(served: Served, browser: Browser) -> None:
    with visitor(browser, DESKTOP) as tab:
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))

        # when the page is opened where it was put
        tab.open(served.url)
        tab.see("driven")
        tab.until_alive()

        # then the robot moves, driven by the policy and not by chance
        first = tab.tick()
        assert first is not None
        assert first["driven"]
        tab.until(lambda: (tick := tab.tick()) and tick["qpos"] != first["qpos"], what="a moving robot")
        # what it earns is told as it comes
        tab.until(lambda: tab.text("episode-return") not in ("", "0"), what="a return")
        assert len(first["terms"]) >= 1
        # and the card says what it is
        for said in (TITLE, PROMPT, "2.4M steps", "ab12ab12ab12", "240 states", "Apache-2.0", "871"):
            expect(tab.part("card")).to_contain_text(said)
        expect(tab.part("parity")).to_contain_text("differs by more than 3.2")
        expect(tab.page).to_have_title(f"{TITLE} · TabRL")
        licences = tab.page.request.get(tab.page.get_by_text("Licences of the software").evaluate("link => link.href"))
        assert licences.ok
        assert "@mujoco/mujoco" in licences.text()
        # all from the folder itself, and nothing was missing
        assert asked
        assert [url for url in asked if not url.startswith((served.url, "data:", "blob:"))] == []
        assert tab.problems == []
        tab.screenshot("share-page")


def test_a_visitor_pauses_starts_over_and_slows_down(served: Served, browser: Browser) -> None:
    with visitor(browser, DESKTOP, scheme="dark") as tab:
        tab.open(served.url)
        tab.see("driven")
        tab.until(lambda: step(tab) > 30, what="some ticks")

        # when it is paused, it stands
        tab.click("play-pause")
        paused = tab.until(lambda: stands(tab), what="a robot that stands still")
        tab.screenshot("share-page-paused")

        # when it is started over, it begins again
        tab.click("reset")
        tab.until(lambda: step(tab) < paused["step"], what="a new episode")

        # when it is slowed down, it is slow
        tab.click("speed-0.25")
        tab.click("play-pause")
        tab.until(lambda: step(tab) > 60, what="slow ticks")
        assert tab.tick()["realTimeFactor"] < 0.5
        assert tab.problems == []


def test_it_works_on_a_telephone_over_plain_http(served: Served, browser: Browser) -> None:
    with visitor(browser, PHONE) as tab:
        # given a host that the browser does not trust to let pages hash
        tab.open(f"http://{HOST}:{served.port}{served.path}")
        assert tab.page.evaluate("() => window.isSecureContext") is False

        # when the page is opened, then the robot moves all the same
        tab.see("driven")
        tab.until_alive()
        # and all of it fits the width
        assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= PHONE.width
        tab.page.get_by_test_id("play-pause").tap()
        tab.screenshot("share-page")
        tab.page.get_by_test_id("parity").scroll_into_view_if_needed()
        tab.screenshot("share-page-card")
        assert tab.problems == []


def test_a_file_that_is_not_what_it_was_is_not_played(served: Served, browser: Browser) -> None:
    # given a page of whose files one was changed where it is served
    policy = json_format.Parse((served.folder / "policy.json").read_bytes(), exporter_pb2.Policy())
    graph = served.folder / "files" / policy.controller.sha256
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1] + b"!")
    try:
        with visitor(browser, DESKTOP) as tab:
            # when it is opened
            tab.open(served.url)

            # then that is said, and nothing drives
            expect(tab.part("error")).to_contain_text("SHA-256")
            assert tab.player_errors()[0]["code"] == "DIGEST_MISMATCH"
            tab.screenshot("share-page-damaged")
    finally:
        graph.write_bytes(whole)


def test_opened_from_a_disk_it_says_what_to_do(served: Served, browser: Browser) -> None:
    with visitor(browser, DESKTOP) as tab:
        tab.open((served.folder / "index.html").as_uri())

        expect(tab.page.locator("body")).to_contain_text("python3 -m http.server")
