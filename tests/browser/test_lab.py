"""What a lab engineer does in a browser, by clicks; the interfaces behind the pages are only asked what came of it.

One lab serves all tests, which follow each other in it as the days of a lab do: an edit is what the next one trains.
"""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Dagster, Lab, wait_for

pytestmark = pytest.mark.browser

OVERLAPS = (Path(__file__).parent / "overlaps.js").read_text(encoding="utf-8")
LONG_TRAINING = 150
"""Steps of a training that is terminated in the middle."""

WITHIN_S = 300.0
"""On a quiet machine an edit or a change by others is seen within a minute; other tests may take most of this one."""

COLUMNS = (
    "cmet.method", "cmet.backbone", "acc_emo", "cmet.interval", "cmet.held_out", "cmet.seed", "cmet.differs",
)  # fmt: skip
"""By which runs are compared."""

UNSYNCED = re.compile("^Unsynced")


TRAINED = {"train_facemesh", "edits_facemesh", "timing_facemesh", "evaluate_facemesh", "report"}
"""Assets of the training and of what stands below it."""


def test_what_dvc_has_is_shown_without_a_click(dagster: Dagster) -> None:
    dagster.wait_for_stale(set(), WITHIN_S)
    assert dagster.runs() == []


def test_an_edit_is_seen_on_what_it_makes_out_of_date_without_a_reload(page: Page, lab: Lab, dagster: Dagster) -> None:
    page.goto(f"{dagster.url}/assets/edits_facemesh")
    page.get_by_text("Latest materialization").wait_for()
    expect(page.get_by_text(UNSYNCED)).to_have_count(0)
    lab.replace_in_params("num_steps: 6", f"num_steps: {LONG_TRAINING}")
    page.get_by_text(UNSYNCED).first.wait_for(timeout=1000 * WITHIN_S)
    dagster.wait_for_stale(TRAINED, WITHIN_S)
    # DVC itself names what reads the parameter, and not what stands below that; the report prints all of them
    assert lab.out_of_date() == {"train@facemesh", "report"}


def test_no_stage_runs_below_one_that_is_out_of_date(page: Page, lab: Lab, dagster: Dagster) -> None:
    before = (lab.root / "reports/summary.json").read_bytes()
    run = materialize(page, dagster, "report")
    assert run["status"] == "FAILURE"
    page.goto(f"{dagster.url}/runs/{run['id']}")
    page.get_by_text(re.compile("train_facemesh is out of date")).first.wait_for()
    assert (lab.root / "reports/summary.json").read_bytes() == before


def test_a_training_that_is_terminated_leaves_nothing_running_and_goes_on_later(
    page: Page, lab: Lab, dagster: Dagster
) -> None:
    page.goto(f"{dagster.url}/assets/train_facemesh")
    run = begin(page, dagster, "Materialize")
    checkpoints = lab.root / ".work/train-facemesh"
    wait_for(lambda: [*checkpoints.glob("*/checkpoint.pt")], "a checkpoint", WITHIN_S)
    # so that it is not done before the browser has pressed the button
    with lab.held("cmet train"):
        page.goto(f"{dagster.url}/runs/{run['id']}")
        button(page, "Terminate").click()
        page.get_by_role("dialog").get_by_role("button", name=re.compile("Terminate")).click()
    wait_for(lambda: dagster.runs()[0]["status"] == "CANCELED", "the run to be canceled", WITHIN_S)
    wait_for(lambda: not lab.running("cmet train") and not lab.running("dvc", "repro"), "the training to end", WITHIN_S)
    again = materialize(page, dagster, "train_facemesh")
    assert again["status"] == "SUCCESS"
    assert re.search(r"goes on from step [1-9]", dagster.said(again["id"]))


def test_materializing_all_leaves_nothing_to_do(page: Page, lab: Lab, dagster: Dagster) -> None:
    assert lab.out_of_date()
    page.goto(f"{dagster.url}/asset-groups")
    begin(page, dagster, "Materialize all")
    run = dagster.wait_for_end(timeout_s=1800)
    assert run["status"] == "SUCCESS", dagster.said(run["id"])[-3000:]
    assert lab.out_of_date() == set()
    dagster.wait_for_stale(set(), WITHIN_S)


def test_an_experiment_of_the_form_runs_beside_the_workspace(page: Page, lab: Lab, dagster: Dagster) -> None:
    before = lab.git("status", "--porcelain"), (lab.root / "params.yaml").read_bytes()
    page.goto(f"{dagster.url}/locations/cmet/jobs/experiment/playground")
    page.locator(".CodeMirror-lines").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("{name: fewer-resamples, evaluate: {num_bootstrap: 40}}")
    begin(page, dagster, "Launch Run")
    run = dagster.wait_for_end()
    assert run["status"] == "SUCCESS", dagster.said(run["id"])[-3000:]
    assert (lab.git("status", "--porcelain"), (lab.root / "params.yaml").read_bytes()) == before
    assert "fewer-resamples" in lab.dvc("exp", "list", "--name-only")
    assert "num_bootstrap" in lab.dvc("params", "diff", "HEAD", "fewer-resamples")


def test_mlflow_opens_with_the_runs_and_compares_them(page: Page, mlflow: str) -> None:
    # the table draws only the columns that fit
    page.set_viewport_size({"width": 2400, "height": 900})
    page.goto(mlflow)
    for column in COLUMNS:
        page.get_by_role("columnheader").filter(has_text=re.compile(rf"^{re.escape(column)}$")).first.wait_for()
    page.get_by_label("Select all runs").click()
    button(page, "Compare").click()
    page.get_by_text(re.compile(r"Comparing [2-9]\d* Runs")).first.wait_for()
    page.get_by_text("acc_emo", exact=True).first.wait_for()


def test_the_registry_shows_which_model_is_the_champion(page: Page, lab: Lab, mlflow: str) -> None:
    lab.run("cmet", "promote")
    page.goto(f"{mlflow}/#/models")
    # a browser's first look at the registry begins with a notice
    button(page, "Try it now").click()
    page.get_by_role("link", name="cmet-facemesh").first.click()
    page.get_by_text(re.compile("champion")).first.wait_for()


@pytest.mark.parametrize("width", [1280, 1080, 768, 390])
def test_the_report_fits(page: Page, lab: Lab, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((lab.root / "reports/index.html").as_uri())
    for are_open in (False, True):
        page.evaluate("open => document.querySelectorAll('details').forEach(part => part.open = open)", are_open)
        found = page.evaluate(OVERLAPS)
        assert found["num_texts"] > 100
        assert found == {**found, "overlapping": [], "outside": [], "small": [], "cut": []}


def test_every_clip_of_the_report_plays(page: Page, lab: Lab) -> None:
    page.goto((lab.root / "reports/index.html").as_uri())
    clips = page.locator("video")
    assert clips.count() > 0
    for place in range(clips.count()):
        clip = clips.nth(place)
        clip.scroll_into_view_if_needed()
        wait_for(lambda clip=clip: clip.evaluate("clip => clip.readyState >= 2"), "a frame", WITHIN_S)
        # a picture of one colour is what a broken clip shows
        assert clip.evaluate(NUM_COLOURS) > 100
        assert clip.evaluate("clip => clip.duration") > 0.5


NUM_COLOURS = """clip => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [clip.videoWidth, clip.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(clip, 0, 0);
  const words = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  return new Set(words).size;
}"""


def button(page: Page, name: str) -> Locator:
    """The button with this text and no more, but for icons and how many assets it is about."""
    return page.get_by_role("button").filter(has_text=re.compile(rf"^\W*{name}\W*(\(\d+\))?\W*$")).first


def begin(page: Page, dagster: Dagster, name: str) -> dict:
    """Press the button of this name, wait for its run, and leave the page, which asks Dagster again and again."""
    num_before = len(dagster.runs())
    button(page, name).click()
    wait_for(lambda: len(dagster.runs()) > num_before, "the run to begin", WITHIN_S)
    page.goto("about:blank")
    return dagster.runs()[0]


def materialize(page: Page, dagster: Dagster, asset: str) -> dict:
    """Press the button on the page of an asset, and wait until its run has ended."""
    page.goto(f"{dagster.url}/assets/{quote(asset)}")
    begin(page, dagster, "Materialize")
    return dagster.wait_for_end()
