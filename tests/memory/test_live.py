from __future__ import annotations

import threading

import pytest
import redis

from memory.errors import MemoryUnavailable
from memory.live import Live, follow


def test_a_follower_sees_what_was_said_before_and_what_is_said_then(
    redis_client: redis.Redis,
) -> None:
    live = Live(redis_client, "s")
    live.publish("one")
    later = threading.Timer(0.2, live.publish, ("two",))
    later.start()

    seen = follow(redis_client, "s", wait_s=5)

    assert next(seen)[1] == "one"
    assert next(seen)[1] == "two"
    later.join()


def test_a_follower_goes_on_after_the_last_text_it_saw(redis_client: redis.Redis) -> None:
    live = Live(redis_client, "s")
    live.publish("one")
    live.publish("two", "drei ünd ☃")
    Live(redis_client, "other").publish("not ours")
    (first, _), *_ = follow(redis_client, "s", wait_s=0.05)

    assert [text for _, text in follow(redis_client, "s", first, wait_s=0.05)] == [
        "two",
        "drei ünd ☃",
    ]


def test_a_text_that_is_no_unicode_is_shown_as_far_as_it_can_be(redis_client: redis.Redis) -> None:
    Live(redis_client, "s").publish("a\ud800b")

    assert [text for _, text in follow(redis_client, "s", wait_s=0.05)] == ["a?b"]


def test_a_stream_is_capped_and_passes_away(redis_client: redis.Redis) -> None:
    live = Live(redis_client, "s")
    for n in range(1500):
        live.publish(str(n))
    live.close()

    assert int(redis_client.xlen("jm1-live:s")) < 1200
    assert 0 < int(redis_client.ttl("jm1-live:s")) <= 3600
    assert list(follow(redis_client, "s", wait_s=0.05))[-1][1] == "1499"


def test_what_the_server_said_to_a_text_is_not_taken_for_an_answer_to_others(
    redis_client: redis.Redis,
) -> None:
    live = Live(redis_client, "s")
    for n in range(3):
        live.publish(str(n))
        assert redis_client.set("other", n)
        assert redis_client.get("other") == b"%d" % n
    live.close()
    live.close()

    assert redis_client.get("other") == b"2"
    assert [text for _, text in follow(redis_client, "s", wait_s=0.05)] == ["0", "1", "2"]


def test_a_connection_that_was_lost_costs_no_text(redis_client: redis.Redis) -> None:
    live = Live(redis_client, "s")
    live.publish("one")
    redis_client.client_kill_filter(_type="normal", skipme=True)
    live.publish("two")
    live.publish("three")

    assert [text for _, text in follow(redis_client, "s", wait_s=0.05)] == ["one", "two", "three"]


def test_a_text_that_was_refused_is_told_of_with_the_next(redis_client: redis.Redis) -> None:
    redis_client.set("jm1-live:s", "no stream")
    live = Live(redis_client, "s")
    live.publish("one")
    with pytest.raises(MemoryUnavailable, match="WRONGTYPE"):
        live.publish("two")
    redis_client.delete("jm1-live:s")
    live.publish("three")

    assert [text for _, text in follow(redis_client, "s", wait_s=0.05)] == ["three"]
