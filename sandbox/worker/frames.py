"""Messages on the one stream between host and supervisor.

    frame = length of the rest (4 bytes, big-endian) | length of the JSON (4 bytes) | JSON | bytes

The JSON object's key `attached` names the byte strings that follow it, in order, each with its
length, so that output, patches and archives cross as they are.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, List, Mapping, Tuple

LIMIT = 96 << 20
"""Longest frame in bytes; a longer one is a broken or hostile peer."""

Message = Dict[str, Any]
Attachments = Dict[str, bytes]

_NONE: "Mapping[str, bytes]" = {}
_HEADER = struct.Struct(">II")


class BrokenFrame(Exception):
    """The peer sent what is no frame."""


def encode(message: Message, attachments: "Mapping[str, bytes]" = _NONE) -> bytes:
    """One frame.

    Raises:
        BrokenFrame: It would be longer than `LIMIT`.
    """
    named = [[name, len(data)] for name, data in attachments.items()]
    body = json.dumps(dict(message, attached=named) if named else message).encode("ascii")
    length = 4 + len(body) + sum(len(data) for data in attachments.values())
    if length > LIMIT:
        raise BrokenFrame(f"a message of {length} bytes is over the limit of {LIMIT}")
    return b"".join([_HEADER.pack(length, len(body)), body, *attachments.values()])


class Decoder:
    """Cuts frames out of a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> "List[Tuple[Message, Attachments]]":
        """Messages that are whole now.

        Raises:
            BrokenFrame: The stream holds something else.
        """
        self._buffer += data
        messages = []
        while len(self._buffer) >= _HEADER.size:
            length, body_length = _HEADER.unpack_from(self._buffer)
            if length > LIMIT or body_length + 4 > length:
                raise BrokenFrame(f"a frame that claims {length} bytes, {body_length} of them JSON")
            if len(self._buffer) < 4 + length:
                break
            frame = bytes(self._buffer[8 : 4 + length])
            del self._buffer[: 4 + length]
            messages.append(_parse(frame, body_length))
        return messages


def _parse(frame: bytes, body_length: int) -> "Tuple[Message, Attachments]":
    try:
        message = json.loads(frame[:body_length].decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise BrokenFrame(f"a frame that is no JSON: {error}") from error
    if not isinstance(message, dict):
        raise BrokenFrame("a frame that is no JSON object")
    try:
        attachments = _attachments(frame[body_length:], message.pop("attached", []))
    except (TypeError, ValueError) as error:
        raise BrokenFrame(f"a frame with broken attachments: {error}") from error
    return message, attachments


def _attachments(data: bytes, named: Any) -> Attachments:
    """The byte strings of a frame by name; all of `data` must be named."""
    attachments, at = {}, 0
    for name, length in named:
        if length < 0:
            raise ValueError(f"{name} has {length} bytes")
        attachments[name] = data[at : at + length]
        at += length
    if at != len(data):
        raise ValueError(f"{at} bytes are named, {len(data)} came")
    return attachments
