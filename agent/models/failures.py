"""Why a model call failed, in words for people, and whether asking again can help."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from langchain_core.exceptions import ContextOverflowError

from agent.models.names import KEY_VARIABLES, NO_KEY, ModelName
from agent.models.prices import Usage

SPENT = {"insufficient_quota", "billing_hard_limit_reached", "billing_error"}
"""Error codes that look like a rate limit but do not go away by waiting."""
SPENT_SAID = ("credit balance is too low", "PerDay", "tokens per day")
"""The same in the words of providers that have no code of its own for it."""
STATUSES = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "server_error": 500,
    "api_error": 500,
    "overloaded_error": 529,
    "timeout_error": 504,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "throttlingException": 429,
    "serviceUnavailableException": 503,
    "validationException": 400,
}
"""Error codes to HTTP's: an error within a stream has only the former."""
TOO_LONG = {"context_length_exceeded", "request_too_large"}
TOO_LONG_SAID = "exceeds the maximum number of tokens"
"""Google's words for the same, which has no code of its own."""
TRANSPORT = {
    "TransportError",
    "APIConnectionError",
    "ModelConnectionError",
    "ConnectionError",
    "HTTPClientError",
    "ProtocolError",
}
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
        too_long: The model cannot read so much.

    Attributes:
        usage: Tokens of the answers of the call that were of no use.
        cost_usd: What they cost; None where the price is not known.
    """

    def __init__(
        self,
        happened: str,
        *,
        remedy: str,
        retryable: bool = False,
        retry_after_s: float | None = None,
        answered: bool = False,
        too_long: bool = False,
    ) -> None:
        super().__init__(happened)
        self.remedy = remedy
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.answered = answered
        self.too_long = too_long
        self.usage = Usage(0, 0)
        self.cost_usd: Decimal | None = Decimal(0)


def explain(error: Exception, name: ModelName, address: str, key: str) -> ModelFailure:
    """A client library's error as a failure of ours; the key never shows in it.

    The libraries' classes are told by attributes and names, so that none of them is imported here.
    """
    if isinstance(error, ModelFailure):
        return error
    said = _said(error)
    if key != NO_KEY:
        said = said.replace(key, "[key]")
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if _has_cause(error, ssl.SSLCertVerificationError):
        return ModelFailure(
            f"the certificate of {name} at {address} is not trusted: {said}",
            remedy="Let SSL_CERT_FILE name a file with the certificate of the authority (PEM) that "
            "your server or your company's proxy uses.",
        )
    if (status := _status(error)) is not None:
        return _by_status(error, status, said, name)
    if any("Timeout" in kind for kind in kinds):
        return ModelFailure(
            f"{name} at {address} did not answer in time",
            remedy="Go on later with `journeyman resume`, or choose another model.",
            retryable=True,
        )
    if kinds & TRANSPORT:
        return ModelFailure(
            f"the connection to {name} at {address} failed: {said}",
            remedy="Check the address, the network and the proxy (HTTPS_PROXY, NO_PROXY), then go on "
            "with `journeyman resume`.",
            retryable=True,
        )
    return ModelFailure(
        f"{name} at {address} sent an answer that cannot be read ({type(error).__name__}: {said})",
        remedy="Check that the address speaks the provider's protocol.",
        retryable=isinstance(error, ValueError),
        answered=True,
    )


def _status(error: Exception) -> int | None:
    """The HTTP status; Google's client has it on the error that LangChain's own comes from.

    An error within a stream comes after a good status: then its code tells, and where that is not
    known either, the server is taken to have failed.
    """
    answered = _aws(error).get("ResponseMetadata", {})
    told = [answered.get("HTTPStatusCode")]
    for one in (error, error.__cause__):
        told += [getattr(one, name, None) for name in ("status_code", "code")]
    for status in told:
        if isinstance(status, int) and status >= 400:
            return status
    if (code := _code(error)) in SPENT | TOO_LONG:
        return 400
    if code or _detail(error):
        return STATUSES.get(code, 500)
    return None


def _by_status(error: Exception, status: int, said: str, name: ModelName) -> ModelFailure:
    code = _code(error)
    refused = f"{name} refused the call ({status}): {said}"
    if code in SPENT or any(words in _whole(error) for words in SPENT_SAID):
        return ModelFailure(refused, remedy="Top up the account, or choose another model.")
    too_long = code in TOO_LONG or status == 413 or TOO_LONG_SAID in said
    if too_long or isinstance(error, ContextOverflowError):
        return ModelFailure(
            f"the session no longer fits into what {name} can read ({status}): {said}",
            remedy="Start again with a narrower task, or with a model that reads more.",
            too_long=True,
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
    found = [word for word in told if word and isinstance(word, str)]  # a number: HTTP's
    if not detail:  # LangChain gives of OpenAI's responses only a text
        known = [*SPENT, *TOO_LONG, *STATUSES]
        found += [word for word in re.findall(r"\w+", str(error)) if word in known]
    return found[0] if found else ""


def _whole(error: Exception) -> str:
    """All that the server said, details included."""
    return f"{_said(error)} {dict(_detail(error))}"


def _has_cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None


def _detail(error: Exception) -> Mapping[str, Any]:
    """The `error` object of an error's body (OpenAI's client hands it out unwrapped)."""
    if aws := _aws(error).get("Error"):
        return {"code": aws.get("Code"), "message": aws.get("Message")}
    for one in (error, error.__cause__):
        for name in ("body", "details"):
            if isinstance(body := getattr(one, name, None), Mapping):
                inner = body.get("error")
                return inner if isinstance(inner, Mapping) else body
    return {}


def _aws(error: Exception) -> Mapping[str, Any]:
    """What Amazon's client has of an answer, which is plain data."""
    answer = getattr(error, "response", None)
    return answer if isinstance(answer, Mapping) else {}


def _retry_after(error: Exception) -> float | None:
    answers: list[Any] = [getattr(one, "response", None) for one in (error, error.__cause__)]
    headers: Any = next((a.headers for a in answers if hasattr(a, "headers")), None)
    if headers is None:
        headers = _aws(error).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[header]) * unit)
        except (KeyError, ValueError):
            continue
    # Google says it in the body.
    delay = re.search(r"'retryDelay': '([0-9.]+)s'", _whole(error))
    return float(delay[1]) if delay else None
