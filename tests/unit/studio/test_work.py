from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from cmet.errors import UserError
from cmet.studio.models import OfferedModel
from cmet.studio.sessions import MAX_KEPT_BYTES, StudioSession
from cmet.studio.wishes import StudioWishes
from cmet.studio.work import LIMITS, Studio

LONG_S = 120

MODEL = OfferedModel("facemesh, built in", "facemesh", Path("model"), emotions=("happy",))
HAPPY = StudioWishes(MODEL, weights={"happy": 1})


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """Nobody has it open."""
    (tmp_path / "files").mkdir()
    studio = Studio(tmp_path / "files")
    yield studio
    studio.close()


@pytest.fixture
def session(studio: Studio, tmp_path: Path) -> StudioSession:
    """A session with a video."""
    session = studio.sessions.of("one")
    (tmp_path / "me.mp4").write_bytes(b"video")
    session.video = session.take(tmp_path / "me.mp4")
    return session


@pytest.fixture
def full(session: StudioSession) -> StudioSession:
    """The same with more files than are kept."""
    with (session.new_folder("made") / "out.mp4").open("wb") as stream:
        stream.truncate(MAX_KEPT_BYTES)
    return session


@pytest.mark.parametrize(
    ("num_speech", "num_calm", "said"),
    [
        (LIMITS.num_files + 1, 1, "51 recordings with the emotion are given; at most 50 are taken"),
        (1, LIMITS.num_files + 1, "51 calm recordings are given; at most 50 are taken"),
    ],
)
def test_too_many_recordings_are_refused_before_any_is_opened(
    studio: Studio, session: StudioSession, num_speech: int, num_calm: int, said: str
) -> None:
    absent = [Path(f"{number}.wav") for number in range(LIMITS.num_files + 1)]
    wishes = StudioWishes(MODEL, "voice", speech=tuple(absent[:num_speech]), neutral_speech=tuple(absent[:num_calm]))
    with pytest.raises(UserError, match=said):
        next(studio.make(session, wishes))


def test_a_session_with_too_many_files_gets_no_more(studio: Studio, full: StudioSession, tmp_path: Path) -> None:
    said = "save what you need, and open the page anew"
    with pytest.raises(UserError, match=said):
        next(studio.make(full, HAPPY))
    assert full.edit is None
    (tmp_path / "other.mp4").write_bytes(b"video")
    with pytest.raises(UserError, match=said):
        next(studio.open_video(full, tmp_path / "other.mp4", MODEL))
    assert full.video is None


def test_the_end_waits_for_no_model_that_is_being_opened(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end, was_let_in = Event(), Event(), []

    def opened(model: OfferedModel) -> None:
        begun.set()
        was_let_in.append(may_end.wait(LONG_S))

    monkeypatch.setattr(studio, "_warm", opened)
    studio.warm(MODEL)
    assert begun.wait(LONG_S)
    studio.close()
    assert was_let_in == []
    may_end.set()
