from pathlib import Path

import numpy as np
import pytest

from cmet.extended import strips
from cmet.extended.faces import EditedVideo
from cmet.media.sound import read_sound
from cmet.media.video import VideoFile, read_video, write_video
from cmet.scores.examples import GAP_PX, LABEL_PX, PANEL_PX


@pytest.mark.parametrize(("num_panels", "columns", "rows"), [(1, 1, 1), (4, 4, 1), (7, 4, 2)])
def test_panels_stand_in_rows_of_four(num_panels: int, columns: int, rows: int) -> None:
    pictures = [np.full((PANEL_PX, PANEL_PX, 3), 10 * number, np.uint8) for number in range(num_panels)]
    header = np.full((LABEL_PX, PANEL_PX, 3), 255, np.uint8)
    grid = strips._grid(pictures, [header] * num_panels)
    assert grid.shape[0] == rows * (LABEL_PX + PANEL_PX) and grid.shape[1] % 64 == 0
    for number in range(num_panels):
        row, column = divmod(number, columns)
        y, x = row * (LABEL_PX + PANEL_PX) + LABEL_PX, column * (PANEL_PX + GAP_PX)
        assert (grid[y : y + PANEL_PX, x : x + PANEL_PX] == 10 * number).all()


def test_a_long_video_is_shown_in_part_with_that_part_of_its_sound(
    real: Path, tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(25)).frames
    write_video(tmp_path / "v.mp4", frames, 25, tone)
    video = EditedVideo("v", tmp_path / "v.mp4", [])
    assert strips.write_edits_strip(video, tmp_path / "whole.mp4")
    assert len(VideoFile(tmp_path / "whole.mp4")) == 25
    monkeypatch.setattr(strips, "MAX_SHOWN_S", 0.4)
    assert not strips.write_edits_strip(video, tmp_path / "part.mp4")
    assert len(VideoFile(tmp_path / "part.mp4")) == 10
    # AAC comes in whole blocks
    assert len(read_sound(tmp_path / "part.mp4", 16_000)) / 16_000 == pytest.approx(0.4, abs=0.1)
