import json
from pathlib import Path

import numpy as np
import pytest

from cmet.media.video import write_video
from tests.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "o.mp4", "--emotion", "happy"], "name a video, or with --batch a table or a folder of them"),
        (["v.mp4", "--batch", "t.csv", "--out", "o"], "--batch t.csv names all videos; leave out v.mp4"),
        (["--batch", "t.csv", "--out", "o", "--side-by-side", "b.mp4"], "--side-by-side names one file"),
        (["--batch", "t.csv", "--out", "o"], "t.csv: no such file"),
        (["--batch", "t.csv", "--out", "o", "--emotion", "happy", "--speech", "a.wav"], "leave out --speech"),
    ],
)
def test_what_is_neither_one_edit_nor_a_batch_is_refused(
    cmet: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = cmet("edit", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_batch_says_how_many_were_made_and_which_failed(cmet: Command, tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", np.zeros((20, 64, 64, 3), np.uint8), 25)
    (tmp_path / "t.csv").write_text("video,emotion\nv.mp4,happy\nv.mp4,\n")
    done = cmet("edit", "--batch", "t.csv", "--out", "o", "--quiet", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "0 made, 0 kept from before, 2 failed"
    assert lines[1].startswith("row 2 (v.mp4): ") and "no face found" in lines[1]
    assert lines[2] == "row 3 (v.mp4): no emotion; fill in emotion, speech or timeline"
    assert lines[3] == "page: o/index.html"
    document = json.loads(cmet("edit", "--batch", "t.csv", "--out", "o", "--json", cwd=tmp_path).stdout)
    assert (document["num_made"], document["num_failed"], document["page"]) == (0, 2, "o/index.html")
    assert [edit["state"] for edit in document["edits"]] == ["failed", "failed"]
