"""`cmet corpus`: what is there of a raw corpus."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cmet.params import CorpusName

app = typer.Typer(no_args_is_help=True, help="Look at raw corpora.")

COMPLETE, INCOMPLETE = 0, 1
"""Exit codes; 2, as for every mistake of the caller, when the folder is not of this corpus."""


@app.callback()
def about() -> None:
    """Look at raw corpora."""


@app.command()
def check(
    corpus: Annotated[CorpusName, typer.Argument(help="Which corpus the folder is of.")],
    root: Annotated[Path, typer.Argument(help="Folder of the raw corpus (of `table`: or the CSV or Parquet file).")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for machines.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Cut no list.")] = False,
    disk: Annotated[Path, typer.Option("--disk", help="Folder on the disk that preparing will write to.")] = Path(),
    files: Annotated[
        Path | None,
        typer.Option("--files", help="Folder that DVC will watch (manifest.files); default as `cmet use` sets it."),
    ] = None,
) -> None:
    """Say what is there of a corpus and what is not: exit code 0 complete, 1 incomplete, 2 not this corpus."""
    from cmet.corpora.check import MAX_LISTED, check_corpus, check_table
    from cmet.corpora.registry import CORPORA

    report = check_corpus(CORPORA[corpus], root, disk, files)
    if as_json:
        json.dump(asdict(report) | {"is_complete": report.is_complete}, sys.stdout, indent=2)
        print()
    else:
        print(check_table(report, sys.maxsize if full else MAX_LISTED))
    raise typer.Exit(COMPLETE if report.is_complete else INCOMPLETE)
