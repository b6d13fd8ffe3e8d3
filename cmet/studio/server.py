"""The page served: to this machine only, unless somebody asks for more and sets a password."""

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from cmet.errors import UserError
from cmet.studio.folders import FILES, PRIVATE, private_folder, studio_home
from cmet.studio.guards import BoundedBodies, FewGuesses, OnlyFromHere
from cmet.studio.looks import ask_for_password

LOCALHOST = "127.0.0.1"
FIRST_PORT, NUM_PORTS = 7860, 40
NUM_TRIES = 10

LOOK_EVERY_S = 0.02
"""Between two looks of Gradio at what it has to do; by itself it looks a thousand times a second."""

USER = "cmet"
"""Who logs in with the password."""


def is_local(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def free_port(host: str, wished: int | None) -> int:
    """A port to serve at.

    Raises:
        UserError: The wished one is taken, or the address is none of this machine.
    """
    wanted = range(FIRST_PORT, FIRST_PORT + NUM_PORTS) if wished is None else (wished,)
    for port in wanted:
        try:
            with closing(socket.create_server((host, port))):
                return port
        except OSError as error:
            taken = error
    if wished is None:
        raise UserError(f"--host {host}: no port from {FIRST_PORT} on is free ({taken.strerror}); name one with --port")
    raise UserError(f"--port {wished}: cannot be used ({taken.strerror}); leave it out, or name another one")


def at_free_port(launched: Callable[[int], str], host: str, wished: int | None) -> str:
    """What is launched at a free port; another one where somebody takes it in between.

    Raises:
        UserError: As `free_port`.
    """
    for _ in range(NUM_TRIES):
        with suppress(OSError):
            return launched(free_port(host, wished))
    raise UserError(f"--host {host}: each port was taken before the page could use it; name one with --port")


def check_reach(host: str, password: str | None) -> None:
    """Make sure that whoever is let in from elsewhere knows a password.

    Raises:
        UserError: There is none, or the address is one that cannot be served at.
    """
    if ":" in host:
        raise UserError(f"--host {host}: the page is served at IPv4 addresses only; name one, such as {LOCALHOST}")
    if not is_local(host) and not password:
        raise UserError(
            f"--host {host}: others could reach the page and the faces on it; set a password in CMET_STUDIO_PASSWORD, "
            "or leave --host out"
        )


@contextmanager
def served_page(host: str, port: int | None, password: str | None, model: Path | None) -> Iterator[str]:
    """The page, for the time of a block; gives its address. Files of its sessions are gone afterwards.

    Args:
        host: Where to listen.
        port: The one that is wished for; None for the first free one.
        password: What is asked for; None to let everybody in who can reach it.
        model: The model to begin with.

    Raises:
        UserError: There is no model where one was asked for, or the port is taken.
    """
    with private_folder(studio_home()) as folder:
        files = folder / FILES
        files.mkdir(mode=PRIVATE)
        _quiet_gradio(files)
        from cmet.studio.gradio_without_stubs import gradio
        from cmet.studio.looks import CSS
        from cmet.studio.models import RegisteredModels, offered_models
        from cmet.studio.page import UNPLAYABLE, StudioPage, studio_theme
        from cmet.studio.work import LIMITS, Studio

        # part of the name of each file: without it a name could be worked out from the content
        gradio.processing_utils.hash_seed = secrets.token_bytes(32)
        models, studio = offered_models(model), Studio(files)
        page = StudioPage(studio, models, RegisteredModels(Path.cwd()))
        guards = [Middleware(OnlyFromHere), Middleware(FewGuesses), Middleware(BoundedBodies, files=files)]
        if is_local(host):
            # another site's name that leads to this machine opens no page
            guards.append(Middleware(TrustedHostMiddleware, allowed_hosts=[LOCALHOST, "localhost", host]))
        try:
            page.blocks.queue(api_open=False)
            # a thousand looks a second take a twentieth of a core, for as long as a page is open or not
            page.blocks._queue.sleep_when_free = page.blocks._queue.progress_update_sleep_when_free = LOOK_EVERY_S

            def launched(number: int) -> str:
                _, url, _ = page.blocks.launch(
                    server_name=host,
                    server_port=number,
                    auth=None if password is None else (USER, password),
                    auth_message=ask_for_password(USER),
                    share=False,
                    quiet=True,
                    prevent_thread_lock=True,
                    show_error=True,
                    footer_links=[],
                    run_history=False,
                    enable_monitoring=False,
                    mcp_server=False,
                    ssr_mode=False,
                    pwa=False,
                    inbrowser=False,
                    allowed_paths=[],
                    max_file_size=LIMITS.size_bytes,
                    app_kwargs={
                        "docs_url": None, "redoc_url": None, "openapi_url": None, "middleware": guards,
                    },
                    theme=studio_theme(),
                    css=CSS,
                    js=UNPLAYABLE,
                )  # fmt: skip
                return str(url)

            yield at_free_port(launched, host, port)
        finally:
            studio.close()


def _quiet_gradio(files: Path) -> None:
    """Settings that Gradio reads from the environment: files in one place, and no word to anybody."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(files),
        "GRADIO_EXAMPLES_CACHE": str(files / "examples"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
