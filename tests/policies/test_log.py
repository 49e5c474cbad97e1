"""The session's log: whole when it is, and never called whole when it is not."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from policies import log_files, log_format
from policies.action import Action, Observation, ShellRequest, Verdict
from policies.detectors import sample
from policies.log import LogError, LogUnreadable, SessionLog, read, verify
from policies.log_format import line_of, parse_line, seal_head, sealed
from policies.masks import ALL_KINDS, Masks
from policies.record import ActionDone, ActionJudged, Noticed, Said, SessionEnded, StepTaken

KEY = b"the key of this test" + b"!" * 12
GOLDEN = Path(__file__).parent / "golden"
GOLDEN_KEY = b"golden" * 6


def unmasked(data: Any) -> Any:
    return data


def new_log(folder: Path, mask: Callable[[Any], Any] = unmasked) -> SessionLog:
    return SessionLog.create(folder, key=KEY, mask=mask)


def done(text: str, **blobs: str) -> ActionDone:
    verdict = Verdict(decision="allow", rule="r")
    seen = Observation(status="done", verdict=verdict, stdout=text, blobs=blobs)
    return ActionDone(key="s1/0/0", tool="shell", observation=seen)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of six records, closed as usual; the second is large."""
    folder = tmp_path_factory.mktemp("written") / "s1"
    with new_log(folder) as log:
        for number in range(5):
            more = "." * (number == 1) * log_format.INLINE_BYTES
            log.append(Said(step=number, text=f"number {number}{more}"))
        whole = log.blob(b"the whole stream\n" * 100)
        log.append(done("cut", stdout=whole), key="s1/0/0")
    return folder


@pytest.fixture
def six(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to be touched."""
    return Path(shutil.copytree(written, tmp_path / "s1"))


def lines(folder: Path) -> list[bytes]:
    return (folder / "log.jsonl").read_bytes().splitlines(keepends=True)


def put(folder: Path, those: list[bytes]) -> None:
    (folder / "log.jsonl").write_bytes(b"".join(those))


def test_records_come_back_as_they_were_in_their_order(six: Path) -> None:
    records = list(read(six))
    assert [e.seq for e, _ in records] == [0, 1, 2, 3, 4, 5]
    assert records[3][1] == Said(step=3, text="number 3")
    assert records[5][0].kind == "action_done"
    assert records[5][0].key == "s1/0/0"
    assert verify(six, key=KEY) == verify(six, key=KEY)
    assert verify(six, key=KEY).whole


def test_every_file_and_folder_is_the_owners_alone(six: Path) -> None:
    for path in [six, *six.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def flip_in_line(folder: Path) -> None:
    those = lines(folder)
    put(folder, [those[0], those[1].replace(b'"actor":"j', b'"actor":"J'), *those[2:]])


def flip_in_payload(folder: Path) -> None:
    those = lines(folder)
    put(folder, [*those[:2], those[2].replace(b"number", b"nunber"), *those[3:]])


def blank_a_payload(folder: Path) -> None:
    change_the_third(folder, payload=" ")


def take_out_a_payload(folder: Path) -> None:
    change_the_third(folder, payload=None)


def change_the_third(folder: Path, **other: str | None) -> None:
    those = lines(folder)
    put(folder, [*those[:2], changed(those[2], **other), *those[3:]])


def changed(line: bytes, **other: str | None) -> bytes:
    """The line with another payload or seal, and the hash that it had."""
    envelope = parse_line(line.rstrip())
    assert envelope is not None
    return line_of(envelope.model_copy(update=other))


def flip_in_blob(folder: Path) -> None:
    name = json.loads(lines(folder)[1])["digest"]
    path = folder / "blobs" / name[:2] / name
    path.write_bytes(path.read_bytes().replace(b"number", b"nunber"))


def flip_in_stream(folder: Path) -> None:
    record = list(read(folder))[5][1]
    assert isinstance(record, ActionDone)
    name = record.observation.blobs["stdout"]
    (folder / "blobs" / name[:2] / name).write_bytes(b"another stream")


def rewritten(line: bytes, **other: object) -> bytes:
    """By one who knows the format, and not the key."""
    fields = {**json.loads(line), **other}
    kept = {name: fields[name] for name in fields if name not in {"hash", "seal", "payload"}}
    payload = fields.get("payload")
    return sealed(kept, payload, session_id="s1", key=b"a guess")[1]


def rewrite_one(folder: Path) -> None:
    those = lines(folder)
    line = rewritten(those[2], actor="somebody else")
    put(folder, [*those[:2], json.dumps(json.loads(line)).encode() + b"\n", *those[3:]])


def rewrite_canonically(folder: Path) -> None:
    those = lines(folder)
    put(folder, [*those[:2], rewritten(those[2], actor="somebody else"), *those[3:]])


def rewrite_the_last(folder: Path) -> None:
    those = lines(folder)
    put(folder, [*those[:-1], rewritten(those[-1], actor="somebody else")])


def forge_a_seal(folder: Path) -> None:
    change_the_third(folder, seal="0" * 64)


def take_off_a_seal(folder: Path) -> None:
    change_the_third(folder, seal=None)


def added(folder: Path, version: int) -> bytes:
    """One more line, right but for its seal."""
    last = json.loads(lines(folder)[-1])
    line = rewritten(lines(folder)[-1], seq=last["seq"] + 1, prev=last["hash"], v=version)
    return line if version >= 3 else changed(line, seal=None)


def add_one(folder: Path) -> None:
    put(folder, [*lines(folder), added(folder, 3)])


def add_one_without_a_seal(folder: Path) -> None:
    put(folder, [*lines(folder), added(folder, 2)])


def take_one_of_another_session(folder: Path) -> None:
    with new_log(folder / "s2") as log:
        log.append(Noticed(text="said there"))
    put(folder, lines(folder / "s2"))
    head = seal_head("s1", -1, log_format.FIRST_PREV, key=KEY)
    (folder / "head.json").write_bytes(head)


def drop_one(folder: Path) -> None:
    those = lines(folder)
    put(folder, those[:2] + those[3:])


def drop_the_first(folder: Path) -> None:
    put(folder, lines(folder)[1:])


def cut_the_last(folder: Path) -> None:
    put(folder, lines(folder)[:-1])


def cut_all(folder: Path) -> None:
    put(folder, [])


def swap_two(folder: Path) -> None:
    those = lines(folder)
    put(folder, [*those[:2], those[3], those[2], *those[4:]])


def double_one(folder: Path) -> None:
    those = lines(folder)
    put(folder, [*those[:3], those[2], *those[3:]])


def tear_the_last(folder: Path) -> None:
    put(folder, [*lines(folder), b'{"actor":"journey'])


def tear_a_written_line(folder: Path) -> None:
    those = lines(folder)
    put(folder, [*those[:-1], those[-1][:-10]])


def lose_a_blob(folder: Path) -> None:
    name = json.loads(lines(folder)[1])["digest"]
    (folder / "blobs" / name[:2] / name).unlink()


def forge_an_erasure(folder: Path) -> None:
    lose_a_blob(folder)
    name = json.loads(lines(folder)[1])["digest"]
    (folder / "blobs" / name[:2] / f"{name}.erased").write_text("0" * 64)


def forge_the_head(folder: Path) -> None:
    cut_the_last(folder)
    last = json.loads(lines(folder)[-1])
    head = seal_head("s1", last["seq"], last["hash"], key=b"a guess")
    (folder / "head.json").write_bytes(json.dumps(json.loads(head)).encode().ljust(447) + b"\n")


def forge_the_head_canonically(folder: Path) -> None:
    cut_the_last(folder)
    last = json.loads(lines(folder)[-1])
    head = seal_head("s1", last["seq"], last["hash"], key=b"a guess")
    (folder / "head.json").write_bytes(head)


def take_the_log_of_another_session(folder: Path) -> None:
    with new_log(folder / "s2") as log:
        log.append(Noticed(text="said there"))
    for file in ("log.jsonl", "head.json"):
        shutil.copy(folder / "s2" / file, folder / file)


def take_the_head_of_another_session(folder: Path) -> None:
    new_log(folder / "s2").close()
    shutil.copy(folder / "s2" / "head.json", folder / "head.json")
    put(folder, [])


def number_one_beyond_all_numbers(folder: Path) -> None:
    those = lines(folder)
    put(folder, [*those[:2], those[2].replace(b'"seq":2', b'"seq":%d' % 2**64), *those[3:]])


def put_half_of_a_character_in(folder: Path) -> None:
    those = lines(folder)
    line = those[2].replace(b'"actor":"journeyman"', rb'"actor":"\ud800"')
    put(folder, [*those[:2], line, *those[3:]])


def spoil_the_heads_seal(folder: Path) -> None:
    path = folder / "head.json"
    head = json.loads(path.read_bytes())
    head["mac"] = "é" + head["mac"][1:]
    path.write_bytes(json.dumps(head, ensure_ascii=False).encode())


def spoil_a_mark_of_erasure(folder: Path) -> None:
    lose_a_blob(folder)
    name = json.loads(lines(folder)[1])["digest"]
    (folder / "blobs" / name[:2] / f"{name}.erased").write_text("é" * 64)


def lose_the_head(folder: Path) -> None:
    (folder / "head.json").unlink()


def insert_a_blank_line(folder: Path) -> None:
    those = lines(folder)
    put(folder, [*those[:2], b"\n", *those[2:]])


TAMPERINGS = [
    flip_in_line, flip_in_payload, blank_a_payload, take_out_a_payload, flip_in_blob,
    flip_in_stream, rewrite_one, rewrite_canonically, rewrite_the_last, forge_a_seal,
    take_off_a_seal, add_one, add_one_without_a_seal, take_one_of_another_session, drop_one,
    drop_the_first, cut_the_last, cut_all, swap_two, double_one, tear_the_last,
    tear_a_written_line, lose_a_blob, forge_an_erasure, forge_the_head,
    forge_the_head_canonically, lose_the_head, insert_a_blank_line,
    take_the_log_of_another_session, take_the_head_of_another_session,
    number_one_beyond_all_numbers, put_half_of_a_character_in, spoil_the_heads_seal,
    spoil_a_mark_of_erasure,
]  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_a_log_that_was_touched_is_not_called_whole(
    six: Path, tamper: Callable[[Path], None]
) -> None:
    tamper(six)
    found = verify(six, key=KEY)
    assert not found.whole
    assert found.findings


@pytest.mark.parametrize("position", range(0, 2000, 37))
def test_no_flipped_bit_of_the_log_goes_unseen(six: Path, position: int) -> None:
    data = bytearray((six / "log.jsonl").read_bytes())
    data[position % len(data)] ^= 1
    (six / "log.jsonl").write_bytes(data)
    assert not verify(six, key=KEY).whole


def test_a_log_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(LogUnreadable, match="cannot be read"):
        verify(tmp_path / "nothing", key=KEY)
    with pytest.raises(LogUnreadable, match="cannot be opened"):
        SessionLog.open(tmp_path / "nothing", key=KEY, mask=unmasked)


def test_without_the_key_the_seal_is_said_to_be_unchecked(six: Path) -> None:
    found = verify(six, key=None)
    assert found.whole
    assert "not checked" in found.findings[0]


def test_a_crash_right_after_a_record_leaves_a_whole_log_that_says_so(six: Path) -> None:
    head = (six / "head.json").read_bytes()
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        log.append(Noticed(text="the last before the crash"))
    (six / "head.json").write_bytes(head)

    found = verify(six, key=KEY)
    assert found.whole
    assert "1 ahead" in found.findings[0]
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        assert log.append(Noticed(text="on we go")).seq == 7
    assert verify(six, key=KEY).findings == ()


def test_a_torn_last_line_is_cut_off_and_a_record_says_so(six: Path) -> None:
    tear_the_last(six)
    with SessionLog.open(six, key=KEY, mask=unmasked):
        pass
    assert verify(six, key=KEY).whole
    last = list(read(six))[-1][1]
    assert isinstance(last, Noticed)
    assert "17 bytes" in last.text


@pytest.mark.parametrize(
    "tamper", [t for t in TAMPERINGS if t.__name__ not in {
        "tear_the_last", "flip_in_blob", "flip_in_stream", "lose_a_blob", "forge_an_erasure",
        "spoil_a_mark_of_erasure",
        "flip_in_payload", "blank_a_payload", "take_out_a_payload"}]
)  # fmt: skip
def test_a_broken_chain_is_not_gone_on_with(six: Path, tamper: Callable[[Path], None]) -> None:
    tamper(six)
    with pytest.raises(LogError):
        SessionLog.open(six, key=KEY, mask=unmasked)


def test_another_sessions_key_does_not_open_the_log(six: Path) -> None:
    with pytest.raises(LogError, match="not this session's"):
        SessionLog.open(six, key=b"another", mask=unmasked)


def test_only_one_process_writes_at_a_time(six: Path) -> None:
    with (
        SessionLog.open(six, key=KEY, mask=unmasked),
        pytest.raises(LogError, match="another process"),
    ):
        SessionLog.open(six, key=KEY, mask=unmasked)
    with pytest.raises(LogError, match="holds a log already"):
        new_log(six)


def test_no_secret_of_a_record_or_a_blob_reaches_the_disk(tmp_path: Path) -> None:
    masks = Masks(KEY)
    secret = sample("token")
    action = Action(
        session_id="s1", step=0, index=0, tool="shell", request=ShellRequest(command=f"x {secret}")
    )
    with new_log(tmp_path / "s1", mask=lambda d: masks.mask_json(d, ALL_KINDS)) as log:
        log.append(ActionJudged(action=action, verdict=Verdict(decision="allow", rule="r")))
        written = log.append(SessionEnded(result={"deep": [{secret: ["a", secret]}]}))
        kept = log.read_blob(log.blob(f"out: {secret}\n".encode() + b"\xff\xfe"))
    assert kept.endswith(b"\xff\xfe")
    assert [record for _, record in read(tmp_path / "s1")][-1] == written.record
    assert secret not in written.payload
    for path in (tmp_path / "s1").rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes()
    assert verify(tmp_path / "s1", key=KEY).whole


@pytest.mark.parametrize("value", [2**53, -(2**70), float("inf"), "\ud800", {"\udfff": 1.5}, [[]]])
def test_what_json_has_no_form_for_is_written_as_text(tmp_path: Path, value: object) -> None:
    with new_log(tmp_path / "s1") as log:
        log.append(SessionEnded(result={"value": value}))
    assert len(list(read(tmp_path / "s1"))) == 1
    assert verify(tmp_path / "s1", key=KEY).whole


@pytest.mark.parametrize("number", [1, 3])
def test_an_erased_payload_leaves_the_chain_whole_and_is_said(six: Path, number: int) -> None:
    name = json.loads(lines(six)[number])["digest"]
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        log.erase(name, reason="asked for")
        with pytest.raises(LogError, match="cannot be read"):
            log.read_blob(name)
        with pytest.raises(LogError, match="another process"):
            SessionLog.open(six, key=KEY, mask=unmasked)
        log.append(Noticed(text="goes on"))
    found = verify(six, key=KEY)
    assert found.whole
    assert found.records == 9
    records = [record for _, record in read(six)]
    assert "was erased" in records[number].model_dump()["text"]
    assert "asked for" in records[-3].model_dump()["text"]
    assert f"{name} was erased" in records[-2].model_dump()["text"]
    for path in six.rglob("*"):
        assert path.is_dir() or f"number {number}".encode() not in path.read_bytes()


def test_a_file_that_an_erasure_replaced_is_not_written_on(six: Path) -> None:
    old = os.open(six / "log.jsonl", os.O_RDWR | os.O_APPEND)
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        log.erase(json.loads(lines(six)[3])["digest"], reason="asked for")
    with pytest.raises(LogError, match="another process"):
        log_files.lock(old, six / "log.jsonl")


def test_a_blob_that_was_changed_is_not_handed_out(six: Path) -> None:
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        name = log.blob(b"something")
        (six / "blobs" / name[:2] / name).write_bytes(b"something else")
        with pytest.raises(LogError, match="was changed"):
            log.read_blob(name)
        assert log.read_blob(log.blob(b"something")) == b"something"


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "ab", "Z" * 64, "a" * 63 + "/"])
def test_a_name_that_is_no_digest_leads_nowhere(six: Path, name: str) -> None:
    with (
        SessionLog.open(six, key=KEY, mask=unmasked) as log,
        pytest.raises(LogError, match="names no payload"),
    ):
        log.read_blob(name)


@pytest.mark.parametrize("erased", [0, 1])
def test_a_full_disk_is_an_error_and_leaves_the_log_whole(tmp_path: Path, erased: int) -> None:
    """A limit on the size of files stands for a full disk: the kernel refuses the same write."""
    folder = tmp_path / "s1"
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        status = 1
        try:
            log = new_log(folder)
            for number in range(3):
                log.append(Said(step=number, text="x"))
            for line in lines(folder)[:erased]:
                log.erase(json.loads(line)["digest"], reason="asked for")
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(b"".join(lines(folder))) + 50,) * 2)
            try:
                log.append(Said(step=9, text="x"))
            except LogError as error:
                status = 0 if "cannot be written" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert verify(folder, key=KEY).whole
    assert verify(folder, key=KEY).records == 3 + 2 * erased


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from policies.log import SessionLog
from policies.record import Said
log = SessionLog.create(Path(sys.argv[1]), key=sys.argv[2].encode(), mask=lambda d: d)
for step in range(100000):
    log.append(Said(step=step, text="x" * 3000))
    print(step, flush=True)
"""


@pytest.mark.parametrize("after", [1, 4, 9])
def test_every_record_that_was_said_to_be_written_outlives_kill_9(
    tmp_path: Path, after: int
) -> None:
    folder = tmp_path / "s1"
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, folder, KEY.decode()],
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        for _ in range(after):
            said = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
    with SessionLog.open(folder, key=KEY, mask=unmasked) as log:
        log.append(Noticed(text="after the crash"))
    found = verify(folder, key=KEY)
    assert found.whole, found
    assert [r.step for _, r in read(folder) if isinstance(r, Said)][: said + 1] == list(
        range(said + 1)
    )


def test_records_that_are_followed_are_ahead_of_the_head_until_another_comes(
    tmp_path: Path,
) -> None:
    with new_log(tmp_path / "s1") as log:
        log.append(Noticed(text="lasts"))
        log.append(StepTaken(step=1, node="plan"))
        log.append(Said(step=1, text="on the way"))
        found = verify(tmp_path / "s1", key=KEY)
        assert found.whole
        assert "2 ahead of the head" in found.findings[0]
        log.append(Noticed(text="lasts too"))
        assert verify(tmp_path / "s1", key=KEY).findings == ()
        log.append(Said(step=1, text="the last"))
    assert verify(tmp_path / "s1", key=KEY).findings == ()


@pytest.mark.parametrize("followed", [0, 1, 3])
def test_a_crash_before_what_follows_leaves_a_log_that_opens(tmp_path: Path, followed: int) -> None:
    folder = tmp_path / "s1"
    child = os.fork()
    if child == 0:
        log = new_log(folder)
        log.append(Noticed(text="lasts"))
        for number in range(followed):
            log.append(Said(step=number, text="on the way"))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert verify(folder, key=KEY).whole
    with SessionLog.open(folder, key=KEY, mask=unmasked) as log:
        assert log.append(Noticed(text="goes on")).seq == 1 + followed
    assert verify(folder, key=KEY).findings == ()


def test_a_loss_of_power_that_takes_the_head_back_costs_no_record(six: Path) -> None:
    head = (six / "head.json").read_bytes()
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        for number in range(3):
            log.append(done(f"{number}"))
    (six / "head.json").write_bytes(head)

    found = verify(six, key=KEY)
    assert found.whole
    assert "3 ahead" in found.findings[0]
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        assert log.append(Noticed(text="on we go")).seq == 9
    assert verify(six, key=KEY).findings == ()


def test_what_a_loss_of_power_spoils_behind_the_head_is_cut_off(six: Path) -> None:
    head = (six / "head.json").read_bytes()
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        log.append(done("came to the disk"))
        log.append(Said(step=6, text="never came to the disk"))
        log.append(Noticed(text="came to the disk, but not in time"))
    (six / "head.json").write_bytes(head)
    those = lines(six)
    put(six, [*those[:7], b"\0" * len(those[7]), those[8]])

    assert not verify(six, key=KEY).whole
    with SessionLog.open(six, key=KEY, mask=unmasked):
        pass
    assert verify(six, key=KEY).whole
    assert [e.kind for e, _ in read(six)][5:] == ["action_done", "action_done", "noticed"]


def test_nothing_unsealed_is_added_behind_a_head_of_this_format(tmp_path: Path) -> None:
    with new_log(tmp_path / "s1") as log:
        log.append(done("to be replaced"))
        first_head = seal_head("s1", -1, log_format.FIRST_PREV, key=KEY)
    (line,) = lines(tmp_path / "s1")
    put(tmp_path / "s1", [changed(rewritten(line, v=2, actor="somebody"), seal=None)])
    (tmp_path / "s1" / "head.json").write_bytes(first_head)

    assert "were added" in verify(tmp_path / "s1", key=KEY).findings[0]
    with pytest.raises(LogError, match="does not end where its head says"):
        SessionLog.open(tmp_path / "s1", key=KEY, mask=unmasked)


def test_a_line_that_outlasted_others_and_is_spoiled_is_not_cut_off(six: Path) -> None:
    head = (six / "head.json").read_bytes()
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        for number in range(4):
            log.append(done(f"{number}"))
    (six / "head.json").write_bytes(head)
    those = lines(six)
    put(six, [*those[:6], b"\0" * len(those[6]), *those[7:]])

    assert not verify(six, key=KEY).whole
    with pytest.raises(LogError, match="line 7 is no record"):
        SessionLog.open(six, key=KEY, mask=unmasked)


def test_what_a_resume_cuts_off_is_not_read_before_it_either(six: Path) -> None:
    put(six, [*lines(six), b"\0" * 40 + b"\n"])
    assert len(list(read(six))) == 6


def test_a_record_that_its_mask_breaks_is_not_written(tmp_path: Path) -> None:
    def mask(data: Any) -> Any:
        return data | {"type": "masked"} if data.get("text") == "secret" else data

    with new_log(tmp_path / "s1", mask=mask) as log:
        with pytest.raises(LogError, match="once it is masked"):
            log.append(Noticed(text="secret"))
        assert log.append(Noticed(text="goes on")).seq == 0
    assert verify(tmp_path / "s1", key=KEY).whole
    assert len(list(read(tmp_path / "s1"))) == 1


@pytest.mark.parametrize("at", ["fdatasync", "pwrite"])
def test_a_record_whose_writing_was_interrupted_is_followed_by_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with new_log(tmp_path / "s1") as log:
        log.append(done("before"))
        with monkeypatch.context() as patch:
            patch.setattr(os, at, interrupted)
            with pytest.raises(KeyboardInterrupt):
                log.append(done("interrupted"))
        with pytest.raises(LogError, match="interrupted"):
            log.append(done("after"))
    with SessionLog.open(tmp_path / "s1", key=KEY, mask=unmasked) as log:
        assert log.append(done("after")).seq == 2
    assert verify(tmp_path / "s1", key=KEY).whole


def test_an_erasure_that_fails_late_loses_no_record(
    six: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(folder: Path) -> None:
        if folder == six:
            raise OSError(24, "too many open files")

    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        name = json.loads(lines(six)[3])["digest"]
        with monkeypatch.context() as patch:
            patch.setattr("policies.log.sync_folder", fails)
            with pytest.raises(LogError):
                log.erase(name, reason="asked for")
        log.append(done("after"))
    assert verify(six, key=KEY).whole
    assert [e.kind for e, _ in read(six)][-1] == "action_done"


def test_an_opening_that_fails_lets_go_of_the_log(
    six: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        with pytest.raises(LogError, match="cannot be written"):
            SessionLog.open(six, key=KEY, mask=unmasked)
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        assert log.append(Noticed(text="goes on")).seq == 6


def test_whoever_looks_whether_a_log_is_written_keeps_none_from_writing_it(six: Path) -> None:
    looking = os.open(six / "log.jsonl", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.03, os.close, (looking,)).start()
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        assert log.append(Noticed(text="goes on")).seq == 6


def test_a_log_is_whole_while_it_is_written(tmp_path: Path) -> None:
    end = threading.Event()

    def write() -> None:
        with new_log(tmp_path / "s1") as log:
            log.append(done("first"))
            begun.set()
            while not end.is_set():
                log.append(done("more"))

    begun = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(30)
    try:
        for _ in range(20):
            found = verify(tmp_path / "s1", key=KEY)
            # The last line may be under way.
            assert found.whole or "torn" in found.findings[0], found
    finally:
        end.set()
        writer.join()


@pytest.mark.parametrize("old_head", [False, True])
def test_a_record_that_was_added_without_the_key_is_neither_whole_nor_cut_off(
    six: Path, old_head: bool
) -> None:
    head = (six / "head.json").read_bytes()
    with SessionLog.open(six, key=KEY, mask=unmasked) as log:
        log.append(done("ours"))
    if old_head:
        (six / "head.json").write_bytes(head)
    add_one(six)

    assert "record 7 is forged" in verify(six, key=KEY).findings[0]
    with pytest.raises(LogError, match="holds a record with a forged seal"):
        SessionLog.open(six, key=KEY, mask=unmasked)


def test_a_closed_log_takes_no_more_records(six: Path) -> None:
    log = SessionLog.open(six, key=KEY, mask=unmasked)
    log.close()
    log.close()
    with pytest.raises(LogError, match="no more records"):
        log.append(Noticed(text="late"))


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_format_can_still_be_read_verified_and_gone_on_with(
    tmp_path: Path, version: int
) -> None:
    folder = tmp_path / "golden-session"
    shutil.copytree(GOLDEN / f"log-v{version}", folder)
    assert verify(folder, key=GOLDEN_KEY).findings == ()
    records = list(read(folder))
    assert {e.v for e, _ in records} == {version}
    assert [e.kind for e, _ in records] == [
        "session_started",
        "action_judged",
        "action_done",
        "said",
    ]
    assert parse_line(lines(folder)[0].rstrip()) == records[0][0]
    with SessionLog.open(folder, key=GOLDEN_KEY, mask=unmasked) as log:
        assert log.session_id == "golden-session"
        assert log.append(Noticed(text="goes on")).seq == 4
    assert verify(folder, key=GOLDEN_KEY).whole


FLAT = st.one_of(st.text(), st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.none())


@given(st.dictionaries(st.text("abcdefghijklmnopqrstuvwxyz_", max_size=8), FLAT, max_size=8))
def test_an_envelope_is_written_as_canonical_json(fields: dict[str, Any]) -> None:
    assert log_format.flat(fields) == log_format.canonical(fields)


PLAIN = st.recursive(
    FLAT | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@example({"\ue000": 1, "\U00010000": 2})
@given(PLAIN)
def test_the_quick_way_to_the_canonical_form_is_the_canonical_form(value: Any) -> None:
    value = log_format.plain(value)
    assert log_format.canonical(value) == rfc8785.dumps(value)
