"""Names of chat models: `PROVIDER/NAME`, such as `anthropic/NAME`; some need a base URL, too.

A key is read for one provider only: the one that was asked for by name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from typing_extensions import override

Provider = Literal["openai", "anthropic", "google", "azure", "bedrock", "openai-compatible"]

KEY_VARIABLES: dict[Provider, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GOOGLE_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
    "openai-compatible": "OPENAI_COMPATIBLE_API_KEY",
}
"""Provider to the environment variable that holds its key. A server of one's own may need none."""
NO_KEY = "none"
AWS_CREDENTIALS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Other variables by which a client of AWS finds its credentials."""
AWS_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")

BASE_URL_VARIABLES: dict[Provider, str] = {
    "openai": "OPENAI_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
    "google": "GOOGLE_GEMINI_BASE_URL",
    "azure": "AZURE_OPENAI_ENDPOINT",
    "bedrock": "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
}
BASE_URLS: dict[Provider, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}
AZURE_PATH = "/openai/v1"
"""Where a resource of Azure speaks OpenAI's protocol, with no version to be named."""
FAMILIES: dict[str, Provider] = {
    "gpt": "openai",
    "o1": "openai",
    "o3": "openai",
    "claude": "anthropic",
    "gemini": "google",
}
"""Beginnings of model names that tell whose they are, for a hint only."""


class ModelNameError(Exception):
    """A model's name (or what must go with it) cannot be used.

    Args:
        happened: One sentence without a full stop.
        remedy: What the user does next.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy


class KeyMissing(ModelNameError):
    """The provider that was asked for needs a key, and its variable is not set."""


class PackageMissing(ModelNameError):
    """The provider that was asked for comes with an extra, and that is not installed."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """A chat model: who serves it, what it is called there, and at which address.

    Attributes:
        base_url: As given; empty: the provider's own (or what its variable says).
    """

    provider: Provider
    model: str
    base_url: str = ""

    @override
    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"

    def address(self, environ: Mapping[str, str]) -> str:
        """The base URL that requests go to: as given, else the provider's variable, else its own.

        Raises:
            ModelNameError: There is none: a resource of Azure has an address of its own, and so has
                each region of AWS.
        """
        variable = BASE_URL_VARIABLES.get(self.provider, "")
        found = self.base_url or environ.get(variable, "") or BASE_URLS.get(self.provider, "")
        if self.provider == "bedrock" and not found:
            return f"https://bedrock-runtime.{region(environ)}.amazonaws.com"
        if not found:
            raise ModelNameError(
                f"{self} needs the address of its resource",
                remedy=f"Set {variable}, or give it with --base-url.",
            )
        if self.provider == "azure" and urlsplit(found).path in ("", "/"):
            return found.rstrip("/") + AZURE_PATH
        return found


def split(name: str) -> ModelName:
    """A model by its name, wherever it is served.

    Raises:
        ModelNameError: The provider is not known, or the model is missing.
    """
    provider, slash, model = name.strip().partition("/")
    known = next((one for one in KEY_VARIABLES if one == provider), None)
    if known is None or not slash:
        raise ModelNameError(f"{name!r} names no model that is known", remedy=_hint(name))
    if not model:
        raise ModelNameError(
            f"{name!r} names a provider but no model",
            remedy=f"Write {known}/NAME, with the name that the provider uses.",
        )
    return ModelName(known, model)


def parse(name: str, *, base_url: str = "") -> ModelName:
    """A model by its name and its address, ready to be called.

    Raises:
        ModelNameError: As `split`; or the base URL is missing where one is needed, or is none.
    """
    split_name = split(name)
    if not base_url and split_name.provider == "openai-compatible":
        raise ModelNameError(
            f"{name!r} needs the address of its server",
            remedy="Give it with --base-url, such as --base-url http://127.0.0.1:8080/v1.",
        )
    if base_url:
        _check_url(base_url)
    return replace(split_name, base_url=base_url.rstrip("/"))


def key(name: ModelName, environ: Mapping[str, str]) -> str:
    """The key for this model's provider, and for no other; a word that says nothing where none is needed.

    Raises:
        KeyMissing: The provider needs a key and there is none.
    """
    variable = KEY_VARIABLES[name.provider]
    value = environ.get(variable, "").strip()
    if value:
        return value
    if name.provider == "openai-compatible":
        return NO_KEY
    if name.provider == "bedrock" and any(environ.get(one) for one in AWS_CREDENTIALS):
        return environ.get("AWS_SECRET_ACCESS_KEY") or NO_KEY
    others = ", AWS_PROFILE or another credential of AWS" if name.provider == "bedrock" else ""
    raise KeyMissing(
        f"there is no key for {name}: {variable} is not set",
        remedy=f"Set {variable}{others}, or choose another model with --model (builtin needs no key).",
    )


def region(environ: Mapping[str, str]) -> str:
    """The region of AWS.

    Raises:
        ModelNameError: None is set.
    """
    found = next((environ[one] for one in AWS_REGIONS if environ.get(one)), "")
    if not found:
        raise ModelNameError(
            "a model on Bedrock needs a region of AWS",
            remedy="Set AWS_REGION, such as AWS_REGION=us-east-1.",
        )
    return found


def keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Providers whose key is in the environment: worth a mention, never a reason to use one."""
    return tuple(
        one for one, variable in KEY_VARIABLES.items() if environ.get(variable, "").strip()
    )


def _hint(name: str) -> str:
    provider, slash, model = name.strip().partition("/")
    forms = ", ".join(f"{one}/NAME" for one in KEY_VARIABLES) + " (with --base-url) and builtin"
    family = next((one for start, one in FAMILIES.items() if name.startswith(start)), None)
    if family is not None and not slash:
        return f"Did you mean {family}/{name}? There are {forms}."
    near = difflib.get_close_matches(provider.lower(), [*KEY_VARIABLES, "builtin"], n=1, cutoff=0.6)
    if near:
        meant = near[0] if near[0] == "builtin" else f"{near[0]}/{model or 'NAME'}"
        return f"Did you mean {meant}? There are {forms}."
    return f"There are {forms}."


def _check_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        raise ModelNameError(
            f"the base URL {base_url!r} is no http or https address",
            remedy="Give it with its scheme, such as http://127.0.0.1:8080/v1.",
        )
