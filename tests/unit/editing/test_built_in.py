from pathlib import Path
from shutil import copytree

from cmet.connector.product import Model
from cmet.editing.built_in import BUILT_IN, CARD, MAX_BYTES, model_card, pack, read_recipe
from cmet.editing.editor import Editor
from cmet.experiments import EXPERIMENTS, flat_values, read_experiment
from cmet.vocabulary import METHODS, TARGET_EMOTIONS

ROOT = Path(__file__).parents[3]
TRAINED_WITH = (
    "seed", "held_out_emotion", "sample", "manifest", "clips", "speech", "expression", "deltas", "shards", "train",
)  # fmt: skip
"""Parameters that decide the model; the others decide how it is measured."""
FILES = [path for path in sorted(BUILT_IN.rglob("*")) if path.is_file()]


def test_the_built_in_model_loads_and_knows_every_emotion() -> None:
    editor = Editor.load(BUILT_IN)
    config = editor.bundle.config
    assert editor.backbone.width == config.expression_width
    assert (config.held_out_emotion, config.trained_emotions) == (None, list(TARGET_EMOTIONS))
    assert config.speech_deltas.keys() == config.expression_deltas.keys()


def test_the_built_in_model_is_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < MAX_BYTES


def test_the_recipe_is_the_demo_s_with_no_emotion_held_out() -> None:
    recipe = read_recipe()
    sample = read_experiment(ROOT / EXPERIMENTS / f"{recipe.base}.yaml")
    assert recipe.base == "sample" and recipe.changes == {"held_out_emotion": None}
    made, now = (flat_values({name: values[name] for name in TRAINED_WITH}) for values in (recipe.params, sample))
    assert made == now | recipe.changes
    assert made["seed"] == Model(BUILT_IN).config.seed
    assert recipe.accuracy.keys() >= set(METHODS)
    assert recipe.accuracy["cmet"].acc_emo > recipe.accuracy["reference"].acc_emo > recipe.chance


def test_the_card_says_what_is_recorded() -> None:
    recipe, config = read_recipe(), Model(BUILT_IN).config
    text = (BUILT_IN / CARD).read_text()
    assert text == model_card(recipe, config)
    measured = recipe.accuracy["cmet"]
    said = [
        f"| cmet | {100 * measured.acc_emo:.1f} % | ",
        f"seed {config.seed}",
        "`held_out_emotion: none`",
        "drawn faces and synthesised voices",
        recipe.judge,
        f"torch {config.versions['torch']}",
    ]
    assert [part for part in said if part not in text] == []


def test_a_packed_model_has_what_an_edit_needs_and_nothing_else(tmp_path: Path) -> None:
    copytree(BUILT_IN, tmp_path / "trained")
    for name in ("history.parquet", "last.safetensors"):
        (tmp_path / "trained" / name).write_text("of training")
    pack(Model(tmp_path / "trained"), read_recipe(), tmp_path / "packed")
    packed = {path.relative_to(tmp_path / "packed"): path.read_bytes() for path in files_in(tmp_path / "packed")}
    assert packed == {path.relative_to(BUILT_IN): path.read_bytes() for path in FILES}


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
