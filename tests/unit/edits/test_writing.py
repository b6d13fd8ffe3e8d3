"""The clips that are judged, and how they are found again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.edits.material import Material
from cmet.edits.product import PROTOCOL, TABLE, Edits
from cmet.edits.writing import write_edits
from cmet.engine.clip_map import ClipMap
from cmet.errors import UserError
from cmet.media.video import read_video
from cmet.outputs import content_digest
from cmet.packs import Packs
from cmet.params import Params
from cmet.vocabulary import METHODS
from tests.layouts import rename
from tests.unit.edits.conftest import NUM_FRAMES
from tests.unit.edits.making import recipe_of


def write(material: Material, params: Params, folder: Path) -> Edits:
    """The edits of the row of the corpus."""
    write_edits(material, recipe_of(params, num_speech_clips=2), folder / "edits", folder / "work")
    return Edits(folder / "edits")


def test_every_method_edits_the_row(material: Material, params: Params, tmp_path: Path) -> None:
    edits = write(material, params, tmp_path)
    assert edits.table.method.to_list() == list(METHODS)
    assert (edits.table.status == "ok").all()
    shown = {row.method: read_video(edits.video(row.video)).frames.astype(int) for row in edits.table.itertuples()}
    assert {frames.shape for frames in shown.values()} == {(NUM_FRAMES, *shown["neutral"].shape[1:])}
    source = read_video(material.clips.video(edits.table.source_clip[0])).frames
    changes = {method: np.abs(frames - source).mean() for method, frames in shown.items()}
    # it is written once more, and nothing else
    assert changes["neutral"] < 2
    assert min(changes[method] for method in METHODS if method != "neutral") > changes["neutral"]
    assert edits.protocol.rows == "test-pairs"
    assert edits.table.sample_id.str.startswith(edits.protocol.name).all()


def test_the_same_material_gives_the_same_bytes(material: Material, params: Params, tmp_path: Path) -> None:
    one, two = (content_digest(write(material, params, tmp_path / name).folder) for name in ("one", "two"))
    assert one == two


def test_each_method_has_its_videos_in_packs(material: Material, params: Params, tmp_path: Path) -> None:
    edits = write(material, params, tmp_path)
    for method in METHODS:
        (pack,) = (edits.folder / method).iterdir()
        assert [edits.folder / method / name for name in Packs(pack.parent).names()] == [
            edits.folder / video for video in edits.table.video[edits.table.method == method]
        ]


def test_a_kill_after_packing_changes_no_byte(
    material: Material, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(clip_map: ClipMap, out: Path) -> None:
        raise KeyboardInterrupt

    calm = write(material, params, tmp_path / "calm")
    with monkeypatch.context() as patch:
        patch.setattr(ClipMap, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            write(material, params, tmp_path / "killed")
    again = write(material, params, tmp_path / "killed")
    assert content_digest(again.folder) == content_digest(calm.folder)


@pytest.mark.parametrize("name", [TABLE, PROTOCOL])
def test_a_file_is_called_by_one_name(
    material: Material, params: Params, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = rename(monkeypatch, "edits", name)
    edits = write(material, params, tmp_path)
    assert len(edits.table) == len(METHODS)
    assert edits.protocol.pools == params.edits.pools
    assert (edits.folder / renamed).is_file()
    assert not (edits.folder / name).exists()


def test_edits_of_other_rows_by_one_method_are_no_edits(material: Material, params: Params, tmp_path: Path) -> None:
    edits = write(material, params, tmp_path)
    table = edits.table
    for rows, said in (
        (table.iloc[:0], r"edits.parquet has no rows, so there is nothing to score"),
        (
            table.assign(row_id=["row"] * 3 + ["other"]),
            "every method must edit the same rows, each once, but there are cmet 1",
        ),
    ):
        rows.to_parquet(edits.folder / TABLE)
        with pytest.raises(UserError, match=said):
            Edits(edits.folder).table  # noqa: B018
    (edits.folder / TABLE).write_bytes(b"no table")
    with pytest.raises(UserError, match="not readable as a Parquet table"):
        Edits(edits.folder).table  # noqa: B018


def test_methods_come_in_the_order_of_every_table(material: Material, params: Params, tmp_path: Path) -> None:
    edits = write(material, params, tmp_path)
    pd.read_parquet(edits.folder / TABLE).sort_values("method").to_parquet(edits.folder / TABLE)
    assert Edits(edits.folder).table.method.to_list() == list(METHODS)
