"""Proxies, certificates and headers: what the environment says about connections."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from braid.engine import EngineConnectionError, EngineError, InvalidParamsError
from braid.engine.errors import MissingPackageError
from braid.engine.remote import RemoteEngine
from braid.engine.remote.client import RetryPolicy
from braid.engine.remote.transport import proxy_variable
from tests.support.fault_server import FaultServer, says
from tests.support.remote_engine import one, opened

NOWHERE = "http://127.0.0.1:1"
ONCE = RetryPolicy(max_retries=0)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", [NOWHERE, "socks5://127.0.0.1:1", "nonsense://x", "http://["])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
async def test_a_server_on_this_machine_is_reached_without_a_proxy(
    faults: FaultServer, monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str, host: str
) -> None:
    monkeypatch.setenv(variable, proxy)
    faults.answer = says("hello")
    faults.address = faults.address.replace("127.0.0.1", host)
    async with await opened(faults, retries=ONCE) as engine:
        assert (await one(engine)).text == "hello"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_an_error_behind_a_proxy_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, NOWHERE.replace("//", "//me:hidden-word@"))
    with pytest.raises(EngineConnectionError, match=rf"\${variable}\b.*NO_PROXY") as caught:
        await RemoteEngine.open("http://engine.invalid/v1#m", api_key_env=None, retries=ONCE)
    assert "hidden-word" not in str(caught.value)


async def test_a_server_elsewhere_is_reached_through_the_proxy(
    faults: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", faults.url.removesuffix("/v1"))
    faults.answer = says("hello")
    async with await RemoteEngine.open("http://engine.invalid/v1#m", api_key_env=None) as engine:
        assert (await one(engine)).text == "hello"
        assert engine.info.details["proxy"] == "that of $HTTP_PROXY"
    assert faults.calls[0].path.startswith("http://engine.invalid/")


@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY"])
async def test_a_socks_proxy_says_what_to_install(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    monkeypatch.setenv(variable, "socks5://me:hidden-word@127.0.0.1:1080")
    scheme = "https" if variable == "HTTPS_PROXY" else "http"
    with pytest.raises(MissingPackageError, match=r"pip install 'braid-agents\[socks\]'") as caught:
        await RemoteEngine.open(f"{scheme}://engine.invalid/v1#m", api_key_env=None)
    assert variable in str(caught.value) and "hidden-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "ftp://me:hidden-word@proxy"),
        ("ALL_PROXY", "http://me:hidden-word@[::1"),
        ("HTTPS_PROXY", "http://proxy:port"),
        ("NO_PROXY", "localhost,::1/128"),
        ("SSL_CERT_FILE", "/no/such/file.pem"),
    ],
)
async def test_an_environment_that_cannot_be_used_is_a_typed_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(EngineConnectionError, match=variable) as caught:
        await RemoteEngine.open("http://engine.invalid/v1#m", api_key_env=None, retries=ONCE)
    assert "hidden-word" not in str(caught.value)


async def test_certificates_that_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    with pytest.raises(EngineConnectionError, match="SSL_CERT_FILE"):
        await RemoteEngine.open("https://engine.invalid/v1#m", api_key_env=None, retries=ONCE)


@pytest.mark.parametrize("value", ["ключ-ключ", "sk-two\nlines", "sk-\x7f-mark", "sk-“quoted”"])
async def test_keys_and_headers_that_no_request_can_hold(
    faults: FaultServer, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MY_KEY", value)
    for options in ({"api_key_env": "MY_KEY"}, {"headers": {"x-team": value}}):
        with pytest.raises(InvalidParamsError, match="printable ASCII") as caught:
            await opened(faults, **options)
        assert isinstance(caught.value, EngineError) and value not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "variables", "expected"),
    [
        ("http://a.example/v1", {"HTTP_PROXY": NOWHERE}, "HTTP_PROXY"),
        ("https://a.example/v1", {"HTTP_PROXY": NOWHERE}, None),
        ("https://a.example/v1", {"HTTP_PROXY": NOWHERE, "ALL_PROXY": NOWHERE}, "ALL_PROXY"),
        ("http://a.example/v1", {"HTTP_PROXY": NOWHERE, "NO_PROXY": "a.example"}, None),
        ("http://a.example/v1", {"HTTP_PROXY": NOWHERE, "NO_PROXY": "*"}, None),
        ("http://127.0.0.2/v1", {"HTTP_PROXY": NOWHERE}, None),
        ("http://[::1]/v1", {"HTTP_PROXY": NOWHERE}, None),
        ("http://engine.localhost/v1", {"HTTP_PROXY": NOWHERE}, None),
    ],
)
def test_which_variable_counts(
    monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], expected: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_variable(httpx.URL(url)) == expected
