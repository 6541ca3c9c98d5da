"""TLS at the HTTP port: a certificate and its key, read again at a reload, so that a renewed one needs no restart."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from obsagent.errors import ConfigError
from obsagent.web.secrets import refuse_shared


class Tls:
    """The files and the context; connections that are open keep the certificate that they began with."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Reads both; raises `ConfigError`."""
        self._certificate = certificate
        self._key = key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.refresh()

    def refresh(self) -> None:
        """Reads both files again; raises `ConfigError`, and then nothing has changed."""
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # what is wrong with them spoils no context that is in use
        self._load(self.context)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            with self._key.open("rb") as file:
                refuse_shared("http_key", self._key, os.fstat(file.fileno()))
        except OSError as error:
            raise ConfigError(f"http_key: {self._key} cannot be read: {error.strerror}") from None
        try:
            with self._certificate.open("rb"):
                pass
        except OSError as error:
            raise ConfigError(f"http_certificate: {self._certificate} cannot be read: {error.strerror}") from None
        try:
            context.load_cert_chain(self._certificate, self._key, password=_refuse_password)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"http_certificate: {self._certificate} with the key {self._key}: {_why(error)}; "
                "expected a certificate with its chain, and its private key without a password, both in PEM"
            ) from None


def _refuse_password() -> str:
    """Nobody is there to be asked for one."""
    raise ValueError("the key has a password")


def _why(error: Exception) -> str:
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    return str(getattr(error, "reason", None) or error)


def tls_of(certificate: Path | None, key: Path | None) -> Tls | None:
    """What the configuration says; None without a certificate. Raises `ConfigError`, also for one without the other."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = ("http_key", "http_certificate") if certificate is None else ("http_certificate", "http_key")
        raise ConfigError(f"{given} needs {missing} beside it")
    return Tls(certificate, key)
