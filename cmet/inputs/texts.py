"""YAML and JSON, in which a key given twice is an error instead of a value lost without a word."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from cmet.inputs.files import BadFile, read_text

MAX_YAML_BYTES = 256 << 10
"""Many times the largest file; reading as much takes seconds."""

MAX_VALUES = 100_000
"""Values in a YAML file: a few lines of aliases of aliases stand for billions."""

MAX_DEPTH = 100
"""Mappings and lists of a YAML file in each other: libyaml crashes the process where there are thousands."""

SHOWN_CHARACTERS = 80

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In Python, a file of parameters takes five times as long, and a lock of a thousand lines takes a second."""


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        BadFile: As `read_text` and `parse_yaml`.
    """
    return parse_yaml(read_text(path, MAX_YAML_BYTES), path)


def parse_yaml(text: str, name: Path | str) -> Any:
    """The content of a YAML text; `name` stands in the message.

    Raises:
        BadFile: It is no YAML, asks for Python objects, is nested too deeply, has more than `MAX_VALUES` values once
            its aliases are followed, or has a key twice; the message names the key and its lines.
    """
    try:
        loader = yaml_loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeats(node, name)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise BadFile(f"{name}: not readable as YAML: {_yaml_problem(error)}") from error
    except RecursionError as error:
        raise BadFile(f"{name}: nested too deeply, or contains itself") from error
    # what a tag such as !!timestamp does not fit raises whatever its constructor comes upon
    except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        raise BadFile(f"{name}: holds a value that cannot be read ({shown(str(error))})") from error


def yaml_loader(text: str | bytes) -> Any:
    """What composes and constructs the plain values of a YAML text.

    Raises:
        yaml.YAMLError: It is no YAML.
        RecursionError: It is nested more than `MAX_DEPTH` deep.
    """
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise RecursionError(f"more than {MAX_DEPTH} levels")
    return _LOADER(text)


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        BadFile: As `read_text` and `parse_json`.
    """
    return parse_json(read_text(path), path)


def parse_json(text: str | bytes, name: Path | str) -> Any:
    """The content of a JSON text; `name` stands in the message.

    Raises:
        BadFile: It is no JSON, is nested too deeply, or an object has a key twice; the message names it.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except _Repeated as error:
        raise BadFile(f"{name}: the key {shown(error.args[0])} is given twice; keep one of them") from error
    except RecursionError as error:
        raise BadFile(f"{name}: nested too deeply") from error
    # also of bytes that are not UTF-8, and of numbers with thousands of digits
    except ValueError as error:
        raise BadFile(f"{name}: not readable as JSON ({shown(str(error))})") from error


def shown(text: str, num_characters: int = SHOWN_CHARACTERS) -> str:
    """A value as a message has it: on one line, and cut where it is long."""
    line = " ".join(text[: 4 * num_characters].split())
    return line if len(line) <= num_characters else f"{line[:num_characters]} ..."


class _Repeated(Exception):
    """A key comes twice."""


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Repeated(key)
        found[key] = value
    return found


def _refuse_repeats(root: yaml.Node, name: Path | str) -> None:
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, place: str) -> int:
        """Values in a node, those behind its aliases counted each time."""
        if id(node) in sizes:
            return sizes[id(node)]
        total = 1
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_keys(node, place, name)
            total += sum(size(key, place) + size(value, f"{place}{_key(key)}.") for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            total += sum(size(value, place) for value in node.value)
        if total > MAX_VALUES:
            raise BadFile(f"{name}: holds more than {MAX_VALUES:,} values once its aliases (*) are followed")
        sizes[id(node)] = total
        return total

    size(root, "")


def _refuse_repeated_keys(node: yaml.MappingNode, place: str, name: Path | str) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        # merges (<<) may be several
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            continue
        line, named = key.start_mark.line + 1, (key.tag, key.value)
        if named in lines:
            raise BadFile(
                f"{name}: {place}{_key(key)} is given twice, in line {lines[named]} and in line {line}; keep one of "
                "them"
            )
        lines[named] = line


def _key(node: yaml.Node) -> str:
    return shown(node.value) if isinstance(node, yaml.ScalarNode) else "?"


def _yaml_problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return shown(str(error).partition("\n")[0])
    mark = error.problem_mark or error.context_mark
    said = shown(error.problem or error.context or "")
    return f"{said}, line {mark.line + 1}" if mark else said
