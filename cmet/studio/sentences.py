"""Sentences of the command line in the words of the page."""

import re
from pathlib import Path

OPTIONS = {
    "name the emotion with --emotion": "choose it by name",
    "--neutral-speech": "the calm recordings",
    "--speech": "the recordings",
    "--emotion": "the emotion",
    "--strength": "the strength",
    "--timeline": "the table of times",
    "--out": "the result",
}
"""What an option of `cmet edit` is called here, and what is said instead where its name alone makes no sentence."""

_OPTION = re.compile(rf"(?:{'|'.join(map(re.escape, OPTIONS))})(?![\w-])")


def plain_sentence(sentence: str, folder: Path) -> str:
    """A sentence without options, and with names of files in place of where the page keeps them.

    Args:
        sentence: As an edit says it.
        folder: Of the session.
    """
    kept = re.compile(rf"{re.escape(str(folder))}/(?:[a-z]+/)?(?:[0-9a-f]+/)?")
    return _OPTION.sub(lambda found: OPTIONS[found.group()], kept.sub("", sentence))
