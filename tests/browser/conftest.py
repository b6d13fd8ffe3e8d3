"""A browser, a lab, its servers, and pages that leave a picture behind when a test fails."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.lab import Dagster, Lab

NAMES = ("chromium", "chromium-browser", "google-chrome")

PATIENCE_MS = 180_000
"""Other tests run on the machine of the pages."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep whether the test itself has failed where fixtures see it."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A window of 1400 x 900 in the browser of this machine: `CHROMIUM`, or what the system's package installs.

    It keeps what its pages have fetched and compiled, as a person's does. CI has to have a browser.
    """
    named = os.environ.get("CHROMIUM")
    path = next((found for name in ((named,) if named else NAMES) if (found := shutil.which(name))), None)
    if path is None:
        said = f"no browser ({named or ', '.join(NAMES)}): install the package chromium, or name one with CHROMIUM"
        if os.environ.get("CI") == "true":
            pytest.fail(said, pytrace=False)
        pytest.skip(said)
    # Chromium has no sandbox for root, which is who runs a container
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    # a graphics card that is not there is not imitated, and needs no process
    arguments += ["--disable-gpu", "--in-process-gpu"]
    with sync_playwright() as playwright:
        window = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=path,
            args=arguments,
            viewport={"width": 1400, "height": 900},
            reduced_motion="reduce",
        )
        yield window
        window.close()


@pytest.fixture(scope="session")
def browser(window: BrowserContext) -> Browser:
    """The browser of the window, for windows of other people."""
    assert window.browser is not None
    return window.browser


@pytest.fixture
def page(
    window: BrowserContext, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """A page in the window; when the test fails, its picture is kept, and pytest says where."""
    page = window.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    if request.node.stash.get(FAILED, False) and not page.is_closed():
        picture = tmp_path_factory.getbasetemp() / f"{request.node.name}.png"
        page.screenshot(path=picture)
        print(f"screenshot: {picture} of {page.url}")
    page.close()


@pytest.fixture(scope="session")
def lab(browser: Browser, empty_store: Path, small_line: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A small project in which every stage has run; without a browser it is not made."""
    if not (Path(__file__).parents[2] / ".git").exists():
        pytest.skip("git says which files the lab is made of")
    lab = Lab.make(tmp_path_factory.mktemp("lab"))
    shutil.copy(empty_store, lab.root / "mlflow.db")
    lab.take_over(small_line / "project")
    return lab


@pytest.fixture(scope="module")
def dagster(lab: Lab) -> Iterator[Dagster]:
    """Dagster of the lab; it looks after the project for as long as it is there, and ends with the tests of it."""
    with lab.serve_dagster() as dagster:
        yield dagster


@pytest.fixture(scope="module")
def mlflow(lab: Lab) -> Iterator[str]:
    """Address of MLflow of the lab."""
    with lab.serve_mlflow() as url:
        yield url
