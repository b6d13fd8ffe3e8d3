from pathlib import Path

import pytest

from cmet.corpora import mead
from cmet.corpora.scan import scan, write_manifest
from cmet.errors import UserError
from tests.unit.corpora.trees import touch

HEADER = "speaker,emotion,intensity,number,sentence,numbering\n"


def tree(root: Path, numbering: str) -> Path:
    touch(root, *(f"M003/front/angry/level_{level}/0{n}.mp4" for level in (1, 2) for n in (16, 17, 20)))
    (root / "numbering.csv").write_text(numbering, encoding="utf-8")
    return root


def test_a_map_holds_for_its_folder_and_the_file_keeps_its_name(tmp_path: Path) -> None:
    text = HEADER + "M003,angry,1,016,017,transcript-aligned\nM003,angry,1,017,018,author\n"
    rows = scan(mead, tree(tmp_path, text)).set_index("clip_id")
    assert rows.sentence["mead-M003-angry-1-016"] == "017"
    assert rows.numbering.to_list() == ["transcript-aligned", "author", "release", "release", "release", "release"]
    assert rows.sentence["mead-M003-angry-2-016"] == "016"


def test_cells_as_a_spreadsheet_leaves_them_are_understood(tmp_path: Path) -> None:
    text = (
        HEADER.replace(",", ";")
        + "M003; Angry ;01;16;17;author\nM003;angry;1.0;17.0;16,0;author\nM003;angry;1;17;16;author\n"
    )
    rows = scan(mead, tree(tmp_path, text)).set_index("clip_id")
    assert rows.sentence["mead-M003-angry-1-016"] == "017"
    assert rows.sentence["mead-M003-angry-1-017"] == "016"


def test_a_gap_of_pandas_takes_a_clip_out_as_an_empty_cell_does(tmp_path: Path) -> None:
    rows = scan(mead, tree(tmp_path, HEADER + "M003,angry,1,016,nan,author\n")).set_index("clip_id")
    assert rows.reason["mead-M003-angry-1-016"] == "off_script: numbering.csv gives mead-M003-angry-1-016 no sentence"


def test_a_number_that_another_clip_is_said_to_be_stands_for_nothing(tmp_path: Path) -> None:
    rows = scan(mead, tree(tmp_path, HEADER + "M003,angry,1,016,017,author\n")).set_index("clip_id")
    assert rows.reason["mead-M003-angry-1-017"] == (
        "taken_sentence: mead-M003-angry-1-017: row 2 of numbering.csv says that another clip has this sentence"
    )
    assert rows.status.eq("ok").sum() == 5


def test_rows_that_speak_of_no_clip_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree(
        tmp_path / "tree", HEADER + "M003,angry,1,016,017,author\nM003,angry,1,17,16,author\nM026,sad,1,1,2,author\n"
    )
    report = write_manifest(mead, root, root, tmp_path / "out")
    assert report.num_numbering_rows_without_clip == 1
    assert "numbering.csv: 1 row(s) (4) match no clip" in capsys.readouterr().err


def test_a_clip_that_is_off_script_is_quarantined(tmp_path: Path) -> None:
    rows = scan(mead, tree(tmp_path, HEADER + "M003,angry,2,020,,transcript-aligned\n"))
    assert rows.reason.dropna().to_list() == ["off_script: numbering.csv gives mead-M003-angry-2-020 no sentence"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speaker,emotion\n", "no column intensity, number, sentence, numbering"),
        (HEADER + "M003,angry,1,016,017,guess\n", "row 2: numbering 'guess' is not one of"),
        (HEADER + "M003,angry,4,016,017,author\n", "row 2: intensity '4' is not 1, 2, 3 or empty"),
        (
            HEADER + "M003,angry,1,016,017,author\nM003,angry,1,018,017,author\n",
            "row 3: .* already has sentence 17, in row 2",
        ),
        (
            HEADER + "M003,angry,1,016,017,author\nM003,angry,1,016,018,author\n",
            "row 3: .* appears twice, first in row 2",
        ),
    ],
)
def test_a_bad_map_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        scan(mead, tree(tmp_path, text))
