"""Embeddings as others find them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.errors import UserError
from cmet.outputs import write_json
from cmet.speech.product import Directions, DirectionsFacts, DirectionsResult, Voices


def voices(folder: Path, **vectors: list[float] | None) -> Voices:
    table = pd.DataFrame({"clip_id": list(vectors), "embedding": list(vectors.values())})
    table.to_parquet(folder / "embeddings.parquet")
    return Voices(folder)


def test_vectors_come_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    found = voices(tmp_path, a=[1.0, 2.0], b=None, c=[3.0, 4.0])
    assert found.clip_ids.to_list() == ["a", "c"]
    assert (found.of(["c", "a"]).tolist(), found.of(["a"]).dtype) == ([[3, 4], [1, 2]], np.float32)


@pytest.mark.parametrize(
    ("vectors", "said"), [({"a": [1.0], "b": [1.0, 2.0]}, "2 of widths [1, 2]"), ({"a": None}, "0 of widths []")]
)
def test_embeddings_of_several_widths_or_none_are_refused(
    tmp_path: Path, vectors: dict[str, list[float] | None], said: str
) -> None:
    with pytest.raises(UserError) as error:
        voices(tmp_path, **vectors).vectors  # noqa: B018
    assert said in str(error.value)


def test_an_embedding_that_is_no_number_names_its_clip(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 embedding.s. hold values that are not numbers, first b"):
        voices(tmp_path, a=[1.0], b=[np.inf]).vectors  # noqa: B018


def test_directions_are_read_as_facts_and_as_text(tmp_path: Path) -> None:
    facts = DirectionsFacts("nearest", {"opensmile": Directions("opensmile", 0.5, 0.25, 8, 2, {"angry": 0.5}, 0.75)})
    write_json(tmp_path / "directions.json", facts)
    (tmp_path / "directions.md").write_text("a table")
    found = DirectionsResult(tmp_path)
    assert (found.facts, found.text) == (facts, "a table")
