"""A page of the folder of reports for this machine: browsers open no file from the page of Dagster.

`make dev` starts it beside Dagster, and it ends with Dagster: `python -m pipelines.reports_page PORT PID`.
"""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cmet.launching import die_with

REPORTS = Path(__file__).resolve().parents[1] / "reports"


class Reports(SimpleHTTPRequestHandler):
    """Shows files as they are now."""

    def end_headers(self) -> None:
        """A report that was made anew is not taken from the browser's cache."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing between Dagster's lines."""


def reports_server(port: int, folder: Path = REPORTS) -> ThreadingHTTPServer:
    """A server of a folder, for reading and for this machine alone; port 0 is any that is free."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Reports, directory=str(folder)))


def main() -> None:
    """Serve until the parent ends, whose number is told: it may have ended already."""
    port, parent = (int(word) for word in sys.argv[1:])
    die_with(parent)
    try:
        server = reports_server(port)
    except OSError as error:
        sys.exit(
            f"reports are not served on port {port} ({error.strerror}); start with another one: make dev PORT=3001"
        )
    server.serve_forever()


if __name__ == "__main__":
    main()
