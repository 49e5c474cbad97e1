"""The session's log: every record chained, masked and on disk before anything rests on it.

    SessionLog.create / .open  ->  append(record), blob(data)  ->  read(folder), verify(folder)

The format is told in `policies/log_format.py`. Nothing may happen that is not in the log: where
an append fails, it raises, and what was to be recorded must not be done.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import JsonValue, ValidationError

from policies.action import digest
from policies.log_check import (
    Verification,
    check_chain,
    erased_mark,
    forged,
    may_be_ahead,
    outlasted,
    payload_of,
    read,
    read_head,
    read_lines,
    verify,
)
from policies.log_files import (
    is_locked,
    lock,
    make_folder,
    refused,
    sync_file,
    sync_folder,
    write_all,
    write_file,
    write_whole_file,
)
from policies.log_format import (
    BLOBS,
    ERASED,
    FIRST_PREV,
    FOLLOWED,
    HEAD,
    INLINE_BYTES,
    LOG,
    VERSION,
    Envelope,
    LogError,
    LogUnreadable,
    blob_path,
    canonical,
    head_is_ours,
    line_of,
    parse_line,
    plain,
    seal_head,
    sealed,
)
from policies.record import RECORD, Noticed, Record

__all__ = [
    "Envelope",
    "LogError",
    "LogUnreadable",
    "SessionLog",
    "Verification",
    "Written",
    "is_written",
    "read",
    "verify",
]


@dataclass(frozen=True, slots=True)
class Written:
    """A record as it stands in the log.

    Attributes:
        seq: Its number.
        record: The record, masked.
        payload: The same as RFC 8785 JSON.
    """

    seq: int
    record: Record
    payload: str


class SessionLog:
    """The one writer of a session's log; made by `create` or `open`."""

    def __init__(
        self,
        folder: Path,
        log_fd: int,
        *,
        last: tuple[int, str],
        key: bytes,
        mask: Callable[[Any], Any],
    ) -> None:
        self.folder = folder
        self.session_id = folder.name
        self._key = key
        self._mask = mask
        self._log_fd = log_fd
        self._head_fd = os.open(folder / HEAD, os.O_RDWR | os.O_CREAT, 0o600)
        self._size = os.fstat(log_fd).st_size
        self._followed = False
        self._seq, self._hash = last
        self._broken = ""
        self._turn = threading.Lock()

    @classmethod
    def create(cls, folder: Path, *, key: bytes, mask: Callable[[Any], Any]) -> SessionLog:
        """Begin a session's log in a folder that has none.

        Args:
            folder: Made if need be, for the owner's eyes only. Its name is the session's: at most
                128 letters, digits, dots, dashes and underscores.
            key: Seals records and head; whoever holds the log alone can neither add a record nor
                cut its end unseen.
            mask: Put to all that is written: a record's JSON data, a blob's text. It gives back
                the value itself where nothing is to be masked.

        Raises:
            LogError: There is a log already, or the disk refuses.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            (folder / BLOBS).mkdir(mode=0o700, exist_ok=True)
            fd = os.open(folder / LOG, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError as error:
            raise LogError(
                f"{folder} holds a log already", remedy="resume that session, or begin another"
            ) from error
        except OSError as error:
            raise refused(folder, error) from error
        lock(fd, folder / LOG)
        try:
            log = cls(folder, fd, last=(-1, FIRST_PREV), key=key, mask=mask)
        except OSError as error:
            os.close(fd)
            raise refused(folder, error) from error
        with log._closed_where_it_fails():
            log._write_head()
            log._keep_head()
            for made in (folder, folder.parent):
                sync_folder(made)
        return log

    @classmethod
    def open(cls, folder: Path, *, key: bytes, mask: Callable[[Any], Any]) -> SessionLog:
        """Go on with a log, also with one that a crash left.

        A last line that a crash tore is cut off, and a record says so.

        Raises:
            LogUnreadable: There is none.
            LogError: Another process writes it, it is not whole, or it is sealed with another key.
        """
        try:
            fd = os.open(folder / LOG, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise LogUnreadable(
                f"the log in {folder} cannot be opened: {error.strerror}",
                remedy="`journeyman sessions` lists the sessions that there are",
            ) from error
        lock(fd, folder / LOG)
        try:
            last, torn, size = _last_good(folder, key=key)
            if torn:
                os.ftruncate(fd, size)
            log = cls(folder, fd, last=last, key=key, mask=mask)
        except OSError as error:
            os.close(fd)
            raise refused(folder, error) from error
        except BaseException:  # the lock goes with the descriptor, whatever it was
            os.close(fd)
            raise
        with log._closed_where_it_fails():
            log._last()
            log._write_head()
            log._keep_head()
            if torn:
                log.append(Noticed(text=f"A torn last line of the log ({torn} bytes) was cut off."))
        return log

    def append(self, record: Record, *, actor: str = "journeyman", key: str = "") -> Written:
        """Write one record, masked; on disk when this returns, and all before it.

        One of a kind in `FOLLOWED` is written, and comes to the disk with the next of another
        kind: it outlives this process at once, and a loss of power only then.

        Args:
            record: What happened, or is about to.
            actor: Who: a program's or a person's name.
            key: Idempotency key of the act that the record is about.

        Raises:
            LogError: It could not be written. What it records must not happen.
        """
        with self._turn:
            self._refuse_if_broken()
            data = record.model_dump(mode="json")
            masked = self._mask(data)
            payload = canonical(plain(masked))
            inline = len(payload) <= INLINE_BYTES
            fields: dict[str, JsonValue] = {
                "v": VERSION,
                "seq": self._seq + 1,
                "prev": self._hash,
                "kind": record.type,
                "key": key.encode("utf-8", "backslashreplace").decode(),
                "at": datetime.now(UTC).isoformat(timespec="microseconds"),
                "actor": actor.encode("utf-8", "backslashreplace").decode(),
                "digest": digest(payload) if inline else self._keep(payload),
            }
            text = payload.decode()
            written = record if masked is data else _masked_record(masked)
            own_hash, line = sealed(
                fields, text if inline else None, session_id=self.session_id, key=self._key
            )
            self._write_line(line, lasting=record.type not in FOLLOWED)
            self._seq, self._hash = self._seq + 1, own_hash
            if not self._followed:
                self._write_head()
            self._broken = ""
            return Written(self._seq, written, text)

    def blob(self, data: bytes) -> str:
        """Keep a payload beside the log, masked; returns the digest of what is kept.

        Raises:
            LogError: It could not be written.
        """
        with self._turn:
            self._refuse_if_broken()
            text = data.decode("utf-8", "surrogateescape")
            return self._keep(self._mask(text).encode("utf-8", "surrogateescape"))

    def read_blob(self, name: str) -> bytes:
        """A payload by its digest.

        Raises:
            LogError: There is none, or it is not what its name says.
        """
        try:
            data = self._payload(name)
        except OSError as error:
            raise LogError(
                f"the payload {name} cannot be read: {error.strerror}",
                remedy="it was erased or lost; `journeyman log verify` tells which",
            ) from error
        if digest(data) != name:
            raise LogError(
                f"the payload {name} was changed", remedy="see what else: `journeyman log verify`"
            )
        return data

    def erase(self, name: str, *, reason: str) -> None:
        """Remove a payload for good; the chain stays whole, and a record says that it was done.

        Raises:
            LogError: There is no such payload, or the disk refuses.
        """
        self.read_blob(name)
        self.append(Noticed(text=f"The payload {name} is to be erased: {reason}"))
        path = blob_path(self.folder, name)
        mark = erased_mark(name, self.session_id, key=self._key).encode()
        with self._turn:
            try:
                make_folder(path.parent)
                write_whole_file(path.with_name(path.name + ERASED), mark)
                path.unlink(missing_ok=True)
                sync_folder(path.parent)
                self._blank(name)
            except OSError as error:
                raise refused(path, error) from error
        self.append(Noticed(text=f"The payload {name} was erased."))

    def close(self) -> None:
        """Let another process write. Safe to call twice."""
        with self._turn:
            if self._log_fd < 0:
                return
            if not self._broken:
                with suppress(LogError):  # nothing rests on the last words, or on the head
                    self._last()
                    self._write_head()
                    self._keep_head()
            os.close(self._log_fd)
            os.close(self._head_fd)
            self._log_fd = self._head_fd = -1
            self._broken = "it is closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _closed_where_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._broken = "it could not be opened"
            self.close()
            if isinstance(error, OSError):
                raise refused(self.folder, error) from error
            raise

    def _refuse_if_broken(self) -> None:
        if self._broken:
            raise LogError(
                f"the log in {self.folder} takes no more records: {self._broken}",
                remedy="open it again (`journeyman resume`)",
            )

    def _keep(self, data: bytes) -> str:
        name = digest(data)
        path = blob_path(self.folder, name)
        try:
            make_folder(path.parent)
            if path.exists() and path.read_bytes() == data:
                sync_file(path)  # it may be of a process that was killed before it came so far
            else:
                # In place: no line names it yet, and one that a crash tore is written anew.
                write_file(path, data)
            sync_folder(path.parent)
        except OSError as error:
            raise refused(path, error) from error
        return name

    def _payload(self, name: str) -> bytes:
        with suppress(FileNotFoundError):
            return blob_path(self.folder, name).read_bytes()
        for envelope in map(parse_line, read_lines(self.folder).whole):
            if envelope and envelope.digest == name and envelope.payload is not None:
                return payload_of(self.folder, envelope)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _blank(self, name: str) -> None:
        """Write the log anew with spaces for a payload; a crash leaves the old file or the new."""
        lines = [_blanked(line, name) + b"\n" for line in read_lines(self.folder).whole]
        part = self.folder / f"{LOG}.part"
        write_file(part, b"".join(lines))
        fd = os.open(part, os.O_RDWR | os.O_APPEND)
        lock(fd, part)
        old = self._log_fd
        try:
            part.replace(self.folder / LOG)
        except OSError:
            os.close(fd)
            raise
        self._log_fd, self._size = fd, sum(map(len, lines))
        os.close(old)
        sync_folder(self.folder)

    def _write_line(self, line: bytes, *, lasting: bool) -> None:
        self._broken = "the writing of a record was interrupted"  # until it was not
        try:
            write_all(self._log_fd, line)
        except OSError as error:
            self._take_back("a record could not be written", mended="")
            raise refused(self.folder / LOG, error) from error
        if lasting:
            self._last()
        self._followed = not lasting
        self._size += len(line)

    def _last(self) -> None:
        """Bring all lines so far to the disk."""
        try:
            os.fdatasync(self._log_fd)
        except OSError as error:
            # What was written before may be lost with it: nothing more is put behind that.
            why = "it could not be brought to the disk"
            self._take_back(why, mended=why)
            raise refused(self.folder / LOG, error) from error

    def _take_back(self, why: str, *, mended: str) -> None:
        """Cut off a line that must not stand there."""
        self._broken = why
        with suppress(OSError):
            os.ftruncate(self._log_fd, self._size)
            self._broken = mended

    def _write_head(self) -> None:
        """A loss of power may take this back; the seals of the records then do without."""
        head = seal_head(self.session_id, self._seq, self._hash, key=self._key)
        try:
            os.pwrite(self._head_fd, head, 0)
        except OSError as error:
            raise self._headless(error) from error

    def _keep_head(self) -> None:
        try:
            os.fdatasync(self._head_fd)
        except OSError as error:
            raise self._headless(error) from error

    def _headless(self, error: OSError) -> LogError:
        self._broken = "its head could not be written"
        return refused(self.folder / HEAD, error)


def _masked_record(data: Any) -> Record:
    try:
        return RECORD.validate_python(data)
    except ValidationError as error:
        raise LogError(
            f"a record is none any more once it is masked: {error}",
            remedy="this is a fault of the program that made the record: report it",
        ) from error


def _last_good(folder: Path, *, key: bytes) -> tuple[tuple[int, str], int, int]:
    """The number and hash to go on from, how many bytes of no use follow, and where."""
    remedy = f"`journeyman log verify {folder.name}` says all that is wrong"
    head = read_head(folder)
    if head is None or head.session_id != folder.name or not head_is_ours(head, key=key):
        raise LogError(f"the head of the log in {folder} is not this session's", remedy=remedy)
    lines = read_lines(folder)
    envelopes, wrong = check_chain(lines.whole)
    if wrong and wrong[0].index > head.seq and wrong[0].is_no_record:
        # Behind the last lasting record a loss of power can leave anything, and nothing rests on it.
        spoiled = wrong[0].index
        if not outlasted(lines.whole[spoiled:], head, key=key):
            lines = lines.up_to(spoiled)
            envelopes, wrong = check_chain(lines.whole)
    if wrong:
        raise LogError(f"the log in {folder} is not whole: {wrong[0].text}", remedy=remedy)
    if any(forged(envelope, head, key=key) for envelope in envelopes):
        raise LogError(f"the log in {folder} holds a record with a forged seal", remedy=remedy)
    last = envelopes[-1] if envelopes else None
    seq, last_hash = (last.seq, last.hash) if last else (-1, FIRST_PREV)
    at_head = envelopes[head.seq].hash if 0 <= head.seq < len(envelopes) else FIRST_PREV
    if seq < head.seq or not may_be_ahead(envelopes, head) or at_head != head.hash:
        raise LogError(
            f"the log in {folder} does not end where its head says: last {seq}, head {head.seq}",
            remedy=remedy,
        )
    return (seq, last_hash), len(lines.torn), lines.size


def _blanked(line: bytes, name: str) -> bytes:
    envelope = parse_line(line)
    if envelope is None or envelope.digest != name or envelope.payload is None:
        return line
    blank = envelope.model_copy(update={"payload": " "})
    return line_of(blank)[:-1]


def is_written(folder: Path) -> bool:
    """Whether a process has the log open for writing; False where there is no log."""
    return is_locked(folder / LOG)
