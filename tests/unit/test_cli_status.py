"""How a status looks: the facts, the accounts, and what is wrong."""

import io
import json

import pytest

from obsagent import cli
from obsagent.cli.accounts import write_status

NOW_MS = 1_767_258_125_250
TIERS = [
    {"window_ms": 10_000, "from_ms": NOW_MS - 4_800_000, "bytes": 19_000_000},
    {"window_ms": 60_000, "from_ms": NOW_MS - 7_200_000, "bytes": 1_000_000},
    {"window_ms": 3_600_000, "from_ms": None, "bytes": 0},
]


def account(observed=0, stored=0, pending=0, dropped=(0, 0, 0), rejected=(0, 0, 0)):
    return {
        "observed": observed,
        "stored": stored,
        "pending": pending,
        "dropped": dict(zip(("ring", "budget", "expired"), dropped, strict=True)),
        "rejected": dict(zip(("value", "frame", "time"), rejected, strict=True)),
    }


def session(service, worker, state, age_ms=40, skew_ms=None):
    return {
        "service": service,
        "host": "a",
        "worker": worker,
        "pid": 100 + worker,
        "version": "4" if service == "fraud" else "",
        "state": state,
        "last_ms": NOW_MS - age_ms,
        "skew_ms": skew_ms,
    }


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


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
            session("fraud", 0, "live", skew_ms=-2),
            session("fraud", 1, "live", age_ms=5_250, skew_ms=125_000),
            session("risk", 0, "suspended", age_ms=61_000),
            session("risk", 1, "closed", age_ms=3_600_000),
        ],
        "series": {"known": 120, "metrics": 8, "refused": {}, "culprits": []},
        "cost": {
            "since_ms": NOW_MS - 90_000,
            "metrics": {
                "hits": {"series": 2, "samples": 5, "bytes": 99},
                "latency": {"series": 118, "samples": 998_005, "bytes": 45_200},
            },
        },
        "head": {"bytes": 12_300_000, "windows": 1},
        "journal": {"bytes": 4_500_000, "files": 1, "unsynced_bytes": 0, "position": 9, "durable": 9},
        "segments": {"bytes": 20_000_000, "files": 3, "blocks": 17, "budget_bytes": 10**10, "tiers": TIERS},
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


def refused_label(label, refused, reason="near-unique", examples=("u1", "\x1b[2J")):
    row = {"service": "fraud", "metric": "hits", "label": label, "reason": reason, "refused": refused}
    return {**row, "examples": list(examples)}


def text(status, **options):
    stream = io.StringIO()
    write_status(status, stream, **options)
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
        "           windows of 10s for 1h20m (19 MB), of 1m for 2h (1 MB); at most 10 GB\n"
        "sessions   2 live, 1 suspended, 1 closed (fraud 2, risk 1)\n"
        "\n"
        "service    observed    stored   pending   dropped                 rejected\n"
        "fraud     1,000,000   998,000       790   1,200 ring, 3 expired   7 value\n"
        "risk             10        10         0   0                       0\n"
        "total     1,000,010   998,010       790   1,200 ring, 3 expired   7 value\n"
        "\n"
        "service   host   worker   pid   version   state          heard   clock\n"
        "fraud     a           0   100   4         live        40ms ago    -2ms\n"
        "fraud     a           1   101   4         live          5s ago   +2m5s\n"
        "risk      a           0   100   –         suspended   1m1s ago       –\n"
        "\n"
        "metric    series   samples   row bytes\n"
        "latency      118   998,005     45.2 kB\n"
        "hits           2         5        99 B\n"
        "written by checkpoints since the agent opened the store 1m30s ago; bytes before compression\n"
    )


def test_where_prometheus_scrapes(status, agent):
    shown = text({**status, "agent": {**agent, "http": "127.0.0.1:9464"}})
    assert "readers    ipc:///run/query.sock\nPrometheus http://127.0.0.1:9464/metrics\n" in shown
    assert "Prometheus" not in text({**status, "agent": {**agent, "http": None}})


def test_collectors_say_what_they_read_or_why_nothing(status, agent):
    fine = {
        "interval_ms": 5_000,
        "rounds": 7,
        "readings": 1_112,
        "took_ms": 2.5,
        "failures": 0,
        "error": "",
        "note": "",
    }
    agent["collectors"] = {
        "host": fine,
        "gpu": {**fine, "readings": 0, "note": "no NVIDIA driver here"},
        "processes": {**fine, "failures": 3, "error": "no /proc"},
    }
    status["agent"] = agent
    lines = [" ".join(line.split()) for line in text(status).splitlines()]
    assert "host 5s 7 1,112 2.50 ms 0 ok" in lines
    assert "gpu 5s 7 0 2.50 ms 0 no NVIDIA driver here" in lines
    assert "processes 5s 7 1,112 2.50 ms 3 no /proc" in lines


def test_a_store_without_an_agent(status):
    shown = text(status)
    assert shown.startswith("store      /var/lib/obsagent\n")
    assert "\nagent " not in shown
    assert "\nwriters " not in shown


def test_the_last_checkpoint_has_an_age(status, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_000_090.5)
    assert "last checkpoint 1m30s ago" in text({**status, "last_checkpoint_ms": 1_000_000_000})


def test_nothing_yet(status):
    status["accounts"] = {"services": {}, "total": account()}
    status["sessions"] = []
    status["cost"]["metrics"] = {}
    assert text(status).endswith("sessions   none\n\nno client has sent a sample yet\n")


def test_what_is_wrong_stands_at_the_end(status, agent):
    agent |= {"health": "failing", "problems": ["no space left on device"], "malformed": 1, "unsupported": 2}
    status["series"]["refused"] = {"latency": 12, "hits": 300}
    status["series"]["culprits"] = [
        {"metric": "hits", "series": 300, "refused": 3, "label": "user", "values": 297, "examples": ["z", "y", "x"]},
        {"metric": "bare", "series": 1, "refused": 9, "label": None, "values": 0, "examples": []},
    ]
    status["series"]["refused_labels"] = [refused_label("user", 12_345), refused_label("path", 1, "length", [])]
    status["corrupt"] = 1
    lines = text({**status, "agent": agent}).splitlines()
    assert lines[0].startswith("agent      failing: ")
    assert lines[-10:] == [
        "problem: no space left on device",
        'over budget: hits (300 series definitions beyond it went to {overflow="true"} or nowhere)',
        'over budget: latency (12 series definitions beyond it went to {overflow="true"} or nowhere)',
        "many series: hits has 300; its label user has 297 values, such as z, y, x",
        "many series: bare has 1",
        "refused by clients: fraud: label user of hits: nearly every value of it is a new one; 12,345 times, "
        "such as u1, \\x1b[2J",
        "refused by clients: fraud: label path of hits: its values are too long; once",
        "corrupt: 1 damaged or lost place in the store's files",
        "refused: 1 message malformed",
        "refused: 2 messages of an unsupported kind or version",
    ]


def test_what_has_gone_wrong_since_the_agent_began(status, agent):
    agent |= {
        "refused": {"again": 3, "frame": 1, "session": 1, "sessions": 2, "internal": 1, "body": 5},
        "unread_replies": 1,
        "overloaded_ms": 61_000,
        "failures": {"sync": 12, "checkpoint": 1, "compaction": 0},
        "clock_steps": {"forward": 1, "back": 1},
        "last_clock_step": {"by_ms": -10_800_000, "at_ms": NOW_MS},
    }
    assert text({**status, "agent": agent}).splitlines()[-8:] == [
        "refused: 3 messages to be sent again, since the store could not take them",
        "refused: 1 message of sessions that the agent does not know",
        "refused: 2 messages that would have begun a session too many",
        "refused: 1 message that the agent failed to handle: its log says why",
        "unread: 1 answer dropped, because the clients do not read",
        "overloaded: clients were not read for 1m1s in all, as the disk was slow",
        "failed: 12 syncs, 1 checkpoint",
        "clock: set 2 times, the last back by 3h",
    ]


def test_long_tables_are_cut_unless_everything_is_wanted(status):
    status["sessions"] = [session("fraud", worker, "live") for worker in range(15)] + status["sessions"][-1:]
    status["cost"]["metrics"] = {f"m{index}": {"series": 1, "samples": 0, "bytes": 0} for index in range(10)}
    assert "… and 3 more: --all\n" in text(status)
    assert "… and 2 more: --all\n" in text(status)
    whole = text(status, everything=True)
    assert "more: --all" not in whole
    assert " closed " in whole
    assert whole.count("\nm") == 11


def test_many_refused_labels_are_cut_and_reasons_of_later_clients_are_shown(status):
    status["series"]["refused_labels"] = [refused_label(f"l{index}", 9, "mood") for index in range(12)]
    assert text(status).count("\nrefused by clients: fraud: label l") == 10
    assert text(status).endswith("mood; 9 times, such as u1, \\x1b[2J\nrefused by clients: 2 more labels: --all\n")
    assert text(status, everything=True).count("\nrefused by clients: fraud: label l") == 12


def test_a_store_alone_has_counted_no_cost(status):
    status["cost"] = {"since_ms": None, "metrics": {"hits": {"series": 2, "samples": None, "bytes": None}}}
    assert "hits          2         –           –\nsamples and bytes by metric are counted" in text(status)


def test_a_probe_needs_an_agent(capsys):
    assert cli.main(["status", "--probe", "--data", "x"]) == 2
    assert "--probe needs a running agent" in capsys.readouterr().err


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


def test_the_collectors_and_what_is_wrong_with_them(status, agent):
    fine = {"interval_ms": 5_000, "rounds": 1_234, "readings": 87, "took_ms": 3.7, "failures": 0, "error": ""}
    wrong = {**fine, "failures": 2, "error": "/mnt/models has not answered for 40 s: is its server gone?"}
    agent["collectors"] = {"processes": fine, "host": wrong}
    shown = text({**status, "agent": agent})
    assert "processes      5s    1,234         87   3.70 ms          0   ok" in shown
    assert "2   /mnt/models has not answered for 40 s: is its server gone?" in shown


def judged(**others):
    model = {"model": "fraud", "version": "4", "variant": "live", "features": 20, "slices": 3, "charts": 80}
    until_ms = {"10s": NOW_MS - 2_000, "1h": NOW_MS - 3_600_000}
    more = {"charts_left_out": 0, "alarms": 0, "until_ms": until_ms, "newest_ms": NOW_MS, "behind_ms": 0, "trouble": ""}
    return {**model, **more, **others}


def evaluation(*models):
    looks = {"last_look_ms": NOW_MS - 400, "took_s": 0.012, "longest_s": 1.34, "looks": 9, "windows": 700}
    return {**looks, "is_behind": False, "models": list(models)}


def test_how_far_models_are_judged(status, agent):
    models = [
        judged(alarms=2),
        judged(version="5", variant="shadow", behind_ms=120_000, charts_left_out=40),
        judged(model="new", version="", features=1, slices=0, until_ms={}, trouble="OSError: out of order"),
    ]
    lines = text({**status, "agent": {**agent, "evaluation": evaluation(*models)}}).splitlines()
    assert (
        "drift      3 models judged, 2 alarms going on; last look 400ms ago, a look takes 12 ms, at most 1.3 s"
    ) in lines
    table = lines[next(number for number, line in enumerate(lines) if line.startswith("judged")) :][:4]
    cells = [line.split() for line in table]
    assert cells[0] == ["judged", "features", "slices", "until", "alarms", "behind"]
    assert cells[1][0] == "fraud/4"
    assert cells[1][1:3] == ["20", "3"]
    assert cells[1][-2:] == ["2", "no"]
    assert table[2].endswith("by 2m; 40 slices' charts left out")
    assert table[3].endswith("OSError: out of order")
    assert "–" in table[3]


def test_an_agent_that_judges_nothing_and_one_of_before_say_nothing_of_it(status, agent):
    for each in (agent, {**agent, "evaluation": evaluation()}):
        assert "judged" not in text({**status, "agent": each})
    started = {**evaluation(judged()), "last_look_ms": None}
    assert "1 model judged, 0 alarms going on; no look yet" in text(
        {**status, "agent": {**agent, "evaluation": started}}
    )
