"""Frames between host and supervisor."""

from __future__ import annotations

from sandbox.worker.frames import Decoder, encode


def test_messages_come_out_whole_however_the_stream_is_cut() -> None:
    messages = [
        ({"t": "a", "text": "é\ud800\n"}, {}),
        ({"t": "b"}, {"one": b"\x00" * 300, "two": b"", "three": b"\xff"}),
        ({}, {}),
    ]
    stream = b"".join(encode(message, attachments) for message, attachments in messages)

    for size in (1, 3, 7, 1000):
        decoder = Decoder()
        parts = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [found for part in parts for found in decoder.feed(part)] == messages
