"""The client of a running agent, against a fake conversation."""

import json
import socket
import subprocess
import sys
import time

import pytest
from key_lab import written

from obsagent.ask import AgentClient, ControlClient
from obsagent.errors import AccessDenied, AgentUnreachable, ConfigError, ObsagentError, ProtocolError, UsageError
from obsagent.keys import ClientKey
from obsagent.wire.frame import MessageKind


class FakeConversation:
    """Gives out prepared answers and keeps what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.closed = False

    def request(self, kind, timeout_s, **fields):
        self.asked.append((kind, timeout_s, fields))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed = True


@pytest.fixture
def client(monkeypatch):
    def make(*answers, endpoint="tcp://127.0.0.1:1", **options):
        conversation = FakeConversation(*answers)
        made = AgentClient(endpoint, **options)
        monkeypatch.setattr(made, "_open", lambda: conversation)
        return made, conversation

    return make


def answered(value):
    return MessageKind.ANSWER, {"body": json.dumps(value).encode()}


def test_a_query_and_the_status_go_out_and_their_answers_come_back(client, monkeypatch):
    monkeypatch.setattr("obsagent.zone.local_zone_name", lambda: "Europe/Berlin")
    monkeypatch.setattr("obsagent.zone.local_offset", lambda: "+01:00")
    agent, conversation = client(answered({"series": []}), answered({"accounts": {}}), timeout_s=1.5)
    assert agent.query("p99 latency") == {"series": []}
    assert agent.status() == {"accounts": {}}
    assert conversation.asked == [
        (MessageKind.QUERY, 1.5, {"text": "p99 latency", "zone": "Europe/Berlin", "offset": "+01:00"}),
        (MessageKind.STATUS, 1.5, {}),
    ]


def test_the_catalogue_can_be_asked_of_one_service(client):
    agent, conversation = client(answered({"metrics": []}), answered({}))
    assert agent.catalogue() == {"metrics": []}
    assert agent.catalogue("fraud") == {}
    assert [asked[::2] for asked in conversation.asked] == [
        (MessageKind.CATALOGUE, {}),
        (MessageKind.CATALOGUE, {"service": "fraud"}),
    ]


def test_what_a_reader_chooses_goes_out_with_the_query(client):
    agent, conversation = client(answered({}))
    agent.query("p99 latency", sketch="tdigest", explain=True)
    ((_, _, fields),) = conversation.asked
    assert {"sketch": "tdigest", "explain": True}.items() <= fields.items()


@pytest.mark.parametrize(
    ("code", "kind"), [(2, UsageError), (78, ConfigError), (1, ObsagentError), (None, ObsagentError)]
)
def test_an_error_of_the_agent_is_raised_with_its_exit_code(client, code, kind):
    agent, _ = client((MessageKind.ERROR, {"message": "wrong word", "exit_code": code}))
    with pytest.raises(kind, match=r"^wrong word$") as caught:
        agent.query("x")
    assert caught.value.exit_code == (code or 1)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", None])
def test_an_answer_that_is_no_json_object_is_a_protocol_error(client, body):
    agent, _ = client((MessageKind.ANSWER, {} if body is None else {"body": body}))
    with pytest.raises(ProtocolError, match="not a JSON object"):
        agent.query("x")


def test_an_answer_of_another_kind_is_a_protocol_error(client):
    agent, _ = client((MessageKind.WELCOME, {}))
    with pytest.raises(ProtocolError, match="answered with a welcome message"):
        agent.status()


def test_silence_names_the_endpoint_and_how_to_start_an_agent(client):
    agent, _ = client(AgentUnreachable("zmq's words"), timeout_s=0.5)
    with pytest.raises(AgentUnreachable) as caught:
        agent.query("x")
    assert str(caught.value) == (
        "no agent answered at tcp://127.0.0.1:1 within 0.5 s; start one with "
        "`obsagent agent --serve tcp://127.0.0.1:1`, or read a store without an agent: `--data DIR`"
    )
    assert caught.value.exit_code == 1


def test_after_silence_the_conversation_begins_anew(monkeypatch):
    conversations = [FakeConversation(AgentUnreachable("")), FakeConversation(answered({}))]
    made = iter(conversations)
    monkeypatch.setattr("obsagent.wire.socket.RequestSocket", lambda endpoint: next(made))
    with AgentClient("tcp://127.0.0.1:1") as agent:
        with pytest.raises(AgentUnreachable):
            agent.query("x")
        assert conversations[0].closed
        assert agent.query("x") == {}
    assert conversations[1].closed


@pytest.mark.parametrize("stale", [False, True])
def test_where_nobody_listens_nobody_is_waited_for(stale, tmp_path, monkeypatch):
    """No socket, or one that an agent left behind when it was killed."""
    path = tmp_path / "query.sock"
    if stale:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
    monkeypatch.setenv("OBSAGENT_AGENT", f"ipc://{path}")
    began = time.monotonic()
    with pytest.raises(AgentUnreachable) as caught:
        AgentClient(timeout_s=30.0).status()
    assert time.monotonic() - began < 10.0
    assert str(caught.value).startswith(f"no agent is listening at ipc://{path}; start one with `obsagent agent`,")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionResetError("the peer has left"), "the agent at tcp://127.0.0.1:1 ended before it answered; start"),
        (BrokenPipeError(32, "Broken pipe"), "the agent at tcp://127.0.0.1:1 ended before it answered; start"),
        (TimeoutError("late"), "no agent answered at tcp://127.0.0.1:1 within 5 s; start"),
        (OSError(113, "No route to host"), "the agent at tcp://127.0.0.1:1 cannot be asked: [Errno 113] No route"),
    ],
)
def test_an_agent_that_cannot_be_asked_is_unreachable(client, error, message):
    agent, _ = client(error)
    with pytest.raises(AgentUnreachable) as caught:
        agent.status()
    assert str(caught.value).startswith(message)


def test_a_user_who_may_not_ask_is_told_who_may(client):
    agent, _ = client(PermissionError(13, "Permission denied"))
    with pytest.raises(AccessDenied, match=r"this user may not ask the agent at .*socket_group"):
        agent.status()


def test_a_key_is_shown_over_tcp_only(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("obsagent.wire.socket.RequestSocket", lambda *args: shown.append(args))
    monkeypatch.setattr("obsagent.wire.zmtp.UnixDealer", lambda *args: shown.append(args))
    key = ClientKey("r", "read", "p" * 40, "s" * 40, "a" * 40)
    path = written(key, tmp_path / "r.key")
    AgentClient("tcp://127.0.0.1:1", key=path)._open()
    AgentClient("tcp://127.0.0.1:1")._open()
    monkeypatch.setenv("OBSAGENT_KEY", path)
    AgentClient("tcp://127.0.0.1:1")._open()
    AgentClient("ipc:///nowhere.sock")._open()
    endpoint = "tcp://127.0.0.1:1"
    assert shown == [(endpoint, key), (endpoint,), (endpoint, key), ("/nowhere.sock", 5.0)]
    monkeypatch.setenv("OBSAGENT_KEY", str(tmp_path / "none.key"))
    with pytest.raises(ConfigError, match=r"none\.key cannot be read"):
        AgentClient("tcp://127.0.0.1:1").status()


@pytest.mark.parametrize(("name", "kind"), [("reload", MessageKind.RELOAD), ("checkpoint", MessageKind.CHECKPOINT)])
def test_an_agent_is_changed_by_a_client_of_its_own(monkeypatch, name, kind):
    conversation = FakeConversation(answered({"done": 1}))
    monkeypatch.setattr(ControlClient, "_open", lambda self: conversation)
    with ControlClient("ipc:///nowhere.sock", timeout_s=9.0) as agent:
        assert getattr(agent, name)() == {"done": 1}
    assert conversation.asked == [(kind, 9.0, {})]
    assert not hasattr(AgentClient, name)


def test_control_names_its_own_option(tmp_path, monkeypatch):
    endpoint = f"ipc://{tmp_path}/control.sock"
    with pytest.raises(AgentUnreachable, match=f"no agent is listening at {endpoint}; .*--control {endpoint}"):
        ControlClient(endpoint).reload()
    monkeypatch.setenv("OBSAGENT_CONTROL", endpoint)
    with pytest.raises(AgentUnreachable, match=r"start one with `obsagent agent`,"):
        ControlClient().reload()


def test_after_any_error_the_conversation_begins_anew(monkeypatch):
    conversations = [FakeConversation(ProtocolError("odd")), FakeConversation(answered({}))]
    made = iter(conversations)
    monkeypatch.setattr("obsagent.wire.zmtp.UnixDealer", lambda path, timeout_s: next(made))
    with AgentClient("ipc:///nowhere.sock") as agent:
        with pytest.raises(ProtocolError, match="odd"):
            agent.query("x")
        assert conversations[0].closed
        assert agent.query("x") == {}


def test_a_malformed_endpoint_is_a_usage_error():
    with pytest.raises(UsageError, match="expected ipc://PATH or tcp://HOST:PORT"):
        AgentClient("http://localhost")


def test_importing_the_client_loads_neither_zmq_nor_numpy():
    code = "import sys, obsagent.ask; print({'zmq', 'numpy', 'msgpack'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
