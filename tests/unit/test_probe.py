"""A probe: how far its sample came, said in one sentence."""

import pytest

from obsagent.cli import probe as probing
from obsagent.cli.probe import probe
from obsagent.errors import ObsagentError, ProtocolError
from obsagent.record.client import FlushResult


class FakeAgent:
    def __init__(self, found=None, status=None):
        self.found = found
        self.state = {"agent": {"listen": "tcp://127.0.0.1:1"}} if status is None else status
        self.asked = []

    def status(self):
        return self.state

    def query(self, text):
        self.asked.append(text)
        series = [] if self.found is None else [{"values": {"max": self.found}}]
        return {"series": series, **({} if series else {"empty": "no `probe_sent` in the last 1m"})}


@pytest.fixture
def acknowledged(monkeypatch):
    monkeypatch.setattr(probing, "_send", lambda *_: FlushResult(1, 0, 0, 0))


def test_a_sample_that_is_read_back(acknowledged):
    agent = FakeAgent(found=1e12)
    result = probe(agent)
    assert result["listen"] == "tcp://127.0.0.1:1"
    assert 0 <= result["acknowledged_ms"] <= result["read_ms"]
    assert agent.asked[0].startswith("max probe_sent service=obsagent-probe host=")


@pytest.mark.parametrize(("found", "why"), [(None, "no `probe_sent` in the last 1m"), (1.0, "only older ones")])
def test_a_sample_that_no_query_finds(acknowledged, found, why):
    with pytest.raises(ObsagentError, match=f"acknowledged the sample, but a query does not find it: {why}"):
        probe(FakeAgent(found=found))


def test_a_sample_that_is_not_acknowledged(tmp_path):
    listen = f"ipc://{tmp_path}/nobody.sock"
    with pytest.raises(ObsagentError, match=f"no sample sent to {listen} was acknowledged within 0.1 s"):
        probe(FakeAgent(status={"agent": {"listen": listen}}), timeout_s=0.1)


def test_a_status_without_an_endpoint():
    with pytest.raises(ProtocolError, match="does not say where writers connect"):
        probe(FakeAgent(status={}))
