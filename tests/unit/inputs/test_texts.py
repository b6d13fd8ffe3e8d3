"""YAML and JSON say every thing once, and are small enough to be looked at."""

from pathlib import Path

import pytest

from cmet.inputs.files import BadFile
from cmet.inputs.texts import parse_json, parse_yaml, read_yaml, shown
from tests.hostile import DEEP_JSON, DEEP_YAML, alias_bomb


def test_yaml_comes_back_with_its_aliases_and_merges() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\nd: [1, .5, null, true, '1']\n"
    assert parse_yaml(text, "p") == {
        "a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 2}, "d": [1, 0.5, None, True, "1"],
    }  # fmt: skip
    assert parse_yaml("# nothing\n", "p") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "a is given twice, in line 1 and in line 3; keep one of them"),
        ("train:\n  rate: 1\n  'rate': 2\n", "train.rate is given twice, in line 2 and in line 3"),
        ("a: [{b: 1, b: 2}]", "a.b is given twice, in line 1 and in line 1"),
        (DEEP_YAML, "nested too deeply"),
        *((opened * 50_000, "nested too deeply") for opened in ("[", "{a: ", "- ", "? ")),
        ("a: &a [*a]", "nested too deeply, or contains itself"),
        ("a: &a {<<: *a}", "nested too deeply, or contains itself"),
        (alias_bomb(), "holds more than 100,000 values once its aliases"),
        ("? [a, b]\n: 1\n? {}\n: 2", "not readable as YAML: found unhashable key, line"),
        ("a: [", "not readable as YAML: did not find expected node content, line 2"),
        ("a: 1\n---\nb: 2", "not readable as YAML: but found another document, line 2"),
        ("a: \0", "not readable as YAML: unacceptable character .*"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor for the tag.*, line 1"),
        ("a: 2001-99-99", "holds a value that cannot be read .month must be in"),
        ("a: !!bool maybe", "holds a value that cannot be read"),
        ("a: " + "9" * 5000, "holds a value that cannot be read .Exceeds the limit"),
        ("a: !!timestamp x", "holds a value that cannot be read"),
    ],
)
def test_other_yaml_is_refused_in_one_short_line(text: str, problem: str) -> None:
    with pytest.raises(BadFile, match=f"p.yaml: .*{problem}") as error:
        parse_yaml(text, "p.yaml")
    assert len(str(error.value)) < 250
    assert "\n" not in str(error.value)


def test_a_yaml_file_is_read_within_a_limit(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("a: 1\n" + "#" * (256 << 10))
    with pytest.raises(BadFile, match="larger than 256 KiB"):
        read_yaml(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": {"b": 1, "b": 2}}', "the key b is given twice; keep one of them"),
        ('{"a": 1', "not readable as JSON .*line 1 column 8"),
        (DEEP_JSON, "nested too deeply"),
        ("9" * 5000, "not readable as JSON .Exceeds the limit"),
        (b'{"a": "\xff"}', "not readable as JSON .*codec can't decode"),
    ],
)
def test_other_json_is_refused(text: str | bytes, problem: str) -> None:
    with pytest.raises(BadFile, match=f"c.json: {problem}"):
        parse_json(text, "c.json")


def test_what_is_shown_is_one_short_line() -> None:
    assert shown("a\n b") == "a b"
    assert shown("a" * 10**6) == "a" * 80 + " ..."
