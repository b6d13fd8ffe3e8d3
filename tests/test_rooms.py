"""What keeps rooms apart besides their imports: products instead of folders, and short lists of parameters."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for top in ("cmet", "assets", "pipelines") for path in (ROOT / top).rglob("*.py"))
MAX_PARAMETERS = 8


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def room(path: Path) -> str:
    """The folder or module below `cmet`; Dagster's side has two rooms."""
    top, *below = module_name(path).split(".")
    return below[0] if top == "cmet" else top


def is_product(path: Path) -> bool:
    """Whether a module says what a folder holds: by its name, or by a class that opens its folder in a project."""
    classes = [node for node in parsed(path).body if isinstance(node, ast.ClassDef)]
    methods = [node for one in classes for node in one.body if isinstance(node, ast.FunctionDef)]
    return path.stem == "product" or any(
        method.name == "open" and "places" in [argument.arg for argument in method.args.args] for method in methods
    )


def layout_of(path: Path) -> set[str]:
    """Names of files and folders in a product: the constants that its module has, of its own or from its room."""
    tree, own = parsed(path), f"cmet.{room(path)}."
    names = {node.id for one in tree.body if isinstance(one, ast.Assign) for node in ast.walk(one)
             if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}  # fmt: skip
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(own):
            names |= {alias.name for alias in node.names}
    values = [getattr(import_module(module_name(path)), name) for name in names if name.isupper()]
    return {value for value in values if isinstance(value, str)}


@pytest.fixture(scope="module")
def owners() -> dict[str, set[str]]:
    """Rooms that may write out a name of a file or folder."""
    found = defaultdict(set)
    for path in MODULES:
        if is_product(path):
            for name in layout_of(path):
                found[name].add(room(path))
    return dict(found)


def texts(tree: ast.Module) -> Iterator[tuple[ast.Constant, bool]]:
    """Every text but docstrings, and whether it is joined to a path."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    joined = {id(side) for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
              for side in (node.left, node.right)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node, id(node) in joined


def written_out(tree: ast.Module, layout: Mapping[str, object]) -> Iterator[tuple[int, str]]:
    """Lines that write out a name of a layout; a plain word is one only in a path."""
    for node, is_joined in texts(tree):
        for name in layout:
            is_name = node.value == name and ("." in name or is_joined)
            if is_name or node.value.endswith(f"/{name}") or f"/{name}/" in node.value:
                yield node.lineno, name


def test_every_room_with_files_of_its_own_has_a_product(owners: dict[str, set[str]]) -> None:
    rooms = {room for named in owners.values() for room in named}
    assert rooms >= {"clips", "connector", "corpora", "edits", "expression", "extended", "judge", "pairs", "report"}
    assert rooms >= {"scores", "shards", "speech"}
    assert owners["history.parquet"] == {"connector", "judge"}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ('path = folder / "codes"', ["codes"]),
        ('path = folder / "edits.parquet"', ["edits.parquet"]),
        ('TABLE = "edits.parquet"', ["edits.parquet"]),
        ('path = f"{folder}/codes/{clip}.npy"', ["codes"]),
        ('path = "data/expression/facemesh/codes"', ["codes"]),
        ('codes = row["codes"]', []),
        ('"""Reads `edits.parquet`."""', []),
        ('raise UserError("no edits.parquet here")', []),
    ],
)
def test_a_name_that_is_written_out_is_found(code: str, names: list[str]) -> None:
    found = [name for _, name in written_out(ast.parse(code), {"codes": {"expression"}, "edits.parquet": {"edits"}})]
    assert found == names


def test_no_room_writes_out_the_layout_of_another(owners: dict[str, set[str]]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name!r} is known by {', '.join(sorted(owners[name]))} alone"
        for path in MODULES
        for line, name in written_out(parsed(path), owners)
        if room(path) not in owners[name]
    ]
    assert not found, "ask its product instead:\n" + "\n".join(found)


def test_no_function_but_commands_takes_more_than_eight_parameters() -> None:
    found = []
    for path in MODULES:
        if room(path) in ("cli", "commands"):
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                taken = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                if len(taken) > MAX_PARAMETERS:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} takes {len(taken)}")
    assert not found, "what stands behind them wants a dataclass:\n" + "\n".join(found)


RECORDS = ("cmet.records", "cmet.report.summary", "cmet.scores.measured")
"""Modules that say what products hold, besides those that open them."""
OPEN = re.compile(r"\b(?:dict|Mapping)\b(?!\[)|\b(?:dict|Mapping)\[[^\[\]]*, (?:Any|object)\]")
"""A dict of anything."""


def promised(tree: ast.Module) -> Iterator[tuple[str, list[ast.expr]]]:
    """Public functions, fields and short names for types, each with what it says of its types."""
    for one in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        for node in one.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                taken = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                said = [node.returns, *(argument.annotation for argument in taken)]
                yield node.name, [annotation for annotation in said if annotation]
            elif isinstance(node, ast.AnnAssign):
                yield ast.unparse(node.target), [node.annotation]
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
                yield ast.unparse(node.targets[0]), [node.value]


def open_dicts(tree: ast.Module) -> list[str]:
    return [name for name, said in promised(tree) if any(OPEN.search(ast.unparse(each)) for each in said)]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def facts() -> dict[str, Any]: ...", ["facts"]),
        ("def facts() -> dict | None: ...", ["facts"]),
        ("def write(facts: Mapping[str, Any]) -> None: ...", ["write"]),
        ("class Scores:\n    @property\n    def metrics(self) -> list[dict[str, Any]]: ...", ["metrics"]),
        ("class Scores:\n    metrics: dict[str, dict[str, object]]", ["metrics"]),
        ("Entry = dict[str, Any]", ["Entry"]),
        ("class Scores:\n    metrics: dict[str, Value]\n    def write(self, path: Path) -> None: ...", []),
        ("def _labels() -> dict[str, Any]: ...", []),
    ],
)
def test_a_dict_of_anything_is_found(code: str, names: list[str]) -> None:
    assert open_dicts(ast.parse(code)) == names


def test_what_goes_between_rooms_is_no_dict_of_anything() -> None:
    modules = [path for path in MODULES if is_product(path) or module_name(path) in RECORDS]
    assert {module_name(path) for path in modules} > {*RECORDS, "cmet.shards", "cmet.scores.product"}
    found = [f"{path.relative_to(ROOT)}: {name}" for path in modules for name in open_dicts(parsed(path))]
    assert not found, "a frozen dataclass says what is in it:\n" + "\n".join(found)


SAME_NAME_ON_PURPOSE = {
    "Blur": "a layer of StyleGAN2 under its own name; each published backbone has a variant that loads its keys",
    "LearnedStart": "as Blur",
    "ModulatedConv": "as Blur",
    "StyleLayer": "as Blur",
    "expected": "one of the functions by which every module of a corpus answers (cmet.corpora.listing)",
    "parse": "as expected",
    "parser": "as expected",
    "main": "where a program starts, from `python -m cmet` and from the script `cmet`",
}
"""Names that two modules define, each with the reason."""


def defined_names(tree: ast.Module) -> list[str]:
    """Public classes and functions of a module, and its short names for types."""
    names = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and not _is_type_variable(node):
            names += re.findall("^[A-Z].*[a-z].*", node.targets[0].id)
    return [name for name in names if not name.startswith("_")]


def _is_type_variable(node: ast.Assign) -> bool:
    return isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ("ParamSpec", "TypeVar")


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("class Row: ...", ["Row"]),
        ("def train() -> None: ...", ["train"]),
        ("Row = dict[str, str]", ["Row"]),
        ("def _row() -> None: ...", []),
        ("Item = TypeVar('Item')", []),
        ("TABLE = 'rows.parquet'", []),
        ("app = Typer()", []),
        ("class Rows:\n    def open(self) -> None: ...", ["Rows"]),
    ],
)
def test_a_name_that_is_defined_is_found(code: str, names: list[str]) -> None:
    assert defined_names(ast.parse(code)) == names


def test_no_two_things_have_one_name() -> None:
    homes = defaultdict(list)
    for path in MODULES:
        for name in defined_names(parsed(path)):
            homes[name].append(str(path.relative_to(ROOT)))
    twice = {name: found for name, found in homes.items() if len(found) > 1}
    unlike = [f"{name}: {', '.join(found)}" for name, found in twice.items() if name not in SAME_NAME_ON_PURPOSE]
    assert not unlike, "two things want two names, see docs/glossary.md:\n" + "\n".join(unlike)
    assert set(SAME_NAME_ON_PURPOSE) == set(twice), "the list of exceptions holds names that are not defined twice"
