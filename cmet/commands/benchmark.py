"""`cmet benchmark`: the official benchmarks."""

from pathlib import Path
from typing import Annotated

import typer

from cmet.commands.answer import Answer, answering
from cmet.commands.completing import benchmarks
from cmet.errors import UserError

app = typer.Typer(no_args_is_help=True, help="The official benchmarks.")


@app.callback()
def about_benchmarks() -> None:
    """The official benchmarks."""


@app.command("manifest")
@answering
def write_test_manifest(
    name: Annotated[str, typer.Argument(help="mead or cremad.", autocompletion=benchmarks)],
    out: Annotated[Path, typer.Option("--out", help="The CSV file to write.")],
) -> Answer:
    """Write an official test manifest of C-MET, byte for byte."""
    from cmet.edits.benchmark import write_benchmark

    num_rows = write_benchmark(name.lower(), out)
    return Answer({"out": out, "num_rows": num_rows}, f"{out}: {num_rows} rows")


@app.command()
@answering
def paper(
    corpus: Annotated[
        str | None, typer.Argument(help="mead or cremad; default both.", autocompletion=benchmarks)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write a file: .csv with every label, or .md.")] = None,
) -> Answer:
    """Print the paper's results and what can be computed from them: right rows, floors, contradictions."""
    from cmet.report.paper import CORPORA, of_corpus, paper_tables, printed_tables, write_tables

    corpus = corpus and corpus.lower()
    if corpus not in (None, *CORPORA):
        raise UserError(f"unknown benchmark {corpus!r}; known are {', '.join(CORPORA)}")
    tables = of_corpus(paper_tables(), corpus)
    if out is not None:
        write_tables(tables, out)
    return Answer(tables, printed_tables(tables))
