"""What a person does on the page of `cmet studio`, in a browser; one server serves all tests but those of a password.

Each server is ended by its last test, so that nothing has to be started to see how it ends.
"""

import shutil
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner

from cmet.cli import app
from cmet.media.sound import read_sound, write_sound
from cmet.media.video import read_video, write_video
from cmet.studio.folders import LOCK
from cmet.studio.guards import MAX_WRONG
from cmet.studio.sessions import MAX_KEPT_BYTES
from tests.browser import gated_studio
from tests.browser.lab import wait_for
from tests.browser.studio import ServedStudio, StudioVisitor, served_studio, write_long
from tests.smoke_edit import write_smoke_edit

pytestmark = pytest.mark.browser

WITHIN_S = 120.0
FPS, RATE_HZ = 10, 16_000
"""Of the actor's video, which has every third frame of what is drawn."""

SHORT_S = 1.2
"""Of the same, which nearly every test has read and edited."""

OVERLAPS = (Path(__file__).parent / "overlaps.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def actor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn actor: `neutral.mp4`, `neutral.wav`, `happy.wav`; `long.mp4` lasts four seconds."""
    folder = tmp_path_factory.mktemp("actors") / "actor"
    write_smoke_edit(folder)
    neutral = read_video(folder / "neutral.mp4").frames[::3][: int(SHORT_S * FPS)]
    sound = read_sound(folder / "neutral.wav", RATE_HZ)[: int(SHORT_S * RATE_HZ)]
    write_sound(folder / "neutral.wav", sound, RATE_HZ)
    write_video(folder / "neutral.mp4", neutral, FPS, folder / "neutral.wav")
    write_long(folder / "neutral.mp4", folder / "long.mp4", 100)
    return folder


@pytest.fixture(scope="module")
def studio(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedStudio]:
    """The page; without a browser it is not served."""
    program = (sys.executable, gated_studio.__file__)
    with served_studio(tmp_path_factory.mktemp("studio"), program=program) as studio:
        yield studio


@pytest.fixture(scope="module")
def guarded(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedStudio]:
    """The page for other machines, behind a password."""
    options = ("--host", "0.0.0.0", "--password", "secret")
    with served_studio(tmp_path_factory.mktemp("guarded"), *options) as studio:
        yield studio


@pytest.fixture
def visitor(page: Page, studio: ServedStudio) -> StudioVisitor:
    return StudioVisitor(page, studio.url)


def command_line(actor: Path, out: Path, *options: str) -> np.ndarray:
    """Frames that `cmet edit` writes."""
    # in this process: a new one takes longer to import what it needs than to edit
    with chdir(actor):
        done = CliRunner().invoke(app, ["edit", "neutral.mp4", *options, "--out", str(out), "--quiet"])
    assert done.exit_code == 0, done.output
    return read_video(out).frames


def test_an_edit_from_a_video_to_the_saved_file(visitor: StudioVisitor, actor: Path, tmp_path: Path) -> None:
    requests: list[str] = []
    visitor.page.on("request", lambda request: requests.append(request.url))
    visitor.page.reload()
    visitor.open(actor / "neutral.mp4")
    visitor.choose("happy")
    shown = visitor.shown()
    visitor.press("ArrowRight", "moment")
    wait_for(lambda: visitor.shown() != shown, "another moment", WITHIN_S)
    visitor.make()
    saved = visitor.saved(tmp_path)
    expected = command_line(actor, tmp_path / "line.mp4", "--emotion", "happy")
    assert np.array_equal(read_video(saved).frames, expected)
    assert read_sound(saved, 16_000).any()
    elsewhere = [url for url in requests if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert len(requests) > 20
    assert elsewhere == []


def test_a_stronger_change_is_seen_before_and_in_the_video(visitor: StudioVisitor, actor: Path, tmp_path: Path) -> None:
    visitor.open(actor / "neutral.mp4")
    visitor.choose("sad")
    shown = visitor.shown()
    visitor.press("End", "strength")
    wait_for(lambda: visitor.shown() != shown, "the stronger preview", WITHIN_S)
    expect(visitor.page.locator("#auto input")).not_to_be_checked()
    visitor.make()
    expected = command_line(actor, tmp_path / "line.mp4", "--emotion", "sad", "--strength", "3")
    assert np.array_equal(read_video(visitor.saved(tmp_path)).frames, expected)


def test_a_voice_is_heard_and_what_was_heard_is_shown(visitor: StudioVisitor, actor: Path, tmp_path: Path) -> None:
    visitor.open(actor / "neutral.mp4")
    visitor.page.get_by_role("tab", name="By voice").click()
    visitor.page.get_by_text("give a recording of a voice with the emotion").wait_for()
    visitor.page.locator("#speech-files input[type=file]").set_input_files(actor / "happy.wav")
    visitor.page.get_by_text("give a calm recording too").wait_for()
    visitor.page.locator("#calm-files input[type=file]").set_input_files(actor / "neutral.wav")
    visitor.page.get_by_text("What was heard").wait_for()
    assert visitor.page.locator("#about-wishes .heard .number").count() >= 5
    first = visitor.make()
    visitor.page.get_by_role("tab", name="By name").click()
    visitor.choose("sad")
    visitor.make()
    visitor.page.locator("#history label").filter(has_text="1. as in happy.wav").click()
    wait_for(lambda: visitor.result() == first, "the first result", WITHIN_S)
    expect(visitor.page.locator("#history")).not_to_contain_text("/")
    options = ("--speech", "happy.wav", "--neutral-speech", "neutral.wav")
    expected = command_line(actor, tmp_path / "line.mp4", *options)
    assert np.array_equal(read_video(visitor.saved(tmp_path)).frames, expected)


def test_what_is_pressed_in_haste_counts(visitor: StudioVisitor, actor: Path, tmp_path: Path) -> None:
    visitor.open(actor / "neutral.mp4")
    visitor.page.get_by_role("tab", name="By voice").click()
    visitor.page.get_by_role("tab", name="By name").click()
    visitor.emotion("happy").click()
    visitor.emotion("sad").click()
    visitor.press("End", "strength")
    visitor.make()
    expect(visitor.page.locator("#strength input[type=number]")).to_have_value("3")
    expected = command_line(actor, tmp_path / "line.mp4", "--emotion", "sad", "--strength", "3")
    assert np.array_equal(read_video(visitor.saved(tmp_path)).frames, expected)


def test_a_face_follows_the_voice_on_the_page(visitor: StudioVisitor, actor: Path, tmp_path: Path) -> None:
    visitor.open(actor / "neutral.mp4")
    visitor.page.get_by_role("tab", name="By voice").click()
    # as long as the video, as it has to be
    visitor.page.locator("#speech-files input[type=file]").set_input_files(actor / "neutral.wav")
    visitor.page.locator("#calm-files input[type=file]").set_input_files(actor / "happy.wav")
    visitor.page.locator("#follow input").check()
    visitor.make()
    options = ("--speech", "neutral.wav", "--neutral-speech", "happy.wav", "--follow")
    expected = command_line(actor, tmp_path / "line.mp4", *options)
    assert np.array_equal(read_video(visitor.saved(tmp_path)).frames, expected)


def test_two_at_once_get_their_own_and_what_the_command_line_gives(
    visitor: StudioVisitor, browser: Browser, studio: ServedStudio, actor: Path, tmp_path: Path
) -> None:
    context = browser.new_context()
    visitors = [visitor, StudioVisitor(context.new_page(), studio.url)]
    for one in visitors:
        one.give(actor / "neutral.mp4")
    for one, emotion in zip(visitors, ("angry", "surprised"), strict=True):
        one.wait_until_read()
        one.choose(emotion)
    for one in visitors:
        one.page.locator("#go").click()
    for one, emotion in zip(visitors, ("angry", "surprised"), strict=True):
        wait_for(lambda one=one: one.result() != "", "both videos", WITHIN_S)
        folder = tmp_path / emotion
        expected = command_line(actor, folder / "line.mp4", "--emotion", emotion)
        assert np.array_equal(read_video(one.saved(folder)).frames, expected)
    context.close()


def test_a_video_that_is_given_meanwhile_is_not_taken_for_the_one_that_is_made(
    visitor: StudioVisitor, actor: Path
) -> None:
    visitor.open(actor / "long.mp4")
    visitor.choose("happy")
    visitor.page.locator("#go").click()
    visitor.page.locator("#stop").wait_for()
    visitor.page.get_by_label("Clear").first.click()
    visitor.open(actor / "neutral.mp4")
    visitor.page.locator("#about-result").get_by_text("This is of long.mp4, which was given before.").wait_for()
    # without a video, too, it is there to be saved
    visitor.page.get_by_label("Clear").first.click()
    expect(visitor.page.locator("#moment")).to_be_hidden()
    expect(visitor.page.locator("#save")).to_be_visible()


def test_a_model_that_is_not_here_is_greyed_with_its_command(visitor: StudioVisitor, actor: Path) -> None:
    visitor.open(actor / "neutral.mp4")
    visitor.page.get_by_text("More").click()
    for name, command in (
        ("edtalk, by the authors", "cmet weights get --for edit"),
        ("pdfgc", "cmet weights get pdfgc-"),
    ):
        entry = visitor.page.locator("#models [role=radio]").filter(has_text=name)
        expect(entry).to_be_disabled()
        expect(entry.locator("code")).to_contain_text(command)


def test_cancel_in_the_middle_leaves_nothing_and_the_next_goes_on(
    visitor: StudioVisitor, studio: ServedStudio, actor: Path
) -> None:
    visitor.open(shutil.copy(actor / "neutral.mp4", actor / gated_studio.WAITS))
    visitor.choose("happy")
    visitor.page.locator("#go").click()
    visitor.page.locator("#progress").get_by_text("changing the face").wait_for()
    visitor.page.locator("#stop").click()
    visitor.page.get_by_text("Cancelled; nothing was written.").wait_for()
    assert not any(path.suffix == ".mp4" and "made" in path.parts for path in studio.files if "waits" in path.name)
    visitor.page.get_by_label("Clear").first.click()
    expect(visitor.page.locator("#moment")).to_be_hidden()
    visitor.open(actor / "neutral.mp4")
    visitor.choose("sad")
    visitor.make()


def test_a_file_that_cannot_be_used_is_answered_in_a_sentence_and_the_next_one_is_taken(
    visitor: StudioVisitor, actor: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes((actor / "neutral.mp4").read_bytes()[:5_000])
    (tmp_path / "words.mp4").write_text("no video at all")
    shutil.copy(write_grey(tmp_path), tmp_path / "noface.mp4")
    fault = visitor.page.locator("#about-video [role=alert]")
    for name, said in (
        ("broken.mp4", "broken.mp4"),
        ("words.mp4", "words.mp4 is no video"),
        ("noface.mp4", "no face"),
    ):
        visitor.give(tmp_path / name)
        expect(fault).to_contain_text(said)
        # nothing else speaks of it
        expect(visitor.page.locator(".toast-item")).to_have_count(0)
        assert "/" not in fault.inner_text().replace("http://", "")
        visitor.page.get_by_label("Clear").or_(visitor.page.get_by_label("Remove")).first.click()
    visitor.open(actor / "neutral.mp4")


def test_a_full_page_takes_no_more_and_what_was_made_can_be_saved(
    visitor: StudioVisitor, studio: ServedStudio, actor: Path, tmp_path: Path
) -> None:
    shutil.copy(actor / "neutral.mp4", tmp_path / "full.mp4")
    visitor.open(tmp_path / "full.mp4")
    visitor.choose("happy")
    visitor.make()
    made = next(path for path in studio.files if path.name == "full-edited.mp4")
    with (made.parent / "large").open("wb") as stream:
        stream.truncate(MAX_KEPT_BYTES)
    said = "save what you need, and open the page anew"
    visitor.page.locator("#go").click()
    expect(visitor.page.locator("#progress [role=alert]")).to_contain_text(said)
    visitor.page.get_by_label("Clear").or_(visitor.page.get_by_label("Remove")).first.click()
    visitor.give(actor / "long.mp4")
    expect(visitor.page.locator("#about-video [role=alert]")).to_contain_text(said)
    assert visitor.saved(tmp_path).read_bytes() == made.read_bytes()


def write_grey(folder: Path) -> Path:
    write_sound(folder / "grey.wav", np.zeros(16_000, np.float32), 16_000)
    frames = (np.full((128, 128, 3), 90, np.uint8) for _ in range(25))
    write_video(folder / "grey.mp4", frames, 25, folder / "grey.wav", 20)
    return folder / "grey.mp4"


def test_what_the_camera_sees_is_taken(visitor: StudioVisitor) -> None:
    visitor.page.context.grant_permissions(["camera", "microphone"])
    visitor.page.get_by_label("Capture from camera").click()
    visitor.page.get_by_text("Click to Access Webcam").click()
    record = visitor.page.locator("#video .capture-button")
    record.click()
    visitor.page.wait_for_timeout(6000)
    record.click()
    # the camera of the browser shows no face
    fault = visitor.page.locator("#about-video [role=alert]")
    fault.wait_for()
    assert "face" in fault.inner_text()


def test_what_the_microphone_hears_is_taken(visitor: StudioVisitor, actor: Path) -> None:
    visitor.page.context.grant_permissions(["microphone"])
    visitor.open(actor / "neutral.mp4")
    visitor.page.get_by_role("tab", name="By voice").click()
    visitor.page.locator("#calm-files input[type=file]").set_input_files(actor / "neutral.wav")
    spoken = visitor.page.locator("#speech-spoken")
    spoken.get_by_role("button", name="Record", exact=True).click()
    visitor.page.wait_for_timeout(3000)
    spoken.get_by_role("button", name="Stop", exact=True).click()
    # the microphone of the browser beeps
    visitor.page.get_by_text("What was heard").wait_for()


def test_a_table_of_times_is_an_edit(visitor: StudioVisitor, actor: Path, tmp_path: Path) -> None:
    visitor.open(actor / "neutral.mp4")
    visitor.page.get_by_role("tab", name="By time").click()
    visitor.page.get_by_text("write the times of an emotion into the table").wait_for()
    for cell, text in (("0-0", "0"), ("0-1", "1"), ("0-2", "0.5 happy + 0.4 sad"), ("1-0", "1"), ("1-2", "angry")):
        visitor.write(cell, text)
    visitor.make()
    (actor / "times.csv").write_text("start,end,emotion\n0,1,0.5 happy + 0.4 sad\n1,,angry\n")
    expected = command_line(actor, tmp_path / "line.mp4", "--timeline", "times.csv")
    assert np.array_equal(read_video(visitor.saved(tmp_path)).frames, expected)


def test_a_password_stands_before_the_page(browser: Browser, guarded: ServedStudio) -> None:
    page = browser.new_page()
    page.goto(guarded.url.replace("0.0.0.0", "127.0.0.1"))
    page.get_by_label("username").fill("cmet")
    page.get_by_label("password").fill("secret")
    assert page.locator("#video").count() == 0
    page.get_by_role("button", name="Login").click()
    page.locator("#video").wait_for()
    page.close()
    # somebody else
    context = browser.new_context(viewport={"width": 390, "height": 700})
    page = context.new_page()
    page.goto(guarded.url.replace("0.0.0.0", "127.0.0.1"))
    expect(page.locator("body")).to_contain_text("After several wrong ones you have to wait a minute.")
    for _ in range(MAX_WRONG + 1):
        page.get_by_label("username").fill("cmet")
        page.get_by_label("password").fill("guess")
        with page.expect_response("**/login"):
            page.get_by_role("button", name="Login").click()
    page.get_by_text("Too many wrong passwords").wait_for()
    context.close()


def test_a_studio_that_is_stopped_leaves_nothing(guarded: ServedStudio) -> None:
    folder = next(path for path in guarded.home.iterdir() if path.is_dir())
    (folder / "face.mp4").touch()
    guarded.process.send_signal(signal.SIGTERM)
    guarded.process.wait(60)
    assert [path.name for path in guarded.home.iterdir()] == [LOCK]


def test_the_page_fits(visitor: StudioVisitor, actor: Path) -> None:
    visitor.page.set_viewport_size({"width": 390, "height": 900})
    visitor.page.reload()
    visitor.open(actor / "neutral.mp4")
    visitor.choose("happy")
    visitor.make()
    for width in (390, 1280):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        found = visitor.page.evaluate(
            "() => ({wide: document.documentElement.scrollWidth,"
            " outside: [...document.querySelectorAll('main button, main label, main video, main img')]"
            ".filter(one => one.offsetParent && one.getBoundingClientRect().right > innerWidth + 1)"
            ".map(one => one.outerHTML.slice(0, 200))})"
        )
        assert found == {"wide": width, "outside": []}


def test_a_page_that_is_closed_leaves_no_file(visitor: StudioVisitor, studio: ServedStudio, actor: Path) -> None:
    name = "only-here.mp4"
    shutil.copy(actor / "neutral.mp4", actor / name)
    visitor.open(actor / name)
    assert any(path.name == name for path in studio.files)
    visitor.page.close()
    wait_for(lambda: not any(path.name == name for path in studio.files), "the files to be removed", WITHIN_S)


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd", "file=/etc/passwd", f"gradio_api/file={Path(__file__)}",
        "gradio_api/deep_link?session_hash=x", "gradio_api/file=pyproject.toml", "gradio_api/file=http://127.0.0.1:1/", "gradio_api/proxy=http://127.0.0.1:1/",
        "monitoring", "docs", "openapi.json", "gradio_api/openapi.json", "gradio_api/mcp/",
    ],
)  # fmt: skip
def test_what_is_nobodys_business_is_refused(studio: ServedStudio, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(studio.url + path, timeout=30)
    assert refused.value.code in (401, 403, 404)


def test_another_name_of_this_machine_opens_no_page(studio: ServedStudio) -> None:
    request = urllib.request.Request(studio.url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=30)


def test_the_page_says_that_nothing_may_be_fetched_from_elsewhere(studio: ServedStudio) -> None:
    with urllib.request.urlopen(studio.url, timeout=30) as answer:
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "googleapis" not in answer.read().decode()


def test_it_ends_at_once_and_keeps_nothing(visitor: StudioVisitor, studio: ServedStudio, actor: Path) -> None:
    visitor.open(actor / "neutral.mp4")
    assert studio.files
    studio.process.send_signal(signal.SIGINT)
    assert studio.process.wait(60) == 0
    assert [path.name for path in studio.home.iterdir()] == [LOCK]
