"""Who is let in at the HTTP port, and who is hung up on."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_in_process import config_in, running_agent
from http_lab import Served, ask, served

import obsagent
from obsagent.config import AgentConfig, load
from obsagent.daemon import Agent
from obsagent.errors import ConfigError, UsageError
from obsagent.http_address import HttpAddress, parse_http
from obsagent.http_port import HttpPort
from obsagent.limits import HTTP_CONNECTIONS
from obsagent.web.connection import Connection
from obsagent.web.guard import is_local_host
from obsagent.web.secrets import refuse_shared

TOKEN = "0123456789abcdef0123456789abcdef"
WAIT_S = 60.0


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def port() -> Iterator[Served]:
    with served() as found:
        yield found


@pytest.mark.threat("N1")
@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "10.1.2.3:0", "metrics.example:0"])
def test_beyond_this_machine_an_agent_without_a_token_does_not_start(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpPort(AgentConfig(http=address))
    assert caught.value.exit_code == 78
    assert "http_token names none" in str(caught.value)
    assert "openssl rand -hex 32" in str(caught.value)


@pytest.mark.threat("W1")
def test_where_there_is_a_token_every_request_shows_it(token: Path) -> None:
    with served(http="0.0.0.0:0", http_token=token) as port:
        for path in ("/metrics", "/-/healthy", "/-/ready", "/api/v1/obsagent/query?query=x", "/nothing", "/"):
            assert port.get(path).status == 401
            assert port.get(path, Authorization=f"Bearer {TOKEN[:-1]}").status == 401
            assert port.get(path, Authorization=f"Basic {TOKEN}").status == 401
            assert port.get(path, Authorization=f"bearer  {TOKEN}", Host="anything").status in (200, 404)
        assert port.get("/metrics").headers["www-authenticate"].startswith("Bearer")
        assert port.ask("POST", "/-/reload").status == 401
        assert port.ask("POST", "/-/reload", Authorization="Bearer \xff").status == 401
        assert port.agent.reloads == 0
        assert port.ask("POST", "/-/reload", Authorization=f"Bearer {TOKEN}").status == 200
    with served(http_token=token) as port:  # on this machine too
        assert port.ask("POST", "/-/reload").status == 401


@pytest.mark.threat("W2")
def test_a_page_whose_name_was_made_to_mean_this_machine_is_refused(port: Served) -> None:
    for host in ("evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil", "[::1", "", "a b"):
        assert port.get("/metrics", Host=host).status in (400, 403), host
    for host in ("127.0.0.1", "127.0.0.1:9464", "localhost", "LOCALHOST:1", "[::1]:9464", "127.9.9.9"):
        assert port.get("/metrics", Host=host).status == 200, host
    assert is_local_host("box:9464", "box")


@pytest.mark.threat("W2")
def test_a_page_of_another_server_that_posts_here_is_refused(port: Served) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example:80"):
        assert port.ask("POST", "/-/reload", Origin=origin).status == 403, origin
    assert port.agent.reloads == 0
    assert port.ask("POST", "/-/reload", Origin="http://localhost:9464").status == 200


@pytest.mark.threat("W1")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_token_that_others_can_read_is_not_used(token: Path, mode: int) -> None:
    token.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        HttpPort(AgentConfig(http="127.0.0.1:0", http_token=token))
    assert TOKEN not in str(caught.value)


@pytest.mark.threat("W1")
@pytest.mark.parametrize(
    ("mode", "owner", "group", "is_used"),
    [
        (0o440, 0, 10_001, True),  # as Kubernetes mounts a secret
        (0o640, 0, 10_001, True),
        (0o400, 10_001, 10_001, True),
        (0o440, 0, 100, False),
        (0o440, 10_001, 10_001, False),
        (0o460, 0, 10_001, False),
        (0o444, 0, 10_001, False),
    ],
)
def test_what_root_hands_out_to_the_agent_s_group_is_used(
    monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, group: int, is_used: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 10_001)
    monkeypatch.setattr(os, "getegid", lambda: 10_001)
    status = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, group, 40, 0, 0, 0))
    with contextlib.nullcontext() if is_used else pytest.raises(ConfigError, match=f"mode {mode:04o}"):
        refuse_shared("http_token", Path("/etc/token"), status)


@pytest.mark.parametrize("content", ["", "short", "two words of a token that is long", "ü" * 20, "x" * 5_000])
def test_a_file_without_a_token_says_how_one_is_made(token: Path, content: str) -> None:
    token.write_text(content)
    with pytest.raises(ConfigError, match="holds no token") as caught:
        HttpPort(AgentConfig(http="127.0.0.1:0", http_token=token))
    assert "openssl" in str(caught.value) or "one word" in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        HttpPort(AgentConfig(http="127.0.0.1:0", http_token=token.parent / "nothing"))


def test_a_token_is_read_again_at_a_reload_and_never_shown(token: Path) -> None:
    with served(http_token=token) as port:
        token.write_text("another-token-of-32-characters-xx")
        assert port.get("/metrics", Authorization=f"Bearer {TOKEN}").status == 200
        port.port.refresh()
        assert port.get("/metrics", Authorization=f"Bearer {TOKEN}").status == 401
        assert port.get("/metrics", Authorization="Bearer another-token-of-32-characters-xx").status == 200
        token.write_text("")
        with pytest.raises(ConfigError):
            port.port.refresh()
        assert port.get("/metrics", Authorization="Bearer another-token-of-32-characters-xx").status == 200
        assert "another-token" not in repr(port.port._token)


def connected(port: Served) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port.number), timeout=WAIT_S)
    found.settimeout(WAIT_S)
    return found


@pytest.mark.threat("W3")
def test_who_says_nothing_or_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "idle_s", 0.3)
    monkeypatch.setattr(Connection, "request_s", 0.6)
    with served() as port:
        port.agent.body = b"x" * 20_000_000
        assert port.get("/metrics").status == 200
        silent, halfway, deaf = connected(port), connected(port), connected(port)
        halfway.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for hung_up in (silent, halfway, deaf):
            with hung_up:
                if hung_up is deaf:
                    time.sleep(1.0)  # what is in the buffers is read all the same
                read = 0
                with contextlib.suppress(ConnectionResetError):
                    while data := hung_up.recv(1 << 20):
                        read += len(data)
                assert read < 20_000_000
        port.agent.body = b"again\n"
        assert port.get("/metrics").body == b"again\n"


@pytest.mark.threat("W3")
def test_no_scraper_keeps_the_agent_from_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More connections than are served: they wait or are refused, and samples go in as ever."""
    config = config_in(tmp_path, http="127.0.0.1:0")
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    with running_agent(config) as agent, contextlib.ExitStack() as held:
        assert agent._http.address is not None
        port = agent._http.address.port
        assert ask(port, "GET", "/metrics", None, {}).status == 200
        for _ in range(HTTP_CONNECTIONS + 5):
            found = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=WAIT_S))
            found.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ")
        held.enter_context(socket.create_connection(("127.0.0.1", port)))
        client = obsagent.connect("shop", endpoint=config.listen)
        client.counter("hits").inc()
        client.flush(timeout=WAIT_S).raise_if_pending()
        client.close()
        deadline = time.monotonic() + WAIT_S
        while ask(port, "GET", "/-/healthy", None, {}).status != 503:
            assert time.monotonic() < deadline, "one connection too many is refused"
        held.close()
        while (answer := ask(port, "GET", "/metrics", None, {})).status != 200:
            assert time.monotonic() < deadline
        assert b"hits_total" in answer.body


def test_a_default_port_that_is_taken_keeps_no_agent_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        monkeypatch.setattr("obsagent.http_port.DEFAULT_HTTP", taken)
        with running_agent(config_in(tmp_path, http=None)) as agent:
            state = agent.status()["agent"]
            assert (state["http"], state["health"]) == (None, "degraded")
            (problem,) = state["problems"]
            assert problem.startswith(f"nothing is exported to Prometheus: http = {taken}: cannot listen there")
            assert "--http off" in problem
            assert "nothing is exported to Prometheus" in caplog.text
        with pytest.raises(UsageError, match="cannot listen there: Address already in use"):
            Agent(config_in(tmp_path, http=taken))
    with running_agent(config_in(tmp_path, http=taken)) as agent:  # the store was given back
        assert agent.status()["agent"]["http"] == taken


@pytest.mark.parametrize("text", ["off", ""])
def test_it_can_be_turned_off(tmp_path: Path, text: str) -> None:
    with running_agent(config_in(tmp_path, http=text)) as agent:
        state = agent.status()["agent"]
        assert (state["http"], state["problems"]) == (None, [])


def test_a_server_that_is_not_installed_is_a_problem_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obsagent.web.server", None)
    with running_agent(config_in(tmp_path, http="127.0.0.1:0")) as agent:
        deadline = time.monotonic() + WAIT_S
        while not agent.status()["agent"]["problems"]:
            assert time.monotonic() < deadline
        (problem,) = agent.status()["agent"]["problems"]
        assert "pip install 'obsagent[agent]'" in problem


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", HttpAddress("127.0.0.1", 9464)),
        ("[::1]:80", HttpAddress("::1", 80)),
        ("localhost:0", HttpAddress("localhost", 0)),
        ("off", None),
        ("", None),
    ],
)
def test_addresses(text: str, address: HttpAddress | None) -> None:
    assert parse_http(text) == address
    assert address is None or str(address) == text


@pytest.mark.parametrize(
    "text", ["9464", ":9464", "a:b", "host:70000", "host:-1", "::1:80", "a b:1", "http://x:1", "x:"]
)
def test_what_is_no_address_says_what_is(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected HOST:PORT such as 127\.0\.0\.1:9464, or off"):
        parse_http(text)
    path = tmp_path / "obsagent.toml"
    path.write_text(f'http = "{text}"\n')
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        load(path, environ={})


def test_the_configuration_names_port_and_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "obsagent.toml"
    path.write_text('http = "0.0.0.0:80"\nhttp_token = "/etc/token"\n')
    config = load(path, environ={})
    assert (config.http, config.http_token) == ("0.0.0.0:80", Path("/etc/token"))
    assert load(path, http="off").http == "off"
    monkeypatch.delenv("OBSAGENT_HTTP")
    assert load().http is None
    path.write_text("http = 3\n")
    with pytest.raises(ConfigError, match=r'expected HOST:PORT such as "127\.0\.0\.1:9464", or "off", got 3'):
        load(path, environ={})
    assert os.environ.get("OBSAGENT_HTTP") is None
