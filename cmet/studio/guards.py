"""What stands before the page: who may send it something, how much, and how often they may guess its password."""

import math
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmet.studio.folders import bytes_kept_in
from cmet.studio.looks import wait_page

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
WAIT = "/wait"
"""Where it is said that somebody has to wait."""

ENTRANCES = frozenset({"/", LOGIN})
"""Where the page asks for a password."""

LET_IN = "access-token"
"""With what the name of a cookie of Gradio begins that somebody gets with the right password."""

MAX_WRONG, WRONG_WITHIN_S = 5, 60.0
"""Wrong passwords from one address after which it is heard no more, until as many seconds have gone by."""

UPLOAD = "/upload"
"""How the address ends at which Gradio takes files."""

MAX_WORDS_BYTES = 4 << 20
"""Of what is sent anywhere else: words, numbers and names of files."""

MAX_FILES_BYTES = 16 << 30
"""Of all files of a running page, whoever has given or made them, beyond which it takes no more."""


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
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, method = scope["path"].rstrip("/") or "/", scope["method"]
        is_guess = method == "POST" and path == LOGIN
        client, left_s = (scope.get("client") or ("", 0))[0], 0.0
        if path == WAIT or path in ENTRANCES:
            left_s = self._left_s(client)
        if path == WAIT:
            home = RedirectResponse("./", HTTPStatus.SEE_OTHER)
            page = HTMLResponse(
                wait_page(left_s), headers={"Refresh": f"{left_s:g}; url=./", "Cache-Control": "no-store"}
            )
            await (page if left_s else home)(scope, receive, send)
        elif left_s and (is_guess or not is_let_in(scope)):
            # the login of Gradio shows no other answer: it opens the page anew after this one
            await RedirectResponse(WAIT.removeprefix("/"), HTTPStatus.SEE_OTHER)(scope, receive, send)
        elif is_guess:
            await self._hear(client, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _hear(self, client: str, scope: Scope, receive: Receive, send: Send) -> None:
        # counts from the start: many sent at once are not heard either
        self._wrong_s.setdefault(client, []).append(self.now_s())

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < HTTPStatus.BAD_REQUEST:
                self._wrong_s.pop(client, None)
            await send(message)

        await self.app(scope, receive, answered)

    def _left_s(self, client: str) -> float:
        """Whole seconds until an address is heard again; 0 where it is."""
        now_s = self.now_s()
        recent = {one: [at for at in times if now_s - at < WRONG_WITHIN_S] for one, times in self._wrong_s.items()}
        self._wrong_s = {one: times for one, times in recent.items() if times}
        wrong_s = self._wrong_s.get(client, [])
        return 0.0 if len(wrong_s) < MAX_WRONG else math.ceil(wrong_s[-MAX_WRONG] + WRONG_WITHIN_S - now_s)


def is_let_in(scope: Scope) -> bool:
    """Whether somebody has given the password already, or claims so; another at their address may be guessing."""
    cookies: Mapping[str, str] = cookie_parser(Headers(scope=scope).get("cookie", ""))
    return any(name.startswith(LET_IN) for name in cookies)


class BoundedBodies:
    """Takes no more than there is room for, of files and of words; whatever sends them, and for whichever session."""

    def __init__(self, app: ASGIApp, files: Path, limit_bytes: int = MAX_FILES_BYTES) -> None:
        """Stand before an application.

        Args:
            app: It puts files into the folder.
            files: The folder.
            limit_bytes: Of all files in it.
        """
        self.app, self.files, self.limit_bytes = app, files, limit_bytes
        self._arriving_bytes = 0
        """Of all files that are being sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        is_upload = scope["path"].rstrip("/").endswith(UPLOAD)
        room_bytes, said = MAX_WORDS_BYTES, "This is more than the page takes."
        if is_upload:
            room_bytes = self.limit_bytes - await run_in_threadpool(bytes_kept_in, self.files)
            said = "The page has no room for more files now; try again later."
        came_bytes, is_refused, is_answered = 0, False, False

        async def received() -> Message:
            nonlocal came_bytes, is_refused
            message = await receive()
            num_bytes = len(message.get("body", b""))
            came_bytes += num_bytes
            self._arriving_bytes += num_bytes if is_upload else 0
            is_refused = (self._arriving_bytes if is_upload else came_bytes) > room_bytes
            if is_refused:
                # of all faults, after this one Gradio removes what it has written
                raise MultiPartException(said)
            return message

        async def answered(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            if message["type"] == "http.response.start" and is_refused:
                message["status"] = HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value
            await send(message)

        refusal = PlainTextResponse(said, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > room_bytes - (self._arriving_bytes if is_upload else 0):
            await refusal(scope, receive, send)
            return
        try:
            await self.app(scope, received, answered)
        except MultiPartException:
            if not is_refused or is_answered:
                raise
            await refusal(scope, receive, send)
        finally:
            self._arriving_bytes -= came_bytes if is_upload else 0
