from __future__ import annotations

import pytest

from agent.models.names import KEY_VARIABLES, KeyMissing, ModelNameError, key, keys, parse, split

KEYS = {variable: f"key-{provider}" for provider, variable in KEY_VARIABLES.items()}


@pytest.mark.parametrize(
    "name", ["openai/gpt-5.5", "anthropic/claude-opus-5-5", "google/gemini-3.8-flash"]
)
def test_a_name_is_its_provider_and_what_the_provider_calls_it(name: str) -> None:
    parsed = parse(name)

    assert str(parsed) == name
    assert parsed.address({}).startswith("https://")


def test_a_model_of_another_server_may_have_slashes_in_its_name() -> None:
    parsed = parse("openai-compatible/qwen/coder", base_url="http://127.0.0.1:8080/v1/")

    assert (parsed.model, parsed.address({})) == ("qwen/coder", "http://127.0.0.1:8080/v1")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gpt-5.5", "Did you mean openai/gpt-5.5?"),
        ("claude-opus-5-5", "Did you mean anthropic/claude-opus-5-5?"),
        ("gemini-3.8-flash", "Did you mean google/gemini-3.8-flash?"),
        ("opanai/gpt-5.5", "Did you mean openai/gpt-5.5?"),
        ("OpenAI/gpt-5.5", "Did you mean openai/gpt-5.5?"),
        ("antropic/x", "Did you mean anthropic/x?"),
        ("openai_compatible/x", "Did you mean openai-compatible/x?"),
        ("buildin", "Did you mean builtin?"),
        ("openai/", "openai/NAME"),
        ("openai", "Did you mean openai/NAME?"),
        ("", "builtin"),
        ("zzz/y", "anthropic/NAME"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_what_may_be_meant(name: str, hint: str) -> None:
    with pytest.raises(ModelNameError) as caught:
        split(name)

    assert hint in caught.value.remedy


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://a/v1", "http://", "http://a:b/v1"])
def test_another_server_needs_an_address_that_is_one(url: str) -> None:
    with pytest.raises(ModelNameError, match="address"):
        parse("openai-compatible/x", base_url=url)


@pytest.mark.parametrize(
    ("given", "variable", "address"),
    [
        ("", "https://r.example", "https://r.example/openai/v1"),
        ("https://r.example/", "", "https://r.example/openai/v1"),
        ("https://r.example/openai/v1", "https://other.example", "https://r.example/openai/v1"),
    ],
)
def test_a_deployment_on_azure_is_reached_at_its_resource(
    given: str, variable: str, address: str
) -> None:
    environ = {"AZURE_OPENAI_ENDPOINT": variable}

    assert parse("azure/mine", base_url=given).address(environ) == address


def test_a_deployment_on_azure_without_a_resource_is_refused() -> None:
    with pytest.raises(ModelNameError) as caught:
        parse("azure/mine").address({})
    assert "AZURE_OPENAI_ENDPOINT" in caught.value.remedy


def test_the_key_of_the_provider_that_was_named_is_read_and_no_other() -> None:
    for provider in ("openai", "anthropic"):
        assert key(parse(f"{provider}/x"), KEYS) == f"key-{provider}"
    with pytest.raises(KeyMissing) as caught:
        key(parse("anthropic/x"), {"OPENAI_API_KEY": "k"})
    assert "ANTHROPIC_API_KEY" in caught.value.remedy


def test_the_key_for_openai_is_never_sent_to_another_server() -> None:
    own = parse("openai-compatible/x", base_url="http://127.0.0.1/v1")

    assert key(own, {"OPENAI_API_KEY": "k"}) == "none"


def test_keys_that_are_there_are_told_and_empty_ones_are_not() -> None:
    assert keys({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "  "}) == ("anthropic",)
    assert keys({}) == ()


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"AWS_BEARER_TOKEN_BEDROCK": "k"}, "k"),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "k"}, "k"),
        ({"AWS_PROFILE": "work"}, "none"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "f"}, "none"),
    ],
)
def test_credentials_of_aws_are_found_however_they_are_given(
    environ: dict[str, str], found: str
) -> None:
    assert key(parse("bedrock/amazon.nova-pro-v1:0"), environ) == found


def test_a_model_on_bedrock_needs_credentials_and_a_region() -> None:
    name = parse("bedrock/amazon.nova-pro-v1:0")

    with pytest.raises(KeyMissing, match="AWS_BEARER_TOKEN_BEDROCK"):
        key(name, {"OPENAI_API_KEY": "k", "AWS_ACCESS_KEY_ID": "half of it"})
    with pytest.raises(ModelNameError) as caught:
        name.address({})
    assert "AWS_REGION" in caught.value.remedy
    assert "eu-west-1" in name.address({"AWS_DEFAULT_REGION": "eu-west-1"})
