from __future__ import annotations

import pytest
from langchain_core.messages import AIMessageChunk

from agent.models.client import ModelFailure
from agent.models.messages import from_langchain
from tests.agent.models.conftest import ANTHROPIC, BEDROCK, COMPATIBLE, GOOGLE, opened, said
from tests.model_server import ModelServer, Turn

ROOM = "type.googleapis.com/google.rpc."
SOON = {"@type": f"{ROOM}RetryInfo", "retryDelay": "0.02s"}
MINUTE = {"@type": f"{ROOM}QuotaFailure", "violations": [{"quotaId": "RequestsPerMinutePerModel"}]}
DAY = {"@type": f"{ROOM}QuotaFailure", "violations": [{"quotaId": "RequestsPerDayPerModel"}]}
CREDIT = "Your credit balance is too low to access the API."


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        (GOOGLE, Turn(status=429, text="Quota exceeded.", details=(SOON, DAY))),
        (ANTHROPIC, Turn(status=400, text=CREDIT)),
        (BEDROCK, Turn(status=429, text="Too many tokens per day, please wait.")),
    ],
)
def test_a_quota_that_waiting_does_not_mend_is_told_at_once(name: str, refusal: Turn) -> None:
    with ModelServer([refusal]) as server, pytest.raises(ModelFailure) as caught:
        said(opened(server, name))

    assert "Top up" in caught.value.remedy
    assert not caught.value.retryable


def test_google_says_in_the_body_how_long_to_wait_for_a_quota_of_a_minute() -> None:
    refusal = Turn(status=429, text="Quota exceeded.", details=(SOON, MINUTE))
    with ModelServer([refusal, "Yes."]) as server:
        reply = said(opened(server, GOOGLE))

    assert reply.message["content"] == "Yes."
    assert reply.seconds < 10


@pytest.mark.parametrize("late", [False, True])
def test_what_a_server_asks_to_wait_goes_with_the_failure(late: bool) -> None:
    turn = Turn(status=429, text="wait", details=({"retryDelay": "3600s"},), late=late)
    with ModelServer([turn]) as server, pytest.raises(ModelFailure) as caught:
        said(opened(server, GOOGLE))

    assert caught.value.retry_after_s == 3600
    assert len(server.requests) == 1


def test_where_no_key_is_needed_the_word_for_that_is_not_hidden() -> None:
    with ModelServer([Turn(status=400, text="there is none")]) as server:
        client = opened(server, COMPATIBLE)
        client._key = "none"
        with pytest.raises(ModelFailure, match="there is none"):
            said(client)


@pytest.mark.parametrize(
    "thought",
    [
        {"type": "thinking", "thinking": "secret", "signature": "s"},
        {"type": "reasoning", "reasoning": "secret"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "secret"}]},
        {"type": "reasoning_content", "reasoning_content": {"text": "secret"}},
        {"type": "redacted_thinking", "data": "secret"},
    ],
)
def test_what_a_model_thought_is_not_kept(thought: dict[str, object]) -> None:
    answer = AIMessageChunk(
        content=[thought, {"type": "text", "text": "Said."}],
        additional_kwargs={"reasoning_content": "secret"},
    )

    assert from_langchain(answer, 0) == {"role": "assistant", "content": "Said."}
