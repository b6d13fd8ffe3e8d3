"""The house has floors: no circle of imports; import-linter (pyproject.toml, `make lint`) holds the rooms' order."""

import networkx
import pytest

from cmet.closure import PACKAGE, closure

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


@pytest.fixture(scope="module")
def graph() -> networkx.DiGraph:
    """An arrow from each module to those it imports, also inside functions and by the texts of registries."""
    found = networkx.DiGraph()
    found.add_nodes_from(MODULES)
    for module in MODULES:
        found.add_edges_from(
            (module, imported) for imported, importer in closure(module).modules.items() if importer == module
        )
    return found


def test_no_files_import_each_other(graph: networkx.DiGraph) -> None:
    assert list(networkx.simple_cycles(graph)) == []


def test_no_rooms_import_each_other(graph: networkx.DiGraph) -> None:
    rooms = networkx.DiGraph()
    for importer, imported in graph.edges:
        one, other = _room(importer), _room(imported)
        if one != other:
            rooms.add_edge(one, other)
    assert rooms.number_of_edges() > 50
    assert list(networkx.simple_cycles(rooms)) == []


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_only_tracking_imports_mlflow() -> None:
    importers = {module for module in MODULES if "mlflow" in _own_libraries(module)}
    assert {_room(module) for module in importers} == {"cmet.tracking"}


def test_no_module_of_the_library_imports_dagster_or_dvc() -> None:
    assert not [module for module in MODULES if {"dagster", "dvc"} & _own_libraries(module)]


def _own_libraries(module: str) -> set[str]:
    return {library for library, importer in closure(module).libraries.items() if importer == module}
