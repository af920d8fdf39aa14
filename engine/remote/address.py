"""Addresses of the form `http://host:port/v1#model`."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

import httpx

from braid.engine.errors import EngineURIError

_FORM = "expected http(s)://host[:port]/path#model, such as http://127.0.0.1:8000/v1#my-model"


@dataclass(frozen=True)
class Address:
    """Where a server is, and which model is meant."""

    url: httpx.URL
    """URL to send requests to. Nothing is added to its path."""
    shown: str
    """URL without its query, where some servers want keys."""
    model: str | None
    """Name of the model. None: the server lists exactly one."""

    @property
    def in_the_clear(self) -> bool:
        """Whether others can read what is sent: plain http to another machine."""
        return self.url.scheme == "http" and not is_this_machine(self.url.host)


def is_this_machine(host: str) -> bool:
    """Whether `host` names the machine that asks."""
    try:
        ip = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return ip.is_loopback or ip.is_unspecified


def read_address(address: str) -> Address:
    """Parse an address.

    Raises:
        EngineURIError: the address cannot be read. The error never repeats a password.
    """
    base, _, model = address.partition("#")
    try:
        url = httpx.URL(base)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise EngineURIError(f"cannot read the server address; {_FORM}") from None
    if url.userinfo:
        raise EngineURIError(
            "the server address holds a user name or password; put the key into an environment variable "
            "and name it with api_key_env="
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise EngineURIError(f"cannot read the server address {base!r}; {_FORM}")
    return Address(url, str(url.copy_with(query=None)).rstrip("/"), model.strip() or None)
