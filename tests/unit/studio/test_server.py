import socket
from collections.abc import Iterable

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from cmet.errors import UserError
from cmet.studio.server import (
    FIRST_PORT,
    MAX_WRONG,
    WRONG_WITHIN_S,
    FewGuesses,
    OnlyFromHere,
    at_free_port,
    check_reach,
    free_port,
    is_local,
)


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.7", False),
        ("me", False),
    ],
)
def test_which_addresses_are_this_machine_alone(host: str, is_one: bool) -> None:
    assert is_local(host) == is_one


def test_others_are_let_in_with_a_password_only() -> None:
    with pytest.raises(UserError, match="--host 0.0.0.0: others could reach the page .* CMET_STUDIO_PASSWORD"):
        check_reach("0.0.0.0", None)
    check_reach("0.0.0.0", "secret")
    check_reach("127.0.0.1", None)


def test_a_port_in_use_is_passed_over_or_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: cannot be used .* name another one"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", None) >= FIRST_PORT


def test_a_port_that_is_taken_at_the_last_moment_is_passed_over() -> None:
    tried: list[int] = []

    def launched(port: int) -> str:
        tried.append(port)
        if len(tried) < 3:
            raise OSError("Cannot find empty port")
        return f"http://127.0.0.1:{port}"

    assert at_free_port(launched, "127.0.0.1", None) == f"http://127.0.0.1:{tried[-1]}"
    assert len(tried) == 3


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(UserError, match="--host 192.0.2.1: no port"):
        free_port("192.0.2.1", None)


def test_an_address_that_cannot_be_served_at_is_told() -> None:
    with pytest.raises(UserError, match="--host ::1: the page is served at IPv4 addresses only"):
        check_reach("::1", None)


async def answer(request: Request) -> Response:
    """The page behind its guards; it lets in with one password."""
    form = await request.body()
    return PlainTextResponse("", 200 if request.url.path != "/login" or form == b"right" else 400)


def guarded(*guards: Middleware) -> TestClient:
    """A visitor of it."""
    routes = [Route(path, answer, methods=["GET", "POST"]) for path in ("/login", "/gradio_api/upload")]
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
        return [visitor.post("/login", content=word).status_code for word in words]

    assert statuses(["wrong"] * MAX_WRONG) == [400] * MAX_WRONG
    assert statuses(["wrong", "right"]) == [429, 429]
    assert visitor.get("/login").status_code == 400  # it is the page's answer
    now_s[0] = WRONG_WITHIN_S
    assert statuses(["wrong", "right"]) == [400, 200]
    # who knows it begins anew
    assert statuses(["wrong"] * MAX_WRONG) == [400] * MAX_WRONG
