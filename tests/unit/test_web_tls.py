"""TLS and compression at the HTTP port."""

from __future__ import annotations

import gzip
import http.client
import ssl
import subprocess
from pathlib import Path

import pytest
from http_lab import Answer, Served, served

from integration.tmux import need
from obsagent.config import AgentConfig
from obsagent.errors import ConfigError
from obsagent.http_port import HttpPort
from obsagent.web.compression import compressed, takes_gzip

NAME = "/CN=localhost"


class Files:
    """A certificate and its key."""

    def __init__(self, directory: Path) -> None:
        self.certificate, self.key = directory / "http.crt", directory / "http.key"
        self.make()

    def make(self, days: int = 2) -> None:
        """Others in their place."""
        command = [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-noenc", "-days", str(days), "-subj", NAME, "-addext", "subjectAltName=DNS:localhost"]
        command += ["-keyout", str(self.key), "-out", str(self.certificate)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        self.key.chmod(0o600)

    @property
    def settings(self) -> dict[str, Path]:
        return {"http_certificate": self.certificate, "http_key": self.key}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def ask(port: Served, certificate: Path, path: str = "/metrics") -> Answer:
    """Who trusts nobody but this certificate."""
    context = ssl.create_default_context(cafile=str(certificate))
    connection = http.client.HTTPSConnection("localhost", port.number, timeout=60, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers.items()), answer.read())
    finally:
        connection.close()


def test_with_a_certificate_it_speaks_tls_and_nothing_else(files: Files) -> None:
    with served(**files.settings) as port:
        assert ask(port, files.certificate).body == b"# nothing\n"
        with pytest.raises((http.client.HTTPException, OSError)):
            port.get("/metrics")


def test_a_renewed_certificate_counts_after_a_reload(files: Files, tmp_path: Path) -> None:
    with served(**files.settings) as port:
        old = tmp_path / "old.crt"
        old.write_bytes(files.certificate.read_bytes())
        files.make()
        assert ask(port, old).status == 200
        port.port.refresh()
        assert ask(port, files.certificate).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(port, old)
        files.key.write_text("rubbish")
        with pytest.raises(ConfigError, match="http_certificate"):
            port.port.refresh()
        assert ask(port, files.certificate).status == 200


@pytest.mark.threat("W1")
@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604])
def test_a_key_that_others_can_read_is_not_used(files: Files, mode: int) -> None:
    files.key.chmod(mode)
    with pytest.raises(ConfigError, match=f"http_key: .* has the mode {mode:04o}.*chmod 600"):
        HttpPort(AgentConfig(http="127.0.0.1:0", **files.settings))


def test_a_certificate_that_cannot_be_used_says_why(files: Files, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other, locked = Files(tmp_path / "other"), tmp_path / "locked.key"
    command = [need("openssl"), "pkey", "-in", str(files.key), "-aes128", "-passout", "pass:x", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    locked.chmod(0o600)
    for settings, why in (
        ({"http_key": other.key}, "the key is not that of the certificate"),
        ({"http_key": locked}, "the key has a password"),
        ({"http_key": tmp_path / "none"}, "http_key: .* cannot be read: No such file"),
        ({"http_certificate": tmp_path / "none"}, "http_certificate: .* cannot be read: No such file"),
        ({"http_certificate": files.key}, "http_certificate: .* expected a certificate"),
        ({"http_key": None}, "http_certificate needs http_key beside it"),
        ({"http_certificate": None}, "http_key needs http_certificate beside it"),
    ):
        with pytest.raises(ConfigError, match=why):
            HttpPort(AgentConfig(http="127.0.0.1:0", **(files.settings | settings)))


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5, br", True),
        ("*", True),
        ("*;q=0.1", True),
        ("", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, *", False),
        ("gzip;q=much", False),
    ],
)
def test_who_takes_gzip(header: str, takes: bool) -> None:
    assert takes_gzip(header) is takes
    body, headers = compressed(b"x" * 5_000, header)
    assert ("Content-Encoding" in headers) is takes
    assert (len(body) < 100) is takes


def test_metrics_and_answers_are_compressed_and_short_ones_are_not() -> None:
    with served() as port:
        port.agent.body = b"metric 1\n" * 1_000
        answer = port.get("/metrics", Accept_Encoding="gzip")
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.body) == port.agent.body
        assert answer.headers["vary"] == "Accept, Accept-Encoding"
        assert int(answer.headers["content-length"]) == len(answer.body) < 200
        plain = port.get("/metrics")
        assert (plain.body, plain.headers.get("content-encoding")) == (port.agent.body, None)
        found = port.get(f"/api/v1/obsagent/query?query={'x' * 2_000}", Accept_Encoding="gzip")
        assert b"xxx" in gzip.decompress(found.body)
        assert "content-encoding" not in port.get("/api/v1/obsagent/query?query=x", Accept_Encoding="gzip").headers
