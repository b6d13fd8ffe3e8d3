"""What the page does with models that show no preview, by its functions; how it looks is tried in a browser."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmet.editing.built_in import BUILT_IN
from cmet.media.sound import write_sound
from cmet.media.video import write_video
from cmet.studio.gradio_without_stubs import gradio as gr
from cmet.studio.models import OfferedModel, RegisteredModels
from cmet.studio.page import NO_PREVIEW, StudioPage
from cmet.studio.work import Studio
from tests.unit.editing.models import noise, write_model

EMOTIONS = ("happy", "sad")
WEIGHTS = ("edtalk/EDTalk.pt", "edtalk/Audio2Lip.pt")
ME = gr.Request(session_hash="me")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[OfferedModel]:
    """One that shows previews, one that does not, and one that knows no emotion by its name."""
    folder = tmp_path_factory.mktemp("models")
    for name, emotions in (("told", EMOTIONS), ("heard", ())):
        write_model(folder / name, "edtalk", 10, "opensmile", 88, emotions=emotions)
    return [
        OfferedModel("facemesh", "facemesh", BUILT_IN, emotions=("angry", *EMOTIONS)),
        OfferedModel("told", "edtalk", folder / "told", emotions=EMOTIONS),
        OfferedModel("heard", "edtalk", folder / "heard"),
    ]


@pytest.fixture(scope="module")
def page(models: list[OfferedModel], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioPage]:
    """A page of them; nobody opens its address."""
    folder = tmp_path_factory.mktemp("page")
    for name in WEIGHTS:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "files").mkdir()
    studio = Studio(folder / "files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMET_WEIGHTS", str(folder))
        yield StudioPage(studio, models, RegisteredModels(folder))
    studio.close()


@pytest.fixture
def video(tmp_path: Path) -> str:
    write_video(tmp_path / "me.mp4", np.zeros((3, 64, 64, 3), np.uint8), 25)
    return str(tmp_path / "me.mp4")


def fields(page: StudioPage, **values: Any) -> list[Any]:
    """What all fields hold: what is named, and else what they begin with."""
    shares = values.pop("shares", {})
    known = {getattr(page, name): value for name, value in values.items()}
    known |= {slider: shares.get(name, 0.0) for slider, name in zip(page.sliders, page.emotions, strict=True)}
    return [known.get(field, field.value) for field in page.fields]


def opened(page: StudioPage, video: str, **values: Any) -> dict[Any, Any]:
    """What is seen once a video is open."""
    return list(page.open_video(ME, video, *fields(page, **values)))[-1]


def test_a_model_that_shows_no_preview_says_so(page: StudioPage, video: str) -> None:
    seen = opened(page, video, model="told")
    assert (seen[page.still]["visible"], seen[page.moment]["visible"]) == (False, False)
    assert "choose an emotion" in seen[page.about_wishes] and NO_PREVIEW in seen[page.about_wishes]
    seen = page.show(ME, *fields(page, model="told", shares={"happy": 1.0}))
    assert "choose an emotion" not in seen[page.about_wishes] and NO_PREVIEW in seen[page.about_wishes]
    # that of another model would be taken over
    assert seen[page.found] is None


def test_what_was_heard_is_told_without_a_preview(page: StudioPage, video: str, tmp_path: Path) -> None:
    for name, seed in (("sad.wav", 1), ("calm.wav", 2)):
        write_sound(tmp_path / name, noise(1.0, seed), 16_000)
    speech, calm = [str(tmp_path / "sad.wav")], [str(tmp_path / "calm.wav")]
    seen = opened(page, video, model="told", way="voice", speech=speech, calm=calm)
    assert "What was heard" in seen[page.about_wishes]
    assert set(EMOTIONS) == {name for name in page.emotions if f"<span>{name}</span>" in seen[page.about_wishes]}


def test_a_model_that_takes_recordings_only_says_so(page: StudioPage, video: str) -> None:
    said = "this model knows no emotion by its name; give recordings of a voice"
    assert said in opened(page, video, model="heard")[page.about_wishes]
    rows = [["0", "", "happy", ""]]
    seen = page.show(ME, *fields(page, model="heard", way="times", table=rows))
    assert f"line 1 of the table: {said}" in seen[page.about_wishes]
    changed = page.change_model(ME, *fields(page, model="heard"))
    assert changed[page.has_none]["visible"] and not changed[page.emotion]["visible"]


def test_another_model_keeps_what_it_knows_too(page: StudioPage) -> None:
    changed = page.change_model(ME, *fields(page, model="told", shares={"sad": 1.0}, strength=2.4))
    assert (changed[page.emotion]["choices"], changed[page.emotion]["value"]) == (["happy", "sad"], "sad")
    # 2.4 was found for another one
    assert changed[page.strength]["value"] == 1
    assert not changed[page.is_auto]["visible"]
    changed = page.change_model(ME, *fields(page, model="told", shares={"angry": 1.0}, strength=2.4, is_auto=False))
    assert changed[page.emotion]["value"] is None
    assert [changed[slider]["value"] for slider in page.sliders] == [0, 0, 0]
    assert "value" not in changed[page.strength]
    assert page.change_model(ME, *fields(page, model="facemesh"))[page.is_auto]["visible"]


def test_an_emotion_without_a_slider_counts(
    page: StudioPage, models: list[OfferedModel], video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(page.models, "told", replace(models[1], emotions=("shy",)))
    seen = opened(page, video, model="told", emotion="shy")
    assert "shy: this model knows happy, sad" in seen[page.about_wishes]


def test_a_result_that_has_given_way_changes_nothing(page: StudioPage) -> None:
    assert list(page.show_made(ME, "1. happy")) == [page.progress]
