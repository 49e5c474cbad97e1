"""Reading a session's log, and telling whether it is whole."""

from __future__ import annotations

import errno
import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from policies.log_format import (
    ERASED,
    FIRST_PREV,
    FOLLOWED,
    HEAD,
    LOG,
    SEALED,
    Envelope,
    Head,
    LogError,
    LogUnreadable,
    blob_path,
    hash_is_right,
    head_is_ours,
    mac,
    parse_head,
    parse_line,
    seal_is_right,
)
from policies.record import RECORD, ActionDone, Noticed, Record


@dataclass(frozen=True, slots=True)
class Verification:
    """What a look through a whole log found.

    Attributes:
        whole: Nothing was changed, dropped, moved, doubled, added or cut.
        records: How many lines are envelopes.
        findings: One sentence each: what is wrong and where, or, in a whole log, what a reader
            should know of it.
    """

    whole: bool
    records: int
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a log file: those that end, and what is left without an end."""

    whole: tuple[bytes, ...]
    torn: bytes

    @property
    def size(self) -> int:
        """Bytes up to the end of the last whole line."""
        return sum(len(line) + 1 for line in self.whole)

    def up_to(self, number: int) -> Lines:
        """The first lines only, and all that follows as of no use."""
        rest = b"\n".join([*self.whole[number:], self.torn])
        return Lines(whole=self.whole[:number], torn=rest)


def read_lines(folder: Path) -> Lines:
    """The lines of the log in a folder.

    Raises:
        LogUnreadable: It is not there, or cannot be read.
    """
    try:
        data = (folder / LOG).read_bytes()
    except OSError as error:
        raise LogUnreadable(
            f"the log in {folder} cannot be read: {error.strerror}",
            remedy="`journeyman sessions` lists the sessions that there are",
        ) from error
    *whole, torn = data.split(b"\n")
    return Lines(whole=tuple(whole), torn=torn)


def read(folder: Path) -> Iterator[tuple[Envelope, Record]]:
    """All records in their order; one whose payload was erased comes as a `Noticed` that says so.

    A last line without an end is left out: it is of a record that was never written whole. So is
    what stands from a spoiled line on that lies behind the head.

    Raises:
        LogUnreadable: There is no log, or a line or a payload is not what it should be.
    """
    remedy = f"`journeyman log verify {folder.name}` says all that is wrong"
    head = read_head(folder)
    for number, line in enumerate(read_lines(folder).whole):
        envelope = parse_line(line)
        if envelope is None:
            if head and number > head.seq:  # a loss of power leaves such: it is cut off at a resume
                return
            raise LogUnreadable(f"line {number + 1} of the log is no record", remedy=remedy)
        try:
            record = RECORD.validate_json(payload_of(folder, envelope))
        except OSError as error:
            if not _mark(blob_path(folder, envelope.digest)).exists():
                raise LogUnreadable(
                    f"the payload of record {envelope.seq} cannot be read: {error.strerror}",
                    remedy=remedy,
                ) from error
            record = Noticed(text=f"The payload of this {envelope.kind} record was erased.")
        except ValidationError as error:
            raise LogUnreadable(
                f"the payload of record {envelope.seq} is no record", remedy=remedy
            ) from error
        yield envelope, record


def payload_of(folder: Path, envelope: Envelope) -> bytes:
    """A record's payload, from its line or from beside the log.

    Raises:
        OSError: It is not there.
    """
    if envelope.payload is None:
        return blob_path(folder, envelope.digest).read_bytes()
    if envelope.payload.isspace():
        raise FileNotFoundError(errno.ENOENT, "it was erased")
    return envelope.payload.encode()


def read_head(folder: Path) -> Head | None:
    """The head of the log in a folder; None where there is none, or it is damaged."""
    try:
        return parse_head((folder / HEAD).read_bytes())
    except OSError:
        return None


def verify(folder: Path, *, key: bytes | None) -> Verification:
    """Look through a whole log: chain, payloads, head.

    Args:
        folder: The session's folder.
        key: The session's key; without it seals are not checked, and a finding says so.

    Raises:
        LogUnreadable: There is no log to look at.
    """
    head = read_head(folder)  # before the lines: a writer may be at work
    lines = read_lines(folder)
    envelopes, broken = check_chain(lines.whole)
    wrong = [link.text for link in broken]
    if lines.torn:
        wrong.append(
            f"the last line is torn: {len(lines.torn)} bytes without an end; a crash while writing "
            f"leaves that, and the next `journeyman resume` cuts it off and says so"
        )
    wrong += _check_payloads(folder, envelopes, key=key)
    known: list[str] = []
    _check_head(folder.name, head, envelopes, key=key, wrong=wrong, known=known)
    return Verification(not wrong, len(envelopes), (*wrong, *known))


@dataclass(frozen=True, slots=True)
class Broken:
    """What is wrong with a line, and where that is, counted from 0."""

    index: int
    text: str
    is_no_record: bool = False


def check_chain(lines: tuple[bytes, ...]) -> tuple[list[Envelope], list[Broken]]:
    """The envelopes of the lines, and what is wrong with their chain."""
    envelopes: list[Envelope] = []
    wrong: list[Broken] = []
    prev, expected, version = FIRST_PREV, 0, 1
    for index, line in enumerate(lines):
        envelope = parse_line(line)
        if envelope is None:
            text = f"line {index + 1} is no record: it was changed, or damaged"
            wrong.append(Broken(index, text, is_no_record=True))
            # The next line's own link is then the only thing there is to go on with.
            prev, expected = "", expected + 1
            continue
        at = (prev, expected, version)
        wrong += [Broken(index, f"line {index + 1} {text}") for text in _broken(envelope, *at)]
        envelopes.append(envelope)
        prev, expected, version = envelope.hash, envelope.seq + 1, envelope.v
    return envelopes, wrong


def _broken(envelope: Envelope, prev: str, expected: int, version: int) -> Iterator[str]:
    if not hash_is_right(envelope):
        yield "does not have the hash that it names: changed"
    if envelope.seq != expected:
        yield f"holds record {envelope.seq} where {expected} belongs"
    elif prev and envelope.prev != prev:
        yield "does not follow the line before it: changed or replaced"
    if envelope.v < version or (envelope.v >= SEALED) == (envelope.seal is None):
        yield "is of another form than its place allows: changed or replaced"


def may_be_ahead(envelopes: list[Envelope], head: Head) -> bool:
    """Whether a crash can have left the records behind the head's.

    Those that are sealed it can; of others, where the head is of their time, one and such as it
    follows.
    """
    ahead = [envelope for envelope in envelopes if envelope.seq > head.seq]
    unsealed = [envelope for envelope in ahead if envelope.v < SEALED]
    if unsealed and head.v > 1:
        return False
    return all(envelope.kind in FOLLOWED for envelope in unsealed[:-1])


def outlasted(rest: tuple[bytes, ...], head: Head, *, key: bytes) -> bool:
    """Whether one of these lines was on the disk for good before another was written."""
    envelopes = [e for e in map(parse_line, rest) if e and e.v >= SEALED]
    ours = [e for e in envelopes if not forged(e, head, key=key)]
    follows = {envelope.prev for envelope in ours}
    return any(e.kind not in FOLLOWED and e.hash in follows for e in ours)


def forged(envelope: Envelope, head: Head, *, key: bytes | None) -> bool:
    """Whether an envelope's seal, where it has one, was made without the session's key."""
    if key is None or envelope.v < SEALED:
        return False
    return not seal_is_right(envelope, session_id=head.session_id, key=key)


def _check_payloads(folder: Path, envelopes: list[Envelope], *, key: bytes | None) -> list[str]:
    """Every payload that a record names, and every blob there is, against its name."""
    wrong: list[str] = []
    for envelope in envelopes:
        problem = _payload_problem(
            folder, envelope.digest, partial(payload_of, folder, envelope), key=key
        )
        if problem:
            wrong.append(f"the payload of record {envelope.seq} {problem}")
            continue
        for stream, digest in _streams(folder, envelope).items():
            problem = _payload_problem(folder, digest, partial(_blob, folder, digest), key=key)
            if problem:
                wrong.append(f"the whole {stream} of record {envelope.seq} {problem}")
    return wrong


def _blob(folder: Path, digest: str) -> bytes:
    return blob_path(folder, digest).read_bytes()


def _payload_problem(
    folder: Path, digest: str, payload: Callable[[], bytes], *, key: bytes | None
) -> str:
    try:
        data = payload()
    except LogError:
        return "has a name that no payload can have"
    except OSError:
        return _mark_problem(blob_path(folder, digest), key=key)
    return "" if hashlib.sha256(data).hexdigest() == digest else "was changed"


def _mark_problem(path: Path, *, key: bytes | None) -> str:
    try:
        mark = _mark(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return "is missing"
    expected = None if key is None else erased_mark(path.name, _session_of(path), key=key)
    if expected is None or hmac.compare_digest(mark.encode(), expected.encode()):
        return ""
    return "is missing, and its mark of erasure is forged"


def erased_mark(digest: str, session_id: str, *, key: bytes) -> str:
    """What stands in the mark beside an erased payload."""
    return mac(key, "erased", f"{session_id} {digest}".encode())


def _session_of(blob: Path) -> str:
    """The session in whose folder a payload lies, as `blob_path` lays it."""
    return blob.parents[2].name


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ERASED)


def _streams(folder: Path, envelope: Envelope) -> dict[str, str]:
    """The further blobs that a record names."""
    if envelope.kind != "action_done":
        return {}
    try:
        record = RECORD.validate_json(payload_of(folder, envelope))
    except (OSError, ValidationError):
        return {}
    return dict(record.observation.blobs) if isinstance(record, ActionDone) else {}


def _check_head(
    name: str,
    head: Head | None,
    envelopes: list[Envelope],
    *,
    key: bytes | None,
    wrong: list[str],
    known: list[str],
) -> None:
    if head is None:
        wrong.append("head.json is missing or damaged: whether records were cut off is not known")
        return
    if key is None:
        known.append("the seals were not checked: no key was given")
    elif not head_is_ours(head, key=key):
        wrong.append("head.json is forged: its seal was not made with this session's key")
        return
    if head.session_id != name:
        wrong.append(f"the log is of the session {head.session_id}, and lies in another's folder")
    wrong += [
        f"record {envelope.seq} is forged: its seal was not made with this session's key"
        for envelope in envelopes
        if forged(envelope, head, key=key)
    ]
    last = envelopes[-1].seq if envelopes else -1
    if last < head.seq:
        wrong.append(f"records are cut off: the last is {last}, the head says {head.seq}")
    elif not may_be_ahead(envelopes, head):
        wrong.append(f"records were added: the last is {last}, the head says {head.seq}")
    elif last > head.seq:
        known.append(
            f"record {last} is {last - head.seq} ahead of the head: a crash leaves that, "
            f"or a loss of power"
        )
    at_head = next((e.hash for e in envelopes if e.seq == head.seq), FIRST_PREV)
    if last >= head.seq and at_head != head.hash:
        wrong.append(f"record {head.seq} is not the one that the head was sealed over")
