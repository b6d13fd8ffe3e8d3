"""What code a module reaches: the one source of truth for what a result depends on.

A module reaches what it imports, also inside its functions, and so on; imports for type checking alone do not count.
The packages above a module are reached with it, as Python runs them first, unless they hold nothing but a docstring.
A text `cmet.room.module:Name`, as registries have them, is an import too: where such texts are the values of a dict,
and one of its keys is chosen (the backbone that a stage works for), the others are passed over. A module that opens
package data (`importlib.resources`, jinja's `PackageLoader`) reaches all files below its folder that are no Python.

The source is read and nothing is run, in milliseconds: whatever is unfinished is bound to the digest of its code.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent

EXEMPT: Mapping[str, str] = {
    "outputs": "moves finished files into place, whatever is in them",
    "places": "knows folders and locks, and where outputs are that are not here; what lies there is watched itself",
    "params": "parameters are watched by value, so a new key elsewhere repeats nothing",
    "launching": "starts and ends processes; what they compute is theirs",
    "progress": "shows how far the work is, and changes no result",
    "environment": "says what the machine has; no code can know where it will run",
}
"""Modules of the ground floor that every stage uses and no result depends on, each with the reason why."""

_TYPES_ONLY = re.compile(r"^if TYPE_CHECKING:.*\n(?:[ \t]+.*\n|[ \t]*\n)*", re.MULTILINE)
_DOCSTRING = re.compile(r'^[ \t]*"""(?:[^"\\]|\\.|"(?!""))*"""', re.MULTILINE)
_IMPORT = re.compile(
    r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|^[ \t]*import[ \t]+([^\n]*)", re.MULTILINE
)
_NAME = re.compile(r"(?:^|,)\s*(\w+)")
_REFERENCE = re.compile(r"""(?:["']([\w-]+)["']\s*:\s*)?["'](cmet(?:\.\w+)+):\w+["']""")
_OPENS_DATA = re.compile(r"importlib\.resources|importlib import resources|PackageLoader")


@dataclass(frozen=True)
class Closure:
    """What is reached from a module."""

    modules: Mapping[str, str | None]
    """Modules of the package, each with the module that imports it; None for the one it begins with."""
    data: tuple[Path, ...]
    """Files of the package that are no Python."""
    libraries: Mapping[str, str]
    """Top-level names of foreign modules, each with a module that imports it."""

    @property
    def files(self) -> list[Path]:
        """All files of the package, sorted."""
        return sorted({*(module_file(module) for module in self.modules), *self.data})

    def chain(self, module: str) -> list[str]:
        """The modules over which one is reached, from the beginning to it."""
        links = [module]
        while (above := self.modules[links[-1]]) is not None:
            links.append(above)
        return links[::-1]


@cache
def closure(begin: str, chosen: tuple[str, ...] = ()) -> Closure:
    """What is reached from a module.

    Args:
        begin: Its name, such as `cmet.stages.train`; the packages above it are not counted.
        chosen: Keys of registries that are meant.
    """
    modules: dict[str, str | None] = {begin: None}
    data: set[Path] = set()
    libraries: dict[str, str] = {}
    waiting = [begin]
    while waiting:
        module = waiting.pop()
        source = _read(module)
        data.update(source.data)
        for library in source.libraries:
            libraries.setdefault(library, module)
        for imported in source.imports(chosen):
            if imported not in modules and not is_exempt(imported) and not _read(imported).is_empty:
                modules[imported] = module
                waiting.append(imported)
    return Closure(modules, tuple(sorted(data)), libraries)


@cache
def code_digest(begin: str, chosen: tuple[str, ...] = ()) -> str:
    """SHA-256 over the names and contents of all files that a module reaches, `closure` says which."""
    digest = hashlib.sha256()
    for file in closure(begin, chosen).files:
        digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(_content(file)).digest())
    return digest.hexdigest()


def changed_code(begin: str, chosen: tuple[str, ...] = ()) -> list[Path]:
    """Files that a module reaches and that are no longer what `code_digest` has read; sorted."""
    return [file for file in closure(begin, chosen).files if not file.is_file() or file.read_bytes() != _content(file)]


def is_exempt(module: str) -> bool:
    """Whether no result depends on a module."""
    return module.removeprefix("cmet.") in EXEMPT


def module_file(module: str) -> Path:
    """Where a module of the package lies."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@dataclass(frozen=True)
class _Source:
    """What one file says."""

    plain: tuple[str, ...]
    """Modules of the package that it imports by a statement, those above them first."""
    references: tuple[tuple[str | None, str], ...]
    """Modules that it names in texts, each with its key in a dict."""
    libraries: tuple[str, ...]
    data: tuple[Path, ...]
    is_empty: bool
    """Whether it is nothing but a docstring, as packages are."""

    def imports(self, chosen: Collection[str]) -> Iterator[str]:
        """Modules of the package that are reached directly."""
        yield from self.plain
        is_choice = any(key in chosen for key, _ in self.references)
        for key, module in self.references:
            if key is None or not is_choice or key in chosen:
                yield from _with_packages(module)


@cache
def _content(file: Path) -> bytes:
    return file.read_bytes()


@cache
def _read(module: str) -> _Source:
    file = module_file(module)
    code = _DOCSTRING.sub("", _TYPES_ONLY.sub("", _content(file).decode()))
    plain: dict[str, None] = {}
    libraries: dict[str, None] = {}
    for package, names, whole in _IMPORT.findall(code):
        for name in [package] if package else re.findall(r"(?:^|,)\s*([\w.]+)", whole):
            if name.split(".")[0] != PACKAGE.name:
                libraries[name.split(".")[0]] = None
                continue
            plain.update(dict.fromkeys(_with_packages(name)))
            for part in _NAME.findall(names.strip("()")) if package else ():
                if _is_module(f"{name}.{part}"):
                    plain.update(dict.fromkeys(_with_packages(f"{name}.{part}")))
    return _Source(
        tuple(plain),
        tuple((key or None, name) for key, name in _REFERENCE.findall(code)),
        tuple(libraries),
        tuple(_data_below(file.parent)) if _OPENS_DATA.search(code) else (),
        not code.strip(),
    )


def _with_packages(module: str) -> Iterator[str]:
    """The packages above a module, which Python runs first, and itself; not the package of all."""
    parts = module.split(".")
    yield from (".".join(parts[:end]) for end in range(2, len(parts) + 1))


def _is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _data_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            yield path
