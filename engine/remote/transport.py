"""The connections to one server: proxies and certificates that the environment names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.request import getproxies, proxy_bypass

import httpx

from braid.engine.errors import EngineConnectionError, MissingPackageError
from braid.engine.remote.address import is_this_machine

_PROXY_VARIABLES = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY"


def proxy_variable(url: httpx.URL) -> str | None:
    """The environment variable whose proxy requests to `url` go through.

    None: they go straight to the server, as requests to this machine always do.
    """
    if is_this_machine(url.host) or proxy_bypass(url.host):
        return None
    scheme = next((scheme for scheme in (url.scheme, "all") if getproxies().get(scheme)), None)
    if scheme is None:
        return None
    names = (f"{scheme}_proxy", f"{scheme}_PROXY".upper())
    return next((name for name in names if os.environ.get(name)), names[-1])


def open_transport(
    url: httpx.URL,
    *,
    shown: str,
    headers: Mapping[str, str],
    auth: httpx.Auth | None,
    timeout: httpx.Timeout,
    limits: httpx.Limits,
) -> httpx.AsyncClient:
    """An HTTP client for the server at `url`. It follows no redirects.

    Raises:
        MissingPackageError: a SOCKS proxy is named, and its package is not installed.
        EngineConnectionError: a proxy or the certificates that the environment names cannot be used.
    """
    try:
        verify = httpx.create_ssl_context()
    except OSError as error:
        raise EngineConnectionError(
            f"{shown}: the certificates in $SSL_CERT_FILE or $SSL_CERT_DIR cannot be read: {error.strerror}"
        ) from None
    try:
        return httpx.AsyncClient(
            headers=dict(headers),
            auth=auth,
            timeout=timeout,
            limits=limits,
            verify=verify,
            trust_env=not is_this_machine(url.host),
            follow_redirects=False,
        )
    except ImportError:
        variable = proxy_variable(url) or "ALL_PROXY"
        raise MissingPackageError(
            "socksio", needed_by=f"SOCKS proxies such as that of ${variable}", extra="socks"
        ) from None
    except (ValueError, httpx.InvalidURL):
        # The error of httpx shows the proxy, which may hold a password.
        raise EngineConnectionError(
            f"{shown}: the proxies that {_PROXY_VARIABLES} name cannot be used; expected "
            "http://host:port, https://host:port or socks5://host:port, and host names in NO_PROXY"
        ) from None
