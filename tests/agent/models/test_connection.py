"""How the models' servers are reached: the usual variables for proxies and certificates hold."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agent.models.client import ModelFailure
from agent.models.names import ModelNameError
from tests.agent.models.conftest import BEDROCK, EVERY, opened, said
from tests.authority import Authority, authority
from tests.forward_proxy import ForwardProxy
from tests.model_server import ModelServer

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*VARIABLES, "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@pytest.mark.parametrize("name", EVERY)
def test_a_model_is_asked_through_the_proxy_that_is_set(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardProxy() as proxy, ModelServer(["Yes."]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        reply = said(opened(server, name))

    assert (reply.message["content"], reply.notes) == ("Yes.", ())
    assert proxy.asked[0].startswith(f"POST {server.base_url.removesuffix('/v1')}/")


@pytest.mark.parametrize("name", EVERY)
def test_a_server_that_needs_no_proxy_is_asked_without_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardProxy() as proxy, ModelServer(["Yes."]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        said(opened(server, name))

    assert proxy.asked == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("name", EVERY)
def test_a_certificate_of_ones_own_authority_is_trusted_through_a_proxy_too(
    name: str, variable: str, own: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardProxy() as proxy, ModelServer(["Yes."], tls=own.server) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv(variable, str(own.certificate))
        reply = said(opened(server, name))

    assert (reply.message["content"], reply.notes) == ("Yes.", ())
    assert proxy.asked == [f"CONNECT {urlsplit(server.base_url).netloc}"]


@pytest.mark.parametrize("name", EVERY)
def test_a_certificate_that_is_not_trusted_is_told_at_once_with_what_to_set(
    name: str, own: Authority
) -> None:
    with (
        ModelServer([], tls=own.server) as server,
        pytest.raises(ModelFailure, match="certificate") as caught,
    ):
        said(opened(server, name))

    assert "SSL_CERT_FILE" in caught.value.remedy
    assert not caught.value.retryable
    assert server.requests == []


@pytest.mark.parametrize("name", EVERY)
def test_a_file_without_certificates_is_told_before_anything_is_sent(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (empty, tmp_path / "none.pem"):
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with ModelServer([]) as server, pytest.raises(ModelNameError, match="SSL_CERT_FILE"):
            opened(server, name)


@pytest.mark.parametrize("name", EVERY)
def test_a_proxy_that_is_not_there_is_told_with_the_variable_that_names_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardProxy() as proxy:
        gone = proxy.url
    monkeypatch.setenv("HTTP_PROXY", gone)
    with ModelServer([]) as server, pytest.raises(ModelFailure) as caught:
        said(opened(server, name, timeout_s=5))

    assert "HTTPS_PROXY" in caught.value.remedy


@pytest.mark.parametrize("name", [name for name in EVERY if name != BEDROCK])
def test_a_proxy_that_cannot_be_used_is_told_before_anything_is_sent(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:70")
    with ModelServer([]) as server, pytest.raises(ModelNameError, match="proxy"):
        opened(server, name)
