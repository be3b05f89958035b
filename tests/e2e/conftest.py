"""One running TabRL for all tests of this folder, and a Chromium for each module."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from tabrl_cli.connection import Connection

from tests.e2e.browser_tab import PATIENCE_MS, Tab, chromium, tab
from tests.e2e.line import Line, line_to
from tests.e2e.package_registry import PackageRegistry, package_registry
from tests.e2e.trained import Trained, endless_run, train_and_register
from tests.stack.baked import Baker
from tests.stack.robots import few_robots
from tests.stack.running_stack import RunningStack, running_stack

_ROOT = Path(__file__).parents[2]
_FRONT_END = Path(os.environ.get("TABRL_FRONT_END", _ROOT / "frontend" / "web" / "dist"))


@pytest.fixture(scope="package", autouse=True)
def _patient() -> Iterator[None]:
    """What a busy machine shows late is still what a person sees."""
    expect.set_options(timeout=PATIENCE_MS)
    yield
    expect.set_options(timeout=None)


@pytest.fixture(scope="package")
def registry() -> Iterator[PackageRegistry]:
    """Where the stack looks for robots; no test of a page downloads any."""
    with package_registry() as served:
        yield served


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, baker: Baker, registry: PackageRegistry) -> Iterator[RunningStack]:
    """All of TabRL with the built page and two robots, for all tests of this folder."""
    with _fresh_stack(tmp_path_factory.mktemp("e2e"), baker, registry) as running:
        yield running


@pytest.fixture
def untouched_stack(tmp_path: Path, baker: Baker, registry: PackageRegistry) -> Iterator[RunningStack]:
    """The same for one test alone, in which nobody has trained anything."""
    with _fresh_stack(tmp_path, baker, registry) as running:
        yield running


@contextlib.contextmanager
def _fresh_stack(folder: Path, baker: Baker, registry: PackageRegistry) -> Iterator[RunningStack]:
    """Starts one whose environments are baked."""
    if not (_FRONT_END / "index.html").is_file():
        pytest.fail(f"{_FRONT_END} holds no built page; run `make install`")
    (folder / "dist").symlink_to(_FRONT_END, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABRL_ROBOTS", str(few_robots(folder / "robots")))
        for variable, value in registry.settings().items():
            patch.setenv(variable, value)
        baker.bake(folder / "data")
        with running_stack(folder) as running:
            yield running


@pytest.fixture(scope="package")
def connection(stack: RunningStack) -> Iterator[Connection]:
    """The way to the services that programs take."""
    opened = Connection(stack.url)
    yield opened
    opened.close()


@pytest.fixture(scope="package")
def trained(stack: RunningStack, connection: Connection) -> Trained:
    """A reward, a run and two policies, for whoever needs some."""
    return train_and_register(stack, connection)


@pytest.fixture
def run_id(stack: RunningStack, connection: Connection) -> Iterator[str]:
    """A run that goes on for as long as the test."""
    with endless_run(stack, connection) as started:
        yield started


@pytest.fixture
def line(stack: RunningStack) -> Iterator[Line]:
    """A line to the gateway that can be cut."""
    with line_to(stack.topology.port) as opened:
        yield opened


# Playwright keeps an event loop running while it is open, beside which no asynchronous test of another module can run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, drawing on the CPU."""
    with sync_playwright() as playwright, chromium(playwright) as started:
        yield started


@pytest.fixture
def person(stack: RunningStack, browser: Browser) -> Iterator[Tab]:
    """A fresh tab."""
    with tab(browser, stack.url) as opened:
        yield opened


@pytest.fixture
def newcomer(untouched_stack: RunningStack, browser: Browser) -> Iterator[Tab]:
    """The first tab of a TabRL in which nothing was trained."""
    with tab(browser, untouched_stack.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def laboratory(stack: RunningStack, browser: Browser) -> Iterator[Tab]:
    """A tab with a robot in it, whose physics engine and ONNX runtime many measurements share."""
    with tab(browser, stack.url) as opened:
        opened.open("/?env=PendulumSwingup")
        opened.until_alive()
        opened.click("play-pause")
        yield opened
