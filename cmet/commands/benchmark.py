"""`cmet benchmark`: the official benchmarks."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The official benchmarks.")


@app.callback()
def about() -> None:
    """The official benchmarks."""


@app.command()
def manifest(
    name: Annotated[str, typer.Argument(help="mead or cremad.")],
    out: Annotated[Path, typer.Option("--out", help="The CSV file.")],
) -> None:
    """Write an official test manifest of C-MET, byte for byte."""
    from cmet.evaluation.benchmark import write_benchmark

    print(f"{out}: {write_benchmark(name, out)} rows")
