"""What the HTTP port answers, whatever is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from http_lab import Served, served

from obsagent.errors import ConfigError, StoreError
from obsagent.limits import HTTP_BODY_BYTES_MAX, QUERY_BYTES_MAX

QUERY = "/api/v1/obsagent/query"


@pytest.fixture(scope="module")
def port() -> Iterator[Served]:
    with served() as found:
        yield found


@pytest.fixture(autouse=True)
def unharmed(port: Served) -> Iterator[None]:
    port.agent.refusal, port.agent.alive, port.agent.reasons = None, True, []
    yield
    assert port.get("/-/healthy").status in (200, 503), "it still answers"


def test_metrics_in_the_format_that_is_accepted(port: Served) -> None:
    answer = port.get("/metrics", Accept="application/openmetrics-text, text/plain;q=0.5")
    assert (answer.status, answer.body) == (200, b"# nothing\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert port.agent.scraped[-1] == "application/openmetrics-text, text/plain;q=0.5"
    assert port.ask("HEAD", "/metrics").body == b""
    assert port.ask("POST", "/metrics").status == 405


def test_a_store_that_cannot_be_read_is_a_scrape_that_failed(port: Served) -> None:
    port.agent.refusal = StoreError("a file is gone")
    assert port.get("/metrics")[::2] == (503, b"a file is gone\n")


def test_health_and_readiness(port: Served) -> None:
    assert port.get("/-/healthy")[::2] == (200, b"healthy\n")
    assert port.get("/-/ready")[::2] == (200, b"ready\n")
    port.agent.alive, port.agent.reasons = False, ["the disk is full", "so it is"]
    assert port.get("/-/healthy").status == 503
    assert port.get("/-/ready")[::2] == (503, b"the disk is full\nso it is\n")


def test_reload(port: Served) -> None:
    before = port.agent.reloads
    assert port.get("/-/reload").status == 405
    answer = port.ask("POST", "/-/reload")
    assert (answer.status, json.loads(answer.body)) == (200, {"keys": 1})
    assert port.ask("PUT", "/-/reload").status == 200
    assert port.agent.reloads == before + 2
    port.agent.refusal = ConfigError("obsagent.toml: unknown key lisen; did you mean listen?")
    refused = port.ask("POST", "/-/reload")
    assert (refused.status, json.loads(refused.body)) == (
        400,
        {"error": "obsagent.toml: unknown key lisen; did you mean listen?", "exit_code": 78},
    )


def test_a_query_in_the_address_in_a_form_and_as_json(port: Served) -> None:
    text = "p99 latency endpoint=/score by version"
    form = f"query={quote(text)}&explain=true".encode()
    asked = [
        port.get(f"{QUERY}?query={quote(text)}&explain=1"),
        port.ask("POST", QUERY, form, Content_Type="application/x-www-form-urlencoded"),
        port.ask("POST", QUERY, form),
        port.ask(
            "POST", f"{QUERY}?explain=true", json.dumps({"query": text}).encode(), Content_Type="application/json"
        ),
    ]
    for answer in asked:
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert json.loads(answer.body) == {"text": text, "explain": True}
    assert json.loads(port.get(f"{QUERY}?query=x&sketch=tdigest").body) == {"text": "x", "sketch": "tdigest"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"{QUERY}?query=wrong", "not understood\n    wrong\n    ^^^^^"),
        (QUERY, "expected a query"),
        (f"{QUERY}?query=", "expected a query"),
        (f"{QUERY}?query=x&explain=maybe", "explain: expected true or false"),
        (f"{QUERY}?query=x&time=3", "unknown parameter 'time'"),
    ],
)
def test_mistakes_are_answered_with_what_was_expected(port: Served, path: str, message: str) -> None:
    answer = port.get(path)
    assert answer.status == 400
    assert message in json.loads(answer.body)["error"]


def test_a_long_query_in_a_form_is_refused(port: Served) -> None:
    answer = port.ask("POST", QUERY, b"query=" + b"x" * (QUERY_BYTES_MAX + 1))
    assert (answer.status, "bytes" in json.loads(answer.body)["error"]) == (400, True)


@pytest.mark.parametrize("report", ["drift", "quality"])
def test_reports_take_the_words_of_their_commands(port: Served, report: str) -> None:
    path = f"/api/v1/obsagent/{report}"
    for address, text in ((path, ""), (f"{path}?query=model=fraud+since+7d", "model=fraud since 7d")):
        assert json.loads(port.get(address).body) == {"report": report, "text": text}
    in_a_form = port.ask("POST", path, b"query=top+3")
    assert json.loads(in_a_form.body)["text"] == "top 3"
    wrong = port.get(f"{path}?model=fraud")
    assert wrong.status == 400
    assert "unknown parameter 'model': give filters as ?query=" in json.loads(wrong.body)["error"]
    assert port.ask("POST", path, b"query=" + b"x" * (QUERY_BYTES_MAX + 1)).status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 50_000])
def test_a_body_that_is_no_object_is_refused(port: Served, body: bytes) -> None:
    answer = port.ask("POST", QUERY, body, Content_Type="application/json")
    assert (answer.status, "expected" in json.loads(answer.body)["error"]) == (400, True)


def test_a_bug_is_an_answer_that_tells_nothing(port: Served) -> None:
    answer = port.get(f"{QUERY}?query=broken")
    assert answer.status == 500
    assert b"a bug" not in answer.body


def test_other_paths(port: Served) -> None:
    assert port.get("/api/v1/query").status == 404
    assert b"GET  /metrics" in port.get("/").body


@pytest.mark.threat("W3")
def test_what_is_too_large_is_refused_and_the_next_request_answered(port: Served) -> None:
    assert port.ask("POST", QUERY, b"query=" + b"x" * HTTP_BODY_BYTES_MAX).status == 413
    assert port.get("/metrics", X_Padding="x" * 60_000).status in (400, 431)
    assert port.get("/metrics").status == 200


def test_its_threads_have_names_and_end() -> None:
    with served() as found:
        assert found.get("/metrics").status == found.get("/-/ready").status == 200
        names = {thread.name for thread in threading.enumerate() if thread.name.startswith("obsagent-http")}
        assert {"obsagent-http", "obsagent-http-scrape_0", "obsagent-http-ask_0"} <= names
        mine = [thread for thread in threading.enumerate() if thread.name.startswith("obsagent-http")]
        before = len(mine)
    assert before > len([thread for thread in threading.enumerate() if thread.name.startswith("obsagent-http")])
