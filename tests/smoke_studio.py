"""The page as people have it who install cmet, from its start to Ctrl-C: `python -m tests.smoke_studio CMET FOLDER`."""

import signal
import sys
import urllib.request
from pathlib import Path

from cmet.studio.folders import LOCK
from tests.browser.studio import served_studio


def open_studio(cmet: Path, folder: Path) -> None:
    """Start the page with an installed command, look at what it answers, and end it; no file of it may be left.

    Args:
        cmet: The command.
        folder: New; for its files.
    """
    folder.mkdir()
    with (
        served_studio(folder, program=(str(cmet),)) as studio,
        urllib.request.urlopen(studio.url, timeout=30) as answer,
    ):
        assert answer.status == 200
        # Gradio has the browser itself write the title; in the page it stands for those who share a link
        assert '<meta property="og:title" content="cmet studio"' in answer.read().decode()
    assert studio.process.returncode == 0, (folder / "said.txt").read_text()
    assert [path.name for path in studio.home.iterdir()] == [LOCK]


if __name__ == "__main__":
    # what a shell starts in the background may ignore it, and so would the page
    signal.signal(signal.SIGINT, signal.default_int_handler)
    open_studio(Path(sys.argv[1]), Path(sys.argv[2]))
