"""Why a model call failed, in words for people, and whether asking again can help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.exceptions import ContextOverflowError

from agent.models.names import KEY_VARIABLES, ModelName

SPENT = {"insufficient_quota", "billing_hard_limit_reached", "billing_error"}
"""Error codes that look like a rate limit but do not go away by waiting."""
TOO_LONG = {"context_length_exceeded", "request_too_large"}
TOO_LONG_SAID = "exceeds the maximum number of tokens"
"""Google's words for the same, which has no code of its own."""
TRANSPORT = {"TransportError", "APIConnectionError", "ModelConnectionError", "ConnectionError"}
"""Names of classes that mean: the connection failed (the HTTP libraries' own included)."""
SHOWN = 300


class ModelFailure(Exception):
    """A call to a model did not bring a usable answer.

    Args:
        happened: One sentence without a full stop.
        remedy: What the user does next.
        retryable: The same call may succeed later.
        retry_after_s: What the server asked to wait; None where it did not say.
        answered: The model did answer (and is paid), but the answer is of no use.
    """

    def __init__(
        self,
        happened: str,
        *,
        remedy: str,
        retryable: bool = False,
        retry_after_s: float | None = None,
        answered: bool = False,
    ) -> None:
        super().__init__(happened)
        self.remedy = remedy
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.answered = answered


def explain(error: Exception, name: ModelName, address: str, key: str) -> ModelFailure:
    """A client library's error as a failure of ours; the key never shows in it.

    The libraries' classes are told by attributes and names, so that none of them is imported here.
    """
    if isinstance(error, ModelFailure):
        return error
    said = _said(error).replace(key, "[key]")
    if (status := _status(error)) is not None:
        return _by_status(error, status, said, name)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if any("Timeout" in kind for kind in kinds):
        return ModelFailure(
            f"{name} at {address} did not answer in time",
            remedy="Go on later with `journeyman resume`, or choose another model.",
            retryable=True,
        )
    if kinds & TRANSPORT:
        return ModelFailure(
            f"the connection to {name} at {address} failed: {said}",
            remedy="Check the address and the network, then go on with `journeyman resume`.",
            retryable=True,
        )
    return ModelFailure(
        f"{name} at {address} sent an answer that cannot be read ({type(error).__name__}: {said})",
        remedy="Check that the address speaks the provider's protocol.",
        retryable=isinstance(error, ValueError),
        answered=True,
    )


def _status(error: Exception) -> int | None:
    """The HTTP status; Google's client has it on the error that LangChain's own comes from."""
    for one in (error, error.__cause__):
        for name in ("status_code", "code"):
            if isinstance(status := getattr(one, name, None), int):
                return status
    return None


def _by_status(error: Exception, status: int, said: str, name: ModelName) -> ModelFailure:
    code = _code(error)
    refused = f"{name} refused the call ({status}): {said}"
    if code in SPENT:
        return ModelFailure(refused, remedy="Top up the account, or choose another model.")
    too_long = code in TOO_LONG or status == 413 or TOO_LONG_SAID in said
    if too_long or isinstance(error, ContextOverflowError):
        return ModelFailure(
            f"the session no longer fits into what {name} can read ({status}): {said}",
            remedy="Start again with a narrower task, or with a model that reads more.",
        )
    if status in (401, 403):
        variable = KEY_VARIABLES[name.provider]
        return ModelFailure(refused, remedy=f"Check the key in {variable} and what it may use.")
    if status == 404:
        return ModelFailure(refused, remedy="Check the model's name and the base URL.")
    if status in (408, 409, 429) or status >= 500:
        return ModelFailure(
            f"{name} could not answer ({status}): {said}",
            remedy="Go on later with `journeyman resume`, or choose another model.",
            retryable=True,
            retry_after_s=_retry_after(error),
        )
    return ModelFailure(refused, remedy="See the provider's documentation for this error.")


def _said(error: Exception) -> str:
    """The server's own sentence where there is one, on one line."""
    detail = _detail(error)
    text = str(detail.get("message") or error)
    text = " ".join(text.split()).rstrip(".") or type(error).__name__
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _code(error: Exception) -> str:
    detail = _detail(error)
    told = (
        detail.get("code"),
        detail.get("type"),
        detail.get("status"),
        getattr(error, "code", ""),
    )
    return next((word for word in told if word and isinstance(word, str)), "")  # a number: HTTP's


def _detail(error: Exception) -> Mapping[str, Any]:
    """The `error` object of an error's body (OpenAI's client hands it out unwrapped)."""
    for one in (error, error.__cause__):
        for name in ("body", "details"):
            if isinstance(body := getattr(one, name, None), Mapping):
                inner = body.get("error")
                return inner if isinstance(inner, Mapping) else body
    return {}


def _retry_after(error: Exception) -> float | None:
    answers = [getattr(one, "response", None) for one in (error, error.__cause__)]
    headers: Any = next((getattr(a, "headers", {}) for a in answers if a is not None), {})
    for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[header]) * unit)
        except (KeyError, ValueError):
            continue
    return None
