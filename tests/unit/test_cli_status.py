"""How a status looks: the facts, the accounts, and what is wrong."""

import io
import json

import pytest

from obsagent import cli
from obsagent.cli.accounts import write_status


def account(observed=0, stored=0, pending=0, dropped=(0, 0, 0), rejected=(0, 0, 0)):
    return {
        "observed": observed,
        "stored": stored,
        "pending": pending,
        "dropped": dict(zip(("ring", "budget", "expired"), dropped, strict=True)),
        "rejected": dict(zip(("value", "frame", "time"), rejected, strict=True)),
    }


@pytest.fixture
def status():
    return {
        "store_id": "00000000-0000-0000-0000-000000000000",
        "directory": "/var/lib/obsagent",
        "accounts": {
            "services": {
                "risk": account(10, 10),
                "fraud": account(1_000_000, 998_000, 790, dropped=(1200, 0, 3), rejected=(7, 0, 0)),
            },
            "total": account(1_000_010, 998_010, 790, dropped=(1200, 0, 3), rejected=(7, 0, 0)),
        },
        "sessions": [
            {"service": "fraud", "state": "live"},
            {"service": "fraud", "state": "live"},
            {"service": "risk", "state": "suspended"},
            {"service": "risk", "state": "closed"},
        ],
        "series": {"known": 120, "metrics": 8, "refused": {}},
        "head": {"bytes": 12_300_000, "windows": 1},
        "journal": {"bytes": 4_500_000, "files": 1, "unsynced_bytes": 0, "position": 9, "durable": 9},
        "segments": {"bytes": 20_000_000, "files": 3, "blocks": 17},
        "corrupt": 0,
        "last_checkpoint_ms": None,
    }


@pytest.fixture
def agent():
    return {
        "version": "0.1.0",
        "pid": 42,
        "uptime_ms": 11_520_000,
        "listen": "ipc:///run/ingest.sock",
        "serve": "ipc:///run/query.sock",
        "health": "ok",
        "problems": [],
        "messages": 5,
        "malformed": 0,
        "unsupported": 0,
        "resident_bytes": 34_000_000,
        "cpu_seconds": 12.34,
    }


def text(status):
    stream = io.StringIO()
    write_status(status, stream)
    return stream.getvalue()


def test_a_healthy_agent(status, agent):
    assert text({**status, "agent": agent}) == (
        "agent      ok: version 0.1.0, pid 42, up 3h12m\n"
        "           34 MB of memory, 12.3 s of processor time\n"
        "writers    ipc:///run/ingest.sock\n"
        "readers    ipc:///run/query.sock\n"
        "store      /var/lib/obsagent\n"
        "           120 series of 8 metrics\n"
        "head       12.3 MB in 1 window\n"
        "journal    4.50 MB in 1 file, 0 B to be synced\n"
        "segments   20 MB in 3 files, no checkpoint yet\n"
        "sessions   2 live, 1 suspended, 1 closed (fraud 2, risk 1)\n"
        "\n"
        "service    observed    stored   pending   dropped                 rejected\n"
        "fraud     1,000,000   998,000       790   1,200 ring, 3 expired   7 value\n"
        "risk             10        10         0   0                       0\n"
        "total     1,000,010   998,010       790   1,200 ring, 3 expired   7 value\n"
    )


def test_a_store_without_an_agent(status):
    shown = text(status)
    assert shown.startswith("store      /var/lib/obsagent\n")
    assert "agent" not in shown.replace("/obsagent", "")


def test_the_last_checkpoint_has_an_age(status, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_000_090.5)
    assert "last checkpoint 1m30s ago" in text({**status, "last_checkpoint_ms": 1_000_000_000})


def test_nothing_yet(status):
    status["accounts"] = {"services": {}, "total": account()}
    status["sessions"] = []
    assert text(status).endswith("sessions   none\n\nno client has sent a sample yet\n")


def test_what_is_wrong_stands_at_the_end(status, agent):
    agent |= {"health": "failing", "problems": ["no space left on device"], "malformed": 1, "unsupported": 2}
    status["series"]["refused"] = {"latency": 12, "hits": 300}
    status["corrupt"] = 1
    lines = text({**status, "agent": agent}).splitlines()
    assert lines[0].startswith("agent      failing: ")
    assert lines[-6:] == [
        "problem: no space left on device",
        'over budget: hits (300 series definitions beyond it went to {overflow="true"} or nowhere)',
        'over budget: latency (12 series definitions beyond it went to {overflow="true"} or nowhere)',
        "corrupt: 1 damaged or lost place in the store's files",
        "refused: 1 message malformed",
        "refused: 2 messages of an unsupported kind or version",
    ]


@pytest.mark.parametrize("words", [[], ["--format", "json"]])
def test_the_status_command(status, agent, words, monkeypatch, capsys):
    whole = {**status, "agent": agent}
    monkeypatch.setattr("obsagent.ask.AgentClient.status", lambda self: whole)
    assert cli.main(["status", "--agent", "tcp://127.0.0.1:1", *words]) == 0
    out = capsys.readouterr().out
    if words:
        assert json.loads(out) == whole
    else:
        assert out == text(whole)
