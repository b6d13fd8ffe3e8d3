"""`cmet studio`: the page for people who do not write code."""

import os
import webbrowser
from threading import Event
from typing import Annotated

import typer

from cmet.commands import completing
from cmet.commands.edit import model_folder
from cmet.environment import many_imports
from cmet.errors import UserError
from cmet.weights.extras import install_command, is_installed


def studio(
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Default the first free one from 7860 on.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; another address than this machine's own needs a password.")
    ] = "127.0.0.1",
    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            envvar="CMET_STUDIO_PASSWORD",
            help="Ask for it, for the user cmet; best in the variable.",
            show_default=False,
        ),
    ] = None,  # fmt: skip
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Begin with this model: a folder, or an address in MLflow; the others are on the page.",
            autocompletion=completing.models,
        ),
    ] = None,
    is_opened: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Serve a page on which a face in a video gets another emotion; Ctrl-C ends it."""
    # as `cmet edit` has it, so that both write the same
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if not is_installed("studio"):
        raise UserError(f"the page needs Gradio; install it with `{install_command('studio')}`")
    from cmet.studio.server import check_reach, free_port, served_page

    check_reach(host, password)
    # a port that is taken is told before Gradio is imported
    free_port(host, port)
    folder = model_folder(model)
    try:
        with many_imports():
            import cmet.studio.gradio_without_stubs  # noqa: F401
        with served_page(host, port, password, folder) as url:
            typer.echo(f"cmet studio: {url} (Ctrl-C ends it)")
            if is_opened:
                webbrowser.open(url)
            Event().wait()
    except KeyboardInterrupt:
        typer.echo("cmet studio: ended; nothing that was given to it is kept")
