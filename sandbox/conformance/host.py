"""Rows: what comes out of a sandbox, and what the host does with it. The host runs nothing of it."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from sandbox.applying import apply_to_tree
from sandbox.base import Base
from sandbox.channel import Channel
from sandbox.conformance.row import Arena, Broken, Row, judged
from sandbox.errors import SandboxError, SandboxLost
from sandbox.workspace import capture

_TERMINAL = r"\033[2J\033]0;t\007\033]52;c;cm0=\007[bold red]x[/] \r\nOK\302\233\342\200\256\n"
_HOOKS = (
    "pre-commit",
    "post-checkout",
    "pre-applypatch",
    "post-index-change",
    "fsmonitor-watchman",
)
_CONFIG = """[core]
\trepositoryformatversion = 0
\tfsmonitor = touch {mark}
\thooksPath = hooks
\tpager = touch {mark}
[filter "evil"]
\tclean = touch {mark}
\tsmudge = touch {mark}
\trequired = true
[diff "evil"]
\tcommand = touch {mark}
\ttextconv = touch {mark}
[include]
\tpath = more
"""
_NEW = "diff --git a/{0} b/{0}\nnew file mode {1}\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+{2}\n"
_LEAVING = (
    *(_NEW.format(name, "100644", "x") for name in ("../x", "/etc/x", ".git/hooks/x", "a/.GIT/x")),
    _NEW.format("way", "120000", "..\n\\ No newline at end of file")
    + _NEW.format("way/x", "100644", "x"),
    _NEW.format("out/x", "100644", "x"),  # `out` is a link in the tree
)


_CHANGE_STORE = """
import json, zlib
with open("/store/seen", "r+b") as seen:
    data = seen.read()
    files = json.loads(zlib.decompress(data[1:]) if data[:1] == b"z" else data[1:])
    files["file"][1] = "../../secret"
    seen.seek(0); seen.truncate(); seen.write(b"=" + json.dumps(files).encode())
"""


def _frame(body: bytes) -> bytes:
    return struct.pack(">II", 4 + len(body), len(body)) + body


_NO_FRAMES = (
    b"\xff\xff\xff\xff\x00\x00\x00\x02{}",
    b"\x00\x00\x00\x06\x00\x00\x00\x09{}",
    b"OK: all tests passed\n",
    *map(_frame, (b"{x", b"[]", b"\xff", b"[" * 100_000, b'{"attached": 5}')),
    *map(_frame, (b'{"attached": [["a", -9]]}', b'{"attached": [["a", 9]]}', b'{"attached": [1]}')),
)


@dataclass
class _Said:
    """A stream on which these bytes come, and then the end."""

    data: bytes
    stderr: str = ""

    def send(self, data: bytes) -> None:
        """Nobody reads it."""

    def receive(self, timeout_s: float) -> bytes:
        """What came next."""
        del timeout_s
        said, self.data = self.data, b""
        return said

    def close(self) -> None:
        """There is nothing to close."""


def _terminal(arena: Arena) -> list[str]:
    """Control bytes arrive as they are, so that the one cleaner before a screen sees them."""
    outcome = arena.shell(f"printf '{_TERMINAL}'")
    expected = _TERMINAL.encode().decode("unicode_escape").encode("latin-1").decode()
    if outcome.stdout != expected:
        raise Broken(f"{outcome.stdout!r} came, not {expected!r}")
    return list(outcome.notes)


def _hostile_tree(root: Path, mark: Path) -> None:
    """A tree with git settings at the top, in a nested and in a hidden bare repository."""
    for folder in (root / ".git", root / "nested" / ".git", root / "bare"):
        (folder / "hooks").mkdir(parents=True)
        for name in ("objects", "refs"):
            (folder / name).mkdir()
        (folder / "HEAD").write_text("ref: refs/heads/main\n")
        (folder / "config").write_text(_CONFIG.format(mark=mark))
        (folder / "more").write_text(f"[core]\n\tsshCommand = touch {mark}\n")
        for hook in _HOOKS:
            (folder / "hooks" / hook).write_text(f"#!/bin/sh\ntouch {mark}\n")
            (folder / "hooks" / hook).chmod(0o755)
    (root / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (root / "code.py").write_text("x = 1\n")
    (root / "out").symlink_to("..")


def _hostile_git(arena: Arena) -> list[str]:
    """A patch of a tree whose git settings run programs is laid, and none of them runs."""
    tree, mark = arena.folder / "tree", arena.folder / "ran"
    _hostile_tree(tree, mark)
    base = capture(tree, arena.folder / "tree.tar")
    arena.sandbox.put(arena.folder / "tree.tar")
    start = arena.sandbox.snapshot()
    outcome = arena.shell("echo 'x = 2' > code.py; echo y > bare/new; chmod +x code.py")
    apply_to_tree(arena.sandbox.diff(start), base, arena.folder / "tree.tar", tree)
    if (tree / "code.py").read_text() != "x = 2\n":
        raise Broken("the patch did not arrive as the file was")
    if mark.exists():
        raise Broken("a program of the tree's git settings ran on the host")
    return list(outcome.notes)


def _patches(arena: Arena) -> list[str]:
    """A patch that writes outside of the tree, into git's folder or beyond a link is refused."""
    tree = arena.folder / "tree"
    _hostile_tree(tree, arena.folder / "ran")
    base = capture(tree, arena.folder / "tree.tar")
    before = _names(arena.folder)
    for patch in _LEAVING:
        for known in (base, Base.of({}, ())):
            with contextlib.suppress(SandboxError):
                apply_to_tree(patch, known, arena.folder / "tree.tar", tree)
                raise Broken(f"this was taken: {patch[:60]!r}")
    if _names(arena.folder) != before:
        raise Broken(f"files were made: {sorted(_names(arena.folder) - before)}")
    return []


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _frames(arena: Arena) -> list[str]:
    """What is no frame ends the stream with an error that the host knows."""
    del arena
    for data in _NO_FRAMES:
        try:
            said = Channel(_Said(data)).receive(1)
        except SandboxLost:
            continue
        except Exception as error:
            raise Broken(f"{data[:40]!r} gave {type(error).__name__}: {error}") from error
        raise Broken(f"{data[:40]!r} was taken as {said}")
    return []


def _archive(path: Path) -> None:
    """Every entry that leaves the folder it is unpacked in, or is more than a file."""
    made = tarfile.TarInfo
    links = {"away": "/", "way": "..", "journeyman": "/journeyman"}
    files = ("../x", "/usr/x", "away/usr/x", "way/x", "journeyman/x", "twice/x", ".git/hooks/x")
    with tarfile.open(path, "w") as tar:
        for name, target in links.items():
            link = made(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        for name, kind in (("device", tarfile.CHRTYPE), ("pipe", tarfile.FIFOTYPE)):
            special = made(name)
            special.type, special.devmajor, special.devminor = kind, 1, 1
            with contextlib.suppress(tarfile.TarError):
                tar.addfile(special)
        for name in files:
            file = made(name)
            file.size, file.mode = 1, 0o6755
            tar.addfile(file, BytesIO(b"x"))


def _tricks(arena: Arena) -> list[str]:
    """An archive of such entries stays in the sandbox: what it may not write there, it does not."""
    archive = arena.folder / "tricks.tar"
    _archive(archive)
    with contextlib.suppress(SandboxError):
        arena.sandbox.put(archive)
    with contextlib.suppress(SandboxError):
        arena.sandbox.adopt(archive)
    outcome = arena.shell(
        "for f in /usr/x /x /journeyman/x; do [ -e $f ] && echo BROKEN $f; done; "
        "find /workspace /tmp -type b -o -type c | sed 's/^/BROKEN /'"
    )
    return judged(outcome, (), "BROKEN")


def _digests(arena: Arena) -> list[str]:
    """What comes out as a digest is one: the host finds kept contents by it."""
    arena.shell("echo x > file")
    start = arena.sandbox.snapshot()
    arena.shell("echo y > file; sleep 0.1")
    arena.sandbox.snapshot()
    tried = arena.cell(_CHANGE_STORE)
    try:
        changed = arena.sandbox.changes(start).changed
    except SandboxLost:
        raise
    except SandboxError:
        return list(tried.notes)
    if changed["file"][1] != hashlib.sha256(b"y\n").hexdigest():
        raise Broken(f"{changed['file'][1]!r} came out as a digest")
    return list(tried.notes)


ROWS = (
    Row(45, "terminal codes", _terminal),
    Row(63, "git settings of the tree", _hostile_git),
    Row(64, "patches that leave the tree", _patches),
    Row(65, "forged frames", _frames),
    Row(66, "archives that leave their folder", _tricks),
    Row(67, "digests that are paths", _digests),
)
