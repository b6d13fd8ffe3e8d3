"""The page served: to this machine only, unless somebody asks for more and sets a password."""

import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmet.errors import UserError
from cmet.studio.folders import PRIVATE, private_folder, studio_home

LOCALHOST = "127.0.0.1"
FIRST_PORT, NUM_PORTS = 7860, 40
NUM_TRIES = 10
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; form-action 'self'; "
    "object-src 'none'; base-uri 'self'"
)
"""What a browser may fetch for the page: nothing from elsewhere, whatever a part of it would like."""

REFUSED = re.compile(r"/(?:file|proxy)=\w+:|/openapi\.json$|/deep_link/?$")
"""What would be fetched from elsewhere by the server, the list of what can be called, and a copy of a page to share."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})
"""What a browser says of a request by this page, or by a person who typed an address."""

LOGIN = "/login"
MAX_WRONG, WRONG_WITHIN_S = 5, 60.0
"""Wrong passwords from one address after which it is heard no more, until as many seconds have gone by."""

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


def is_foreign(scope: Scope) -> bool:
    """Whether a page of another site has its visitor's browser send something here."""
    if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
        return False
    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in OWN_SITES
    # older browsers, and any at an address of the network without HTTPS, say only this
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


class OnlyFromHere:
    """Tells browsers to fetch nothing from elsewhere, fetches nothing for them either, and takes nothing from there."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if REFUSED.search(scope.get("path", "")) or is_foreign(scope):
            await PlainTextResponse("This is not for you.", 403)(scope, receive, send)
            return

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, answered)


class FewGuesses:
    """Keeps a password from being found by trying."""

    def __init__(self, app: ASGIApp, now_s: Callable[[], float] = time.monotonic) -> None:
        """Stand before an application.

        Args:
            app: It answers what is wrong with a status of 400 or more.
            now_s: Tells the time.
        """
        self.app, self.now_s = app, now_s
        self._wrong_s: dict[str, list[float]] = {}
        """When there was a wrong one, by the address it came from."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].rstrip("/") != LOGIN:
            await self.app(scope, receive, send)
            return
        client, now_s = (scope.get("client") or ("", 0))[0], self.now_s()
        recent = {one: [at for at in times if now_s - at < WRONG_WITHIN_S] for one, times in self._wrong_s.items()}
        self._wrong_s = {one: times for one, times in recent.items() if times}
        wrong_s = self._wrong_s.setdefault(client, [])
        if len(wrong_s) >= MAX_WRONG:
            said = {"detail": f"Too many wrong passwords; wait {WRONG_WITHIN_S:g} s."}
            await JSONResponse(said, 429)(scope, receive, send)
            return
        # counts from the start: many sent at once are not heard either
        wrong_s.append(now_s)

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < HTTPStatus.BAD_REQUEST:
                self._wrong_s.pop(client, None)
            await send(message)

        await self.app(scope, receive, answered)


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
        files = folder / "files"
        files.mkdir(mode=PRIVATE)
        _quiet_gradio(files)
        from gradio import processing_utils

        from cmet.studio.looks import CSS
        from cmet.studio.models import RegisteredModels, offered_models
        from cmet.studio.page import UNPLAYABLE, StudioPage, studio_theme
        from cmet.studio.work import LIMITS, Studio

        # part of the name of each file: without it a name could be worked out from the content
        processing_utils.hash_seed = secrets.token_bytes(32)
        models, studio = offered_models(model), Studio(files)
        page = StudioPage(studio, models, RegisteredModels(Path.cwd()))
        guards = [Middleware(OnlyFromHere), Middleware(FewGuesses)]
        if is_local(host):
            # another site's name that leads to this machine opens no page
            guards.append(Middleware(TrustedHostMiddleware, allowed_hosts=[LOCALHOST, "localhost", host]))
        try:
            page.blocks.queue(api_open=False)

            def launched(number: int) -> str:
                _, url, _ = page.blocks.launch(
                    server_name=host,
                    server_port=number,
                    auth=None if password is None else (USER, password),
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
