"""The query server: every request gets one reply, and none ends it."""

import json
import threading

import pytest

from obsagent.answer.serve import QueryServer
from obsagent.errors import CorruptData, ProtocolError
from obsagent.samples import Kind
from unit.fake_view import FakeView

NOW_MS = 1_767_258_125_250


class FakeSocket:
    """Gives out prepared requests (or raises them) and keeps the replies."""

    def __init__(self, *requests):
        self.requests = list(requests)
        self.replies = []
        self.woken = threading.Event()

    def receive(self, timeout_ms):
        if not self.requests:
            self.woken.wait(timeout_ms / 1000)
            return None
        request = self.requests.pop(0)
        if isinstance(request, Exception):
            raise request
        return request

    def send(self, identity, kind, body=None, **fields):
        self.replies.append((identity, kind, body, fields))
        return True

    def wake(self):
        self.woken.set()


@pytest.fixture
def view():
    filled = FakeView()
    series = filled.add_series("latency", Kind.HISTOGRAM, "seconds", service="größe")
    filled.observe(series, NOW_MS, 0.5)
    return filled


def serve(view, *requests, status=dict):
    socket = FakeSocket(*requests)
    server = QueryServer(socket, lambda: view, status, lambda: NOW_MS)
    assert [server.serve_one(0) for _ in requests] == [True] * len(requests)
    return socket.replies


def error_of(reply):
    identity, kind, body, fields = reply
    assert (kind, body) == ("error", None)
    return identity, fields["exit_code"], fields["message"]


def test_a_query_is_answered_with_json(view):
    ((identity, kind, body, fields),) = serve(view, (b"me", "query", {"text": "max latency by service"}))
    assert (identity, kind, fields) == (b"me", "answer", {})
    result = json.loads(body)
    assert result["query"] == "max latency by service"
    assert result["series"][0] == {
        "labels": {"service": "größe"},
        "count": 1,
        "error_bound": {"max": 0},
        "values": {"max": 0.5},
    }


def test_the_status_is_answered_with_what_the_agent_says(view):
    ((_, kind, body, _),) = serve(view, (b"me", "status", {}), status=lambda: {"accounts": {}})
    assert kind == "answer"
    assert json.loads(body) == {"accounts": {}}


@pytest.mark.parametrize(("fields", "names"), [({}, ["größe"]), ({"service": "x"}, []), ({"service": 7}, ["größe"])])
def test_the_catalogue_is_answered_for_all_or_for_one_service(view, fields, names):
    ((_, kind, body, _),) = serve(view, (b"me", "catalogue", fields))
    assert kind == "answer"
    assert [service["name"] for service in json.loads(body)["services"]] == names


def test_a_mistake_comes_back_as_a_usage_error_with_its_caret(view):
    (reply,) = serve(view, (b"me", "query", {"text": "p99 latency sinse 5m"}))
    identity, exit_code, message = error_of(reply)
    assert (identity, exit_code) == (b"me", 2)
    assert message.splitlines()[2].strip() == "^^^^^"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ((b"me", "query", {}), "a query message needs the field `text`"),
        ((b"me", "query", {"text": b"p99 latency"}), "a query message needs the field `text`"),
        (
            (b"me", "samples", {}),
            "messages of kind samples are not for the readers' endpoint, but for the writers' one",
        ),
    ],
)
def test_what_is_no_question_is_refused(view, request_, message):
    (reply,) = serve(view, request_)
    assert error_of(reply) == (b"me", 1, message)


def with_identity(error):
    error.identity = b"you"
    return error


@pytest.mark.parametrize("error", [CorruptData("torn"), ProtocolError("too new")])
def test_a_message_that_cannot_be_read_is_answered_too(view, error):
    (reply,) = serve(view, with_identity(error))
    assert error_of(reply) == (b"you", 1, str(error))


def test_an_error_without_a_peer_is_passed_over(view):
    server = QueryServer(FakeSocket(CorruptData("?")), lambda: view, dict, lambda: NOW_MS)
    assert server.serve_one(0) is False


def test_a_failure_of_ours_ends_neither_the_server_nor_the_conversation(view, caplog):
    def broken():
        raise ZeroDivisionError("surprise")

    replies = serve(view, (b"me", "status", {}), (b"me", "query", {"text": "max latency"}), status=broken)
    assert error_of(replies[0]) == (b"me", 1, "the agent failed to answer this; its log has the traceback")
    assert replies[1][1] == "answer"
    assert "surprise" in caplog.text


def test_nothing_asked_is_nothing_answered(view):
    socket = FakeSocket()
    server = QueryServer(socket, lambda: view, dict, lambda: NOW_MS)
    assert server.serve_one(0) is False
    assert socket.replies == []


def test_stop_ends_run_from_another_thread(view):
    server = QueryServer(FakeSocket(), lambda: view, dict, lambda: NOW_MS)
    thread = threading.Thread(target=server.run)
    thread.start()
    server.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_what_a_reader_chooses_is_heeded(view):
    text = "max latency from 2026-01-01T10:02:05 to now"
    fields = {"text": text, "zone": "Europe/Berlin", "explain": True, "sketch": "loghist"}
    ((_, kind, body, _),) = serve(view, (b"me", "query", fields))
    assert kind == "answer"
    answer = json.loads(body)
    assert answer["from"] == "2026-01-01T09:02:05.000Z"
    assert answer["explain"]["reads"]["head_windows"] == 1


def test_a_zone_that_is_not_known_here_falls_back_to_the_offset(view):
    fields = {"text": "max latency from 2026-01-01T10:02:05 to now", "zone": "Moon/Tycho", "offset": "+01:00"}
    ((_, kind, body, _),) = serve(view, (b"me", "query", fields))
    assert kind == "answer"
    assert json.loads(body)["from"] == "2026-01-01T09:02:05.000Z"


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"sketch": 5}, 1, "are text"),
        ({"zone": 5}, 1, "are text"),
        ({"explain": "yes"}, 1, "true or false"),
        ({"zone": "Moon/Tycho"}, 1, "not known here"),
        ({"sketch": "kll"}, 2, "there is no sketch `kll`: expected loghist or tdigest"),
    ],
)
def test_choices_that_cannot_be_are_refused(view, fields, code, message):
    (reply,) = serve(view, (b"me", "query", {"text": "max latency", **fields}))
    identity, exit_code, text = error_of(reply)
    assert (identity, exit_code) == (b"me", code)
    assert message in text
