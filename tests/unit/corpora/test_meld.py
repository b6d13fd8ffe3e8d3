from pathlib import Path

import pytest

from cmet.corpora import meld
from cmet.corpora.listing import list_corpus
from cmet.corpora.scan import scan
from cmet.errors import UserError
from tests.unit.corpora.trees import touch

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in meld.TABLES.values():
        (tmp_path / name).write_text(HEADER, encoding="utf-8")
    rows = "\ufeff" + HEADER + '1,"Oh, no",Chandler Bing,surprise,negative,0,0\n2,Hm.,Monica,neutral,neutral,0,1\n'
    (tmp_path / "train_sent_emo.csv").write_text(rows + "3,x,Ross,joy,positive,125,3\n", encoding="utf-8")
    return touch(tmp_path, "train/train_splits/dia0_utt0.mp4", "train/train_splits/dia125_utt3.mp4")


def test_labels_come_from_the_tables_by_dialogue_and_utterance(tree: Path) -> None:
    rows = scan(meld, tree)
    assert rows.clip_id.to_list() == ["meld-train-dia0_utt0", "meld-train-dia125_utt3"]
    first = rows.iloc[0]
    assert (first.speaker, first.emotion, first.split) == ("Chandler Bing", "surprised", "train")
    assert rows.reason.dropna().to_list() == ["known_defect: meld-train-dia125_utt3: the video is corrupt"]


def test_files_that_the_tables_do_not_know_are_counted_and_not_wanted(tree: Path) -> None:
    touch(tree, "dev_splits_complete/dia66_utt9.mp4", "train_splits/final_videos_testdia0_utt0.mp4")
    touch(tree, "train_splits/strange.mp4")
    listing = list_corpus(meld, tree)
    assert listing.not_wanted == {"leftover": 1, "no_row": 1}
    assert [rejected.code for rejected in listing.rejected] == ["bad_name"]


def test_a_table_from_windows_is_read(tree: Path) -> None:
    (tree / "dev_sent_emo.csv").write_bytes((HEADER + "1,It\x92s,Ross,joy,positive,0,0\n").encode("latin-1"))
    assert len(meld.expected(tree)) == 4


def test_rows_without_a_file_are_expected(tree: Path) -> None:
    assert [clip.clip_id for clip in meld.expected(tree)] == [
        "meld-train-dia0_utt0", "meld-train-dia0_utt1", "meld-train-dia125_utt3",
    ]  # fmt: skip


def test_a_missing_table_and_an_unknown_emotion_are_named(tree: Path) -> None:
    (tree / "dev_sent_emo.csv").write_text(HEADER + "1,x,Ross,bored,neutral,0,0\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"dev_sent_emo.csv: 1 bad value\(s\)\n  row 2: emotion 'bored' is not one of neutral, joy"
    ):
        scan(meld, tree)
    (tree / "dev_sent_emo.csv").unlink()
    with pytest.raises(UserError, match="dev_sent_emo.csv: missing; MELD's labels are in"):
        scan(meld, tree)


@pytest.mark.parametrize("ids", ["0.0,0.0", "0,0.0", "00,0", " 0 ,0,"])
def test_ids_that_went_through_pandas_or_a_spreadsheet_are_whole_numbers(tree: Path, ids: str) -> None:
    (tree / "dev_sent_emo.csv").write_text(HEADER + f"1,x,Ross,Joy,positive,{ids}\n", encoding="utf-8")
    touch(tree, "dev_splits_complete/dia0_utt0.mp4")
    assert "meld-val-dia0_utt0" in scan(meld, tree).clip_id.to_list()


def test_rows_without_ids_or_speaker_are_all_named(tree: Path) -> None:
    rows = "1,x,Ross,joy,positive,,0\n2,x,Ross,joy,positive,0,nan\n3,x,Ross,joy,positive,0.5,0\n4,x,,joy,positive,0,1\n"
    (tree / "dev_sent_emo.csv").write_text(HEADER + rows, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        meld.expected(tree)
    assert str(caught.value).splitlines() == [
        f"{tree}/dev_sent_emo.csv: 4 bad value(s)",
        "  row 2: Dialogue_ID '' is not a whole number",
        "  row 3: Utterance_ID 'nan' is not a whole number",
        "  row 4: Dialogue_ID '0.5' is not a whole number",
        "  row 5: no speaker",
    ]


def test_a_row_twice_counts_once_and_one_that_contradicts_is_named(tree: Path) -> None:
    row = "1,x,Ross,joy,positive,0,0\n"
    (tree / "dev_sent_emo.csv").write_text(HEADER + row * 2, encoding="utf-8")
    assert len(meld.expected(tree)) == 4
    (tree / "dev_sent_emo.csv").write_text(HEADER + row + row.replace("joy", "anger"), encoding="utf-8")
    with pytest.raises(UserError, match="row 3: dia0_utt0 is in an earlier row with another speaker or emotion"):
        meld.expected(tree)
