"""What is refused before anything is done, and what every answer says to the browser."""

import re
import socket

import httpx
import pytest

from tests.console import facts
from tests.console.conftest import Stage

PAUSE = f"/{facts.SHOP}/uploads/pause"
FORM = {
    "step": "do",
    "until_s": "0",
    "minutes": "open",
    "reason": "A test",
    "operator": "mallory",
    "request_id": "console-00000000-0000-0000-0000-000000000001",
}


def token(client: httpx.Client) -> str:
    """The token of the session that the client has from here on."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/operator").text)
    assert found is not None
    return found[1]


def paused(stage: Stage) -> bool:
    """Whether the write took effect."""
    return stage.gateway.taxpayer(facts.SHOP).upload.paused


@pytest.mark.parametrize("given", ["", "forged"])
def test_a_form_without_the_sessions_token_is_refused(
    stage: Stage, client: httpx.Client, given: str
) -> None:
    token(client)

    answer = client.post(PAUSE, data={**FORM, "csrf": given})

    assert answer.status_code == 403
    assert not paused(stage)


def test_a_token_of_another_session_is_refused(stage: Stage, client: httpx.Client) -> None:
    with httpx.Client(base_url=stage.url, trust_env=False) as other:
        stolen = token(other)
    token(client)

    answer = client.post(PAUSE, data={**FORM, "csrf": stolen})

    assert answer.status_code == 403
    assert not paused(stage)


def test_a_form_of_another_site_is_refused_though_it_has_the_token(
    stage: Stage, client: httpx.Client
) -> None:
    form = {**FORM, "csrf": token(client)}

    answer = client.post(PAUSE, data=form, headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert not paused(stage)


def test_a_request_id_that_is_none_of_ours_is_refused(stage: Stage, client: httpx.Client) -> None:
    answer = client.post(PAUSE, data={**FORM, "csrf": token(client), "request_id": "x"})

    assert answer.status_code == 403
    assert not paused(stage)


@pytest.mark.parametrize("operator", ["", "张三", "a\nb", "x" * 65])
def test_a_name_that_cannot_be_sent_writes_nothing(
    stage: Stage, client: httpx.Client, operator: str
) -> None:
    answer = client.post(PAUSE, data={**FORM, "csrf": token(client), "operator": operator})

    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert not paused(stage)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_name_is_not_answered(client: httpx.Client, host: str) -> None:
    answer = client.get("/", headers={"Host": host})

    assert answer.status_code == 421
    assert facts.RAILWAY not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "LOCALHOST", "[::1]:80"])
def test_its_own_names_are(client: httpx.Client, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/alerts", "/nowhere", f"/{facts.INVOICE}", "/static/console.css", "/alerts/nothing"],
)
def test_every_answer_binds_the_browser(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers

    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    static = path.startswith("/static/")
    assert headers["cache-control"] == ("no-cache" if static else "no-store")
    assert "server" not in headers


def test_the_session_is_kept_from_scripts_and_other_sites(client: httpx.Client) -> None:
    cookie = client.get("/").headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_who_comes_by_a_link_of_another_site_keeps_the_session(client: httpx.Client) -> None:
    arriving = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    answer = client.get(f"/{facts.LOW}", headers=arriving)

    assert 'http-equiv="refresh"' in answer.text
    assert "set-cookie" not in answer.headers


def test_nobody_is_sent_elsewhere(client: httpx.Client) -> None:
    csrf = token(client)
    for elsewhere in ("https://evil.example/", "//evil.example/", "/\\evil.example", "evil"):
        form = {"csrf": csrf, "language": "en", "next": elsewhere}

        assert client.post("/language", data=form).headers["location"] == "/"


def test_a_body_of_any_size_is_not_read(client: httpx.Client) -> None:
    csrf = token(client)

    assert (
        client.post("/operator", data={"csrf": csrf, "operator": "x" * 70_000}).status_code == 413
    )
    chunked = client.post("/operator", content=iter([b"csrf=x"]))
    assert chunked.status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/taxpayers/nobody",
        f"/{facts.RAILWAY}?hours=25",
        f"/{facts.RAILWAY}?hours=%D9%A2",
        f"/{facts.RAILWAY}/uploads/stop",
        "/alerts/%3Cscript%3E",
        "/static/../config.py",
    ],
)
def test_an_address_that_names_nothing_is_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/alerts/404", 404, "ALERT_NOT_FOUND"),
        ("/taxpayers/91110000AYTLHUJ0EX", 404, "TAXPAYER_NOT_FOUND"),
        (f"/{facts.RAILWAY}/devices/1", 404, "DEVICE_NOT_FOUND"),
        (f"/{facts.RAILWAY}/invoices/1", 404, "INVOICE_NOT_FOUND"),
    ],
)
def test_what_the_gateway_refuses_is_shown_by_name(
    client: httpx.Client, path: str, status: int, reason: str
) -> None:
    answer = client.get(path)

    assert (answer.status_code, reason in answer.text) == (status, True)


def test_the_audit_record_is_sought_by_taxpayer_and_by_name(client: httpx.Client) -> None:
    assert client.get("/audit", params={"taxpayer": "nobody"}).status_code == 400
    assert client.get("/audit", params={"actor": "张"}).status_code == 400
    assert client.get("/audit", params={"actor": "nobody"}).status_code == 200


def test_a_length_that_is_stated_beside_chunks_is_not_believed(
    stage: Stage, client: httpx.Client
) -> None:
    # Of both the chunks count (RFC 9112, 6.3): the length would let any size pass.
    csrf = token(client)
    host, _, port = stage.url.removeprefix("http://").rpartition(":")
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = (
        f"POST /operator HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookies}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
        "Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    body = f"csrf={csrf}&operator=mallory&more={'x' * 200_000}".encode()
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        answer = connection.recv(4096)

    assert answer.split(b" ", 2)[1] in (b"400", b"413")
