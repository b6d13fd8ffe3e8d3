"""dvc.yaml watches what the stages reach: code by imports, parameters, versions of libraries; and nothing else."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from cmet.closure import EXEMPT, PACKAGE, Closure, closure, module_file
from cmet.params import EVERYTHING, Params, Undeclared, declared
from cmet.stages.registry import STAGES, VARIANT
from tests.dvc_stages import ROOT, VERSIONS, Written, written_stages

STAGES_WRITTEN = written_stages()
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def reached(stage: Written, variant: str | None) -> Closure:
    return closure(STAGES[stage.name].module, () if variant is None else (variant,))


def missing(stage: Written, variant: str | None) -> Iterator[str]:
    """Files that a stage reaches and dvc.yaml does not list, each with how it is reached."""
    found, listed = reached(stage, variant), stage.code(variant).values()
    for module in found.modules:
        file = module_file(module)
        if not any(file == path or path in file.parents for path in listed):
            yield f"{stage.name}: {module} is not in deps, reached by {' -> '.join(found.chain(module))}"
    for file in found.data:
        if not any(file == path or path in file.parents for path in listed):
            yield f"{stage.name}: data file {file.relative_to(ROOT)} is not in deps"


@pytest.mark.parametrize("name", STAGES)
def test_all_code_that_a_stage_reaches_is_a_dependency(name: str) -> None:
    stage = STAGES_WRITTEN[name]
    lines = sorted({line for variant in stage.variants for line in missing(stage, variant)})
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("name", STAGES)
def test_every_path_of_code_in_dvc_yaml_is_reached_by_some_variant(name: str) -> None:
    stage = STAGES_WRITTEN[name]
    idle = set(stage.code(None))
    for variant in stage.variants:
        files = reached(stage, variant).files
        idle -= {dep for dep, path in stage.code(variant).items() if any(f == path or path in f.parents for f in files)}
    assert not idle, f"{name}: listed in deps, but reached by no variant: {', '.join(sorted(idle))}"


@pytest.mark.parametrize("name", STAGES)
def test_dvc_watches_the_parameters_that_a_stage_gets(name: str) -> None:
    wanted = STAGES[name].params
    assert STAGES_WRITTEN[name].params == (set(Params.model_fields) if EVERYTHING in wanted else set(wanted))


@pytest.mark.parametrize("name", STAGES)
def test_dvc_watches_the_weights_that_a_stage_reads(name: str) -> None:
    wanted = {"${weights}/" + ("${item.backbone}" if home == VARIANT else home) for home in STAGES[name].weights}
    assert {dep for dep in STAGES_WRITTEN[name].deps if "weights" in dep and not dep.startswith("cmet/")} == wanted


@pytest.mark.parametrize("name", STAGES)
def test_dvc_watches_the_versions_of_the_libraries_that_change_numbers(name: str) -> None:
    stage = STAGES_WRITTEN[name]
    known = yaml.safe_load((ROOT / VERSIONS).read_text(encoding="utf-8"))
    imported = {library for variant in stage.variants for library in reached(stage, variant).libraries}
    if "pandas" in imported:
        # it reads and writes Parquet with it
        imported.add("pyarrow")
    assert stage.versions == imported & set(known)


def test_every_stage_is_written_once() -> None:
    assert list(STAGES_WRITTEN) == list(STAGES)


def test_at_most_six_modules_are_exempt_and_each_says_why() -> None:
    assert len(EXEMPT) <= 6
    for name, why in EXEMPT.items():
        assert (PACKAGE / f"{name}.py").is_file()
        assert why


@pytest.mark.parametrize("module", MODULES)
def test_what_is_read_quickly_is_what_python_would_import(module: str) -> None:
    """The imports that `closure` finds in the text are those of the syntax tree."""
    tree = ast.parse(module_file(module).read_text(encoding="utf-8"))
    nodes = list(_running(tree))
    wanted: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            wanted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module}: a relative import"
            wanted.add(node.module)
            wanted |= {name for alias in node.names if (name := f"{node.module}.{alias.name}") in MODULES}
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            # by name: only what a registry holds as a text, or a foreign library
            assert not any(isinstance(arg, ast.JoinedStr) for arg in node.args), f"{module}: imports by a made-up name"
    own = {name for name in wanted if name.startswith("cmet.") and module_file(name).read_text().strip()}
    texts = {
        reference.split(":")[0]
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(reference := node.value, str)
        if re.fullmatch(r"cmet(\.\w+)+:\w+", reference)
    }
    found = closure(module)
    direct = {name for name, importer in found.modules.items() if importer == module} | {module}
    assert {name for name in own | texts if not _is_left_out(name)} <= set(found.modules)
    assert direct <= {module, *own, *texts, *(above for name in own | texts for above in _above(name))}
    libraries = {name.split(".")[0] for name in wanted} - {"cmet"}
    assert libraries == {library for library, importer in found.libraries.items() if importer == module} | (
        libraries & set(found.libraries)
    )


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that are for type checking."""
    waiting = [tree]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
                yield node
                waiting.append(node)


@cache
def _is_left_out(name: str) -> bool:
    text = module_file(name).read_text(encoding="utf-8")
    return name.removeprefix("cmet.") in EXEMPT or name == "cmet" or len(ast.parse(text).body) <= 1 and '"""' in text


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(2, len(parts))]


def test_a_registry_is_followed_for_the_chosen_backbone_only() -> None:
    drawn = closure("cmet.stages.edits", ("facemesh",))
    assert "cmet.backbones.facemesh.warp" in drawn.modules
    assert not any("edtalk" in module or "pdfgc" in module for module in drawn.modules)
    assert "cmet.backbones.edtalk.model" in closure("cmet.stages.edits", ("edtalk",)).modules


@pytest.mark.parametrize(
    ("stage", "room"),
    [
        ("directions", "speech.encoders.registry"),
        ("directions", "weights"),
        ("edits", "clips.crop"),
        ("edits", "connector.losses"),
        ("edits", "connector.sampler"),
        ("edits", "connector.training"),
        ("edits", "corpora.listing"),
        ("evaluate", "clips.crop"),
        ("evaluate", "edits.writing"),
        ("judge", "engine"),
        ("report", "corpora.listing"),
        ("report", "judge.classifier"),
        ("report", "scores.metrics"),
        ("report", "weights"),
        ("train", "corpora"),
        ("train", "pairs.deltas"),
    ],
)
def test_a_stage_does_not_depend_on_what_it_has_no_use_for(stage: str, room: str) -> None:
    written = STAGES_WRITTEN[stage]
    found = {module for variant in written.variants for module in reached(written, variant).modules}
    assert not [module for module in found if module == f"cmet.{room}" or module.startswith(f"cmet.{room}.")]


def test_a_parameter_that_a_stage_does_not_declare_is_not_there_for_it(params: Params) -> None:
    view = declared(params, ("train", "clips.crf"))
    assert view.train == params.train
    assert view.clips.crf == params.clips.crf
    with pytest.raises(Undeclared, match=r"params.clips.fps is read but not declared; declared are clips.crf"):
        view.clips.fps  # noqa: B018
    with pytest.raises(Undeclared, match=r"params.seed is read"):
        view.seed  # noqa: B018


def test_a_digest_changes_with_what_is_reached_and_with_nothing_else(tmp_path: Path) -> None:
    before = {name: _digest_in_copy(tmp_path / name, None) for name in ("same",)}["same"]
    loss = _digest_in_copy(tmp_path / "loss", "connector/losses.py")
    page = _digest_in_copy(tmp_path / "page", "report/page.py")
    assert before != loss
    assert before == page


def _digest_in_copy(folder: Path, changed: str | None) -> str:
    """Digest of the code of a training in a copy of the package in which a file has one more line."""
    import shutil

    shutil.copytree(PACKAGE, folder / "cmet", ignore=shutil.ignore_patterns("__pycache__"))
    if changed is not None:
        with (folder / "cmet" / changed).open("a", encoding="utf-8") as stream:
            stream.write("\nCHANGED = True\n")
    program = "from cmet.closure import code_digest; print(code_digest('cmet.stages.train', ('facemesh',)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout
