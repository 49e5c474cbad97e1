from __future__ import annotations

import threading

import redis

from memory.live import follow, publish


def test_a_follower_sees_what_was_said_before_and_what_is_said_then(
    redis_client: redis.Redis,
) -> None:
    publish(redis_client, "s", "one")
    later = threading.Timer(0.2, publish, (redis_client, "s", "two"))
    later.start()

    seen = follow(redis_client, "s", wait_s=5)

    assert next(seen)[1] == "one"
    assert next(seen)[1] == "two"
    later.join()


def test_a_follower_goes_on_after_the_last_text_it_saw(redis_client: redis.Redis) -> None:
    publish(redis_client, "s", "one")
    publish(redis_client, "s", "two", "drei ünd ☃")
    publish(redis_client, "other", "not ours")
    (first, _), *_ = follow(redis_client, "s", wait_s=0.05)

    assert [text for _, text in follow(redis_client, "s", first, wait_s=0.05)] == [
        "two",
        "drei ünd ☃",
    ]


def test_a_text_that_is_no_unicode_is_shown_as_far_as_it_can_be(redis_client: redis.Redis) -> None:
    publish(redis_client, "s", "a\ud800b")

    assert [text for _, text in follow(redis_client, "s", wait_s=0.05)] == ["a?b"]


def test_a_stream_is_capped_and_passes_away(redis_client: redis.Redis) -> None:
    for n in range(1500):
        publish(redis_client, "s", str(n))

    assert int(redis_client.xlen("jm1-live:s")) < 1200
    assert 0 < int(redis_client.ttl("jm1-live:s")) <= 3600
    assert list(follow(redis_client, "s", wait_s=0.05))[-1][1] == "1499"
