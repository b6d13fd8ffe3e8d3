import re

from cmet.editing.emotions.likeness import HeardEmotion
from cmet.studio import looks
from cmet.studio.models import MissingModel

NASTY = '<img src=x onerror="alert(1)">.mp4'


def test_names_of_files_cannot_be_code() -> None:
    emotions = [HeardEmotion(NASTY, {"happy": 0.9}, None), HeardEmotion(NASTY, {"sad": 0.9}, None)]
    shown = [
        looks.fault(NASTY), looks.notes([NASTY], [NASTY]), looks.going(NASTY, 1, 2), looks.heard(emotions),
        looks.absent([MissingModel(NASTY, NASTY)]),
    ]  # fmt: skip
    assert not any("<img" in one for one in shown)


def test_a_bar_for_each_emotion_that_was_heard() -> None:
    html = looks.heard([HeardEmotion("a.wav", {"happy": 0.9, "sad": -0.4}, None)])
    assert re.findall(r"width:(\d+)%", html) == ["90", "0"]
    assert "What was heard" in html
    assert looks.heard([HeardEmotion("a.wav", {}, None)]) == ""


def test_commands_are_set_apart() -> None:
    assert "<code>cmet weights get --for edit</code>" in looks.absent(
        [MissingModel("edtalk", "get it with `cmet weights get --for edit`")]
    )


def test_the_page_asks_for_consent_once() -> None:
    assert looks.masthead().count(looks.ASK_FIRST) == 1


def test_nothing_of_the_style_is_fetched() -> None:
    assert not re.search(r"url\(|@import", looks.CSS)
