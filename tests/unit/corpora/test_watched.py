import json
from pathlib import Path

import pytest

from cmet.corpora import mead, table
from cmet.corpora.check import check_corpus
from cmet.corpora.scan import scan
from cmet.corpora.watched import files_folder
from cmet.errors import UserError
from tests.conftest import Command
from tests.unit.corpora.trees import fill, touch, write_tar

ELSEWHERE = "; move it there, or set manifest.files to a folder that holds all files of the corpus"
OUTSIDE = "outside_root: {} lies outside of manifest.files, the folder that DVC watches" + ELSEWHERE
LINKED = (
    "outside_root: {} is reached through a link to a folder outside of manifest.files, and DVC does not follow it"
    + ELSEWHERE
)


def write_table(path: Path, *videos: str, audio: str = "") -> Path:
    """A table of clips and the files it names."""
    touch(path.parent, *videos, *filter(None, [audio]))
    rows = "".join(f"{video},{audio},Ann,sad\n" for video in videos)
    path.write_text("video,audio,speaker,emotion\n" + rows)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with `rec`, and beside it `disk`."""
    (tmp_path / "project/rec").mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    return tmp_path / "project"


def reasons(path: Path, files: Path) -> dict[str, str | None]:
    """Why each file of a table is left out."""
    rows = scan(table, path, files)
    return dict(zip(rows.video, rows.reason, strict=True))


def test_files_of_a_table_outside_of_the_watched_folder_are_quarantined(project: Path) -> None:
    absolute = str(project / "rec/4.mp4")
    path = write_table(project / "clips.csv", "rec/1.mp4", "2.mp4", "../disk/3.mp4", absolute, "rec/../5.mp4")
    assert reasons(path, project / "rec") == {
        "rec/1.mp4": None,
        "2.mp4": OUTSIDE.format("2.mp4"),
        "../disk/3.mp4": OUTSIDE.format("../disk/3.mp4"),
        absolute: None,
        "rec/../5.mp4": OUTSIDE.format("rec/../5.mp4"),
    }


def test_rows_that_leave_the_folder_of_a_table_are_refused_unless_a_folder_for_all_is_named(project: Path) -> None:
    absolute = str(project.parent / "disk/3.mp4")
    path = write_table(project / "clips.csv", "rec/1.mp4", "../disk/2.mp4", absolute)
    rows = scan(table, path).set_index("video")
    assert rows.reason.to_dict() == {
        "rec/1.mp4": None,
        "../disk/2.mp4": OUTSIDE.format("../disk/2.mp4"),
        absolute: OUTSIDE.format(absolute),
    }
    assert (scan(table, path, project.parent).status == "ok").all()


def test_the_recordings_of_a_table_may_all_lie_elsewhere(project: Path) -> None:
    path = write_table(project / "clips.csv", "../disk/a/1.mp4", "../disk/b/2.mp4")
    assert files_folder(table.NAME, path) == project.parent / "disk"
    assert (scan(table, path).status == "ok").all()


def test_the_folder_of_a_table_is_watched_beside_that_of_the_files(project: Path) -> None:
    write_table(project / "rec/clips.csv", "1.mp4", "../more/2.mp4", "../../disk/3.mp4")
    found = reasons(project / "rec", project / "more")
    assert [video for video, reason in found.items() if reason is None] == ["1.mp4", "../more/2.mp4"]


def test_a_linked_file_is_watched_and_a_linked_folder_is_where_its_files_are(project: Path) -> None:
    touch(project, "../disk/file.mp4", "rec/real/3.mp4")
    (project / "rec/1.mp4").symlink_to("../../disk/file.mp4")
    (project / "rec/out").symlink_to("../../disk")
    (project / "rec/in").symlink_to("real")
    path = write_table(project / "clips.csv", "rec/1.mp4", "rec/out/2.mp4", "rec/in/3.mp4")
    assert reasons(path, project / "rec") == {
        "rec/1.mp4": None,
        "rec/out/2.mp4": LINKED.format("rec/out/2.mp4"),
        "rec/in/3.mp4": None,
    }


def test_a_watched_folder_may_be_a_link_itself(project: Path) -> None:
    (project / "linked").symlink_to("../disk")
    path = write_table(project / "clips.csv", "linked/1.mp4", "../disk/2.mp4")
    assert set(reasons(path, project / "linked").values()) == {None}


def test_a_sound_outside_takes_its_clip_out(project: Path) -> None:
    path = write_table(project / "clips.csv", "rec/1.mp4", audio="../disk/1.wav")
    path.write_text(path.read_text() + "rec/1.mp4,,Bob,sad\n")
    rows = scan(table, path, project / "rec")
    assert sorted(rows.status) == ["ok", "quarantined"]
    assert rows.reason.dropna().item() == OUTSIDE.format("../disk/1.wav")


def test_every_corpus_leaves_out_what_lies_behind_a_linked_folder(project: Path) -> None:
    folder = "front/sad/level_3"
    touch(project / "rec", f"M003/{folder}/001.mp4")
    touch(project / "../disk", f"M005/{folder}/001.mp4")
    write_tar(project / "../disk/M009/video.tar", [f"{folder}/001.mp4"])
    for speaker in ("M005", "M009"):
        (project / "rec" / speaker).symlink_to(f"../../disk/{speaker}")
    # a linked archive is a linked file
    (project / "rec/M007").mkdir()
    (project / "rec/M007/video.tar").symlink_to("../../../disk/M009/video.tar")
    rows = scan(mead, project / "rec").set_index("video")
    assert rows.status.to_dict() == {
        f"M003/{folder}/001.mp4": "ok",
        f"M005/{folder}/001.mp4": "quarantined",
        f"M007/video.tar/{folder}/001.mp4": "ok",
        f"M009/video.tar/{folder}/001.mp4": "quarantined",
    }
    assert rows.reason[f"M005/{folder}/001.mp4"] == LINKED.format(f"M005/{folder}/001.mp4")
    assert (scan(mead, project / "rec", project / "../disk").status == "ok").all()


def test_clips_that_all_lie_outside_are_one_sentence_with_the_folder_to_name(project: Path) -> None:
    path = write_table(project / "clips.csv", "../disk/a/1.mp4", "../disk/b/2.mp4", "missing.mp4")
    (project / "missing.mp4").unlink()
    with pytest.raises(UserError) as caught:
        scan(table, path, project / "rec")
    assert str(caught.value) == (
        f"{path}: all 2 usable clips lie outside of {project}/rec, first ../disk/a/1.mp4, so DVC would not see them "
        f"change; set manifest.files in params.yaml to {project.parent}/disk, or to a folder that you put them into, "
        "since the folder of params.yaml itself cannot be watched"
    )


def test_a_folder_of_files_that_is_not_there_says_so(project: Path) -> None:
    path = write_table(project / "clips.csv", "rec/1.mp4")
    with pytest.raises(UserError, match=r"nowhere: no such folder; set manifest\.files in params\.yaml to the folder"):
        scan(table, path, project / "nowhere")


def test_a_numbering_that_is_not_watched_is_refused(project: Path) -> None:
    path = write_table(project / "clips.csv", "rec/1.mp4")
    (project / "numbering.csv").write_text("speaker,emotion,intensity,number,sentence,numbering\n")
    with pytest.raises(UserError, match=r"numbering\.csv: lies outside of .*rec, .*column `sentence`: put them there"):
        scan(table, path, project / "rec")
    write_table(project / "rec/clips.csv", "1.mp4")
    (project / "numbering.csv").rename(project / "rec/numbering.csv")
    assert len(scan(table, project / "rec/clips.csv", project / "rec")) == 1


def test_a_check_shows_what_the_scan_will_leave_out(project: Path, cmet: Command) -> None:
    path = write_table(project / "clips.csv", "rec/1.mp4", "rec/2.mp4", "../disk/3.mp4")
    fill(project, ["rec/1.mp4", "rec/2.mp4", "../disk/3.mp4"])
    report = check_corpus(table, path, project, project / "rec")
    assert [(problem.code, problem.path) for problem in report.problems] == [("outside_root", "../disk/3.mp4")]
    assert not report.is_complete
    assert (report.num_usable, report.num_expected) == (2, 3)
    shown = cmet("corpus", "check", "table", path, "--json", "--disk", project, "--files", project / "rec")
    assert (shown.returncode, json.loads(shown.stdout)["problems"][0]["code"]) == (1, "outside_root")
    # without a folder it is the one that `cmet use` sets
    shown = cmet("corpus", "check", "table", path, "--json", "--disk", project)
    assert [problem["path"] for problem in json.loads(shown.stdout)["problems"]] == ["../disk/3.mp4"]
