import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from cmet.studio.folders import MAX_UNCLAIMED_AGE_S, bytes_kept_in, remove_unclaimed
from cmet.studio.guards import MAX_WORDS_BYTES, MAX_WRONG, WRONG_WITHIN_S, BoundedBodies, FewGuesses, OnlyFromHere
from cmet.studio.sessions import StudioSessions


async def answer(request: Request) -> Response:
    """The page behind its guards; it lets in with one password."""
    form = await request.body()
    return PlainTextResponse("page", 200 if request.url.path != "/login" or form == b"right" else 400)


def guarded(*guards: Middleware) -> TestClient:
    """A visitor of it."""
    routes = [Route(path, answer, methods=["GET", "POST"]) for path in ("/", "/login", "/gradio_api/upload")]
    return TestClient(Starlette(routes=routes, middleware=guards), base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:7860"}, 200),
        ({"Origin": "https://me.example", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_another_site_can_send_nothing(headers: dict[str, str], status: int) -> None:
    visitor = guarded(Middleware(OnlyFromHere))
    assert visitor.post("/gradio_api/upload", headers=headers).status_code == status
    assert visitor.get("/gradio_api/upload", headers=headers).status_code == 200


def test_a_password_cannot_be_found_by_trying() -> None:
    now_s = [0.0]
    visitor = guarded(Middleware(FewGuesses, now_s=lambda: now_s[0]))

    def statuses(words: Iterable[str]) -> list[int]:
        return [visitor.post("/login", content=word, follow_redirects=False).status_code for word in words]

    assert statuses(["wrong"] * MAX_WRONG) == [400] * MAX_WRONG
    assert statuses(["wrong", "right"]) == [303, 303]
    now_s[0] = WRONG_WITHIN_S
    assert statuses(["wrong", "right"]) == [400, 200]
    # who knows it begins anew
    assert statuses(["wrong"] * MAX_WRONG) == [400] * MAX_WRONG


def test_whoever_has_to_wait_is_told_on_a_page_of_its_own() -> None:
    now_s = [0.0]
    visitor = guarded(Middleware(FewGuesses, now_s=lambda: now_s[0]))
    for _ in range(MAX_WRONG):
        visitor.post("/login", content="wrong")
    now_s[0] = 10.0
    for answer in (visitor.post("/login", content="right"), visitor.get("/"), visitor.get("/wait")):
        assert (answer.url.path, answer.status_code) == ("/wait", 200)
        assert "Too many wrong passwords" in answer.text and "Wait 50 seconds" in answer.text
        assert answer.headers["refresh"] == "50; url=./"
    # somebody at the same address who is in stays in
    assert visitor.get("/", headers={"Cookie": "access-token-unsecure-x=y"}).text == "page"
    assert visitor.get("/gradio_api/upload").status_code == 200
    now_s[0] = WRONG_WITHIN_S
    assert visitor.get("/wait").text == "page"


def test_words_are_bounded() -> None:
    visitor = guarded(Middleware(BoundedBodies, files=Path()))
    assert visitor.post("/login", content=b"right").status_code == 200
    assert visitor.post("/login", content=bytes(MAX_WORDS_BYTES + 1)).status_code == 413
    # without a length it is counted as it comes
    assert visitor.post("/login", content=iter([bytes(MAX_WORDS_BYTES), b"1"])).status_code == 413


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A visitor of Gradio's own upload, of files of 1000 bytes at most and 4500 together."""
    from cmet.studio.gradio_without_stubs import gradio as gr

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.File()
    blocks.max_file_size = 1000
    guards = [Middleware(BoundedBodies, files=tmp_path, limit_bytes=4500)]
    return TestClient(gr.routes.App.create_app(blocks, app_kwargs={"middleware": guards}))


def sent(visitor: TestClient, *sizes_bytes: int, first: int = 0) -> httpx.Response:
    """The answer to some files; each has another content."""
    files = [("files", (f"{number}.wav", bytes([number]) * size)) for number, size in enumerate(sizes_bytes, first)]
    return visitor.post("/gradio_api/upload", files=files)


def test_what_is_sent_past_all_sessions_is_bounded_and_removed(uploads: TestClient, tmp_path: Path) -> None:
    assert sent(uploads, 900).status_code == 200
    assert sent(uploads, 1001).status_code == 413
    assert sent(uploads, *[900] * 3, first=1).status_code == 200
    assert bytes_kept_in(tmp_path) == 3600
    answer = sent(uploads, 900, first=9)
    assert (answer.status_code, answer.text) == (413, "The page has no room for more files now; try again later.")

    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
        yield bytes(880)
        yield b"\r\n--x--\r\n"

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    # without a length it is counted as it comes
    assert uploads.post("/gradio_api/upload", content=chunks(), headers=kind).status_code == 413
    assert bytes_kept_in(tmp_path) == 3600

    session = StudioSessions(tmp_path).of("one")
    taken = session.take(next(tmp_path.glob("*/0.wav")))
    # what a session has taken lies there under two names
    assert bytes_kept_in(tmp_path) == 3600
    now_s = time.time()
    remove_unclaimed(tmp_path, now_s + MAX_UNCLAIMED_AGE_S / 2)
    assert bytes_kept_in(tmp_path) == 3600
    remove_unclaimed(tmp_path, now_s + MAX_UNCLAIMED_AGE_S + 60)
    assert {path.name for path in tmp_path.rglob("*.wav")} == {taken.name}
    assert sent(uploads, 900, first=9).status_code == 200
