"""Format v3 of the session's log: one sealed envelope a line, the payload in it, a sealed head.

    log.jsonl          one canonical JSON envelope a line
    blobs/aa/DIGEST    a payload that is large, or of v1; DIGEST.erased where one was erased
    head.json          the last lasting envelope's number and hash, sealed

An envelope holds the hash of the one before it, so that nothing can be changed, dropped or put
elsewhere in the middle; it is sealed with the session's key, so that nothing can be added by one
who does not hold that; and so is the head, so that nothing can be cut off at the end. The hash
covers a payload's SHA-256 and not its text, which can thus be erased. The head is not brought to
the disk at each record: a loss of power may leave any number of sealed ones behind it.

In v2 no envelope had a seal of its own, in v1 every payload lay beside the log as well. Lines of an
older form may precede those of a newer one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import rfc8785
from pydantic import Field, JsonValue, ValidationError

from policies.action import Frozen

VERSION = 3
SEALED = 3
"""The first version whose lines have a seal each."""
LOG = "log.jsonl"
HEAD = "head.json"
BLOBS = "blobs"
ERASED = ".erased"
FIRST_PREV = "0" * 64
"""What the first envelope names as the hash before it."""
INLINE_BYTES = 65_536
"""A payload up to this size stands in its line: one write for both."""
FOLLOWED = frozenset({"plan_made", "said", "step_taken"})
"""Kinds of records that nothing rests on: they last from the next record of another kind on."""
_LEAST_USUAL, _MOST_USUAL = 1e-4, 1e16
"""Between them a float is written with the same digits as by ECMAScript, without an exponent."""
_MOST = 2**53 - 1
"""The greatest whole number that has a canonical form."""
HEAD_BYTES = 448
"""The head is one write of this many bytes in place: never longer than a disk's sector."""


class LogError(Exception):
    """The log cannot be written or gone on with; what it should record must not happen.

    Args:
        happened: What happened, and to what, as one sentence without a full stop.
        remedy: What the reader does next.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy


class LogUnreadable(LogError):
    """There is no log there, or it cannot be read at all."""


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hex."""


class Envelope(Frozen):
    """One line of the log: what it is, when, by whom, and what it stands on.

    `digest` is the payload's SHA-256, `prev` the hash of the line before, `hash` is SHA-256 over
    the RFC 8785 form of all the other fields but payload and seal. `seal` is the hash's own, with
    the session's key. `key` is the idempotency key of the act that the record is about, empty where
    there is none.
    """

    v: Literal[1, 2, 3]
    seq: int = Field(ge=0, le=_MOST)
    prev: Digest
    kind: str
    key: str
    at: str
    actor: str
    digest: Digest
    hash: Digest
    seal: Digest | None = None
    """None before v3."""
    payload: str | None = None
    """The record's RFC 8785 form; spaces where it was erased, None where it lies beside the log."""


class Head(Frozen):
    """The last line that was written for certain. `seq` is -1 before the first.

    Behind a head of v2 every line is sealed; those of v1 are of logs before their v3.
    """

    v: Literal[1, 2]
    session_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")
    seq: int = Field(ge=-1, le=_MOST)
    hash: Digest
    mac: Digest


def canonical(value: Any) -> bytes:
    """RFC 8785 form of plain JSON data.

    Raises:
        LogError: It has no such form.
    """
    try:
        return flat(value) if _is_usual(value) else rfc8785.dumps(value)
    except (ValueError, orjson.JSONEncodeError, RecursionError) as error:
        raise LogError(
            f"a record has no canonical JSON form: {error}",
            remedy="this is a fault of the program that made the record: report it",
        ) from error


def _is_usual(value: Any) -> bool:
    """Whether `flat` gives the RFC 8785 form: no order of names, and no number, is told otherwise."""
    if isinstance(value, str) or value is None:
        return True
    if isinstance(value, dict):
        return all(name.isascii() and _is_usual(item) for name, item in value.items())
    if isinstance(value, list):
        return all(map(_is_usual, value))
    if isinstance(value, float):
        return _LEAST_USUAL <= abs(value) < _MOST_USUAL and not value.is_integer()
    return isinstance(value, int) and abs(value) < 2**53


def plain(value: JsonValue) -> Any:
    """The data as what surely has a canonical form.

    Lone surrogates become escapes that one can see; whole numbers of 2^53 and more, and floats
    that are no number, become text. A whole float is written as a whole number, as the form has it.
    """
    if isinstance(value, str):
        ascii_only = value.isascii()  # the ordinary case, and quick to see
        return value if ascii_only else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 2**53
        return int(value) if whole else value if math.isfinite(value) else str(value)
    return str(value) if isinstance(value, int) and abs(value) >= 2**53 else value


def flat(fields: Any) -> bytes:
    """The same as `canonical` for what is usual, and quicker."""
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def sealed(
    fields: dict[str, JsonValue], payload: str | None, *, session_id: str, key: bytes
) -> tuple[str, bytes]:
    """The hash of an envelope, from all its other fields but payload and seal; and its line."""
    own_hash = _sha256(flat(fields))
    fields = {**fields, "hash": own_hash, "seal": _seal(own_hash, session_id, key)}
    inline = {} if payload is None else {"payload": payload}
    return own_hash, flat({**fields, **inline}) + b"\n"


def hash_is_right(envelope: Envelope) -> bool:
    """Whether the envelope's hash is that of its other fields."""
    fields = envelope.model_dump(exclude={"hash", "seal", "payload"})
    return _sha256(canonical(fields)) == envelope.hash


def seal_is_right(envelope: Envelope, *, session_id: str, key: bytes) -> bool:
    """Whether the envelope's seal was made with this key, for this session."""
    expected = _seal(envelope.hash, session_id, key)
    return hmac.compare_digest(expected, envelope.seal or "")


def _seal(own_hash: str, session_id: str, key: bytes) -> str:
    return mac(key, "record", f"{session_id} {own_hash}".encode())


def line_of(envelope: Envelope) -> bytes:
    """The envelope as its line in the log."""
    return flat(envelope.model_dump(exclude_none=True)) + b"\n"


def parse_line(line: bytes) -> Envelope | None:
    """The envelope of one line; None where the line is not one, byte for byte."""
    try:
        envelope = Envelope.model_validate(json.loads(line))
        return envelope if line_of(envelope) == line + b"\n" else None
    except (ValueError, ValidationError, RecursionError, orjson.JSONEncodeError):
        return None


def seal_head(session_id: str, seq: int, last_hash: str, *, key: bytes) -> bytes:
    """A head sealed with the session's key, as it lies in its file."""
    fields = {"v": 2, "session_id": session_id, "seq": seq, "hash": last_hash}
    return _filled({**fields, "mac": mac(key, "head", flat(fields))})


def head_is_ours(head: Head, *, key: bytes) -> bool:
    """Whether the head's seal was made with this key."""
    expected = mac(key, "head", canonical(head.model_dump(exclude={"mac"})))
    return hmac.compare_digest(expected, head.mac)


def parse_head(data: bytes) -> Head | None:
    """The head of its file's bytes; None where they are not one."""
    try:
        head = Head.model_validate(json.loads(data))
    except (ValueError, ValidationError, RecursionError):
        return None
    return head if _filled(head.model_dump()) == data else None


def _filled(fields: dict[str, Any]) -> bytes:
    return flat(fields).ljust(HEAD_BYTES - 1) + b"\n"


def mac(key: bytes, purpose: str, data: bytes) -> str:
    """HMAC-SHA-256 in hex; the purpose keeps a seal of one kind from passing as another."""
    return hmac.digest(key, purpose.encode() + b"\0" + data, "sha256").hex()


def blob_path(folder: Path, digest: str) -> Path:
    """Where the payload of that digest lies.

    Raises:
        LogError: It is no digest; such a name could lead anywhere.
    """
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise LogError(f"{digest[:80]!r} names no payload", remedy="give a SHA-256 in hex")
    return folder / BLOBS / digest[:2] / digest


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
