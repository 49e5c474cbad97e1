"""The stateful interpreter: runs cells one after the other in one namespace that lives on.

Started by the supervisor as `PYTHON -I interpreter.py SETTINGS` with the task's own Python, so this
file imports nothing of ours. Before each cell it forks a frozen copy of itself; when a cell kills
the process (`os._exit`, a segfault, the memory limit, a loop deaf to interrupts) the supervisor
wakes the copy, which holds the state from before that cell.

What user code may break is kept out of its reach as far as one process can: everything used after
the first cell is bound to names of this module at the start, and the descriptors lie high.
What cannot be kept from it: its word is the cell's word, so nothing that counts rests on it.
"""

from __future__ import annotations

import ast
import io
import json
import linecache
import os
import signal
import socket
import sys
import threading
import traceback
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

_PACKET = 64 << 10
_VALUE_LIMIT = 64 << 10
_TEXT_LIMIT = 1 << 20
NULL, CHILDREN, CELLS, CALLS, OUT, ERR = range(900, 906)
"""Descriptors as the supervisor lays them."""

_compile, _exec, _eval, _repr, _isinstance = compile, exec, eval, repr, isinstance
_len, _str, _type, _bytes, _range, _max = len, str, type, bytes, range, max
_format = traceback.TracebackException
_encode, _decode = json.JSONEncoder().encode, json.JSONDecoder().decode
_fork, _exit, _getpid, _getppid = os.fork, os._exit, os.getpid, os.getppid
_kill, _waitpid, _fstat, _dup2 = os.kill, os.waitpid, os.fstat, os.dup2
_signal, _mask, _sigwait = signal.signal, signal.pthread_sigmask, signal.sigwait
_sigpending, _sigtimedwait = signal.sigpending, signal.sigtimedwait
_FileIO, _WNOHANG = io.FileIO, os.WNOHANG
_ignored, _interrupting = signal.SIG_IGN, signal.default_int_handler
_sources = linecache.cache
ALL_SIGNALS = signal.valid_signals()


def _send(peer: socket.socket, message: "Dict[str, Any]") -> None:
    data = _encode(message).encode("ascii")
    for at in _range(0, _len(data), _PACKET):
        last = b"\x01" if at + _PACKET >= _len(data) else b"\x00"
        peer.send(last + data[at : at + _PACKET])


def _receive(peer: socket.socket) -> "Dict[str, Any]":
    parts: List[bytes] = []
    while True:
        packet = peer.recv(_PACKET + 1)
        if not packet:
            _exit(0)
        parts.append(packet[1:])
        if packet[:1] == b"\x01":
            message: Dict[str, Any] = _decode(b"".join(parts).decode("ascii"))
            return message


def _cut(text: str, limit: int) -> str:
    half = limit // 2
    if _len(text) <= limit:
        return text
    return f"{text[:half]}\n[... {_len(text) - 2 * half} characters cut ...]\n{text[-half:]}"


def _shown(value: Any) -> "Optional[str]":
    if value is None:
        return None
    if _isinstance(value, (_str, _bytes)) and _len(value) > _VALUE_LIMIT:
        return f"{_repr(value[:_VALUE_LIMIT])}... ({_len(value)} in all)"
    return _cut(_str(_repr(value)), _VALUE_LIMIT)


class Tools:
    """The functions by which a cell asks the host for something: `tool` and its short forms."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self.renew()

    def renew(self) -> None:
        """Start anew in this process: a lock that a thread held over the fork is nobody's now."""
        self._lock = threading.Lock()
        self._owner = _getpid()
        self._number = 0

    def tool(self, name: str, **arguments: Any) -> Any:
        """Call one of the agent's tools; returns what it answers, raises when it says no."""
        if _getpid() != self._owner:
            raise RuntimeError("tools can be called by the interpreter only, not by its children")
        with self._lock:
            self._number += 1
            number = self._number
            _send(self._peer, {"t": "call", "n": number, "name": name, "arguments": arguments})
            while True:
                answer = _receive(self._peer)
                if answer["n"] == number:
                    break  # an older one answers a call that was interrupted
        if answer.get("error") is not None:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def shell(self, command: str, **more: Any) -> Any:
        """Run a shell command in the repository; returns its output as text."""
        return self.tool("shell", command=command, **more)

    def read(self, path: str, **more: Any) -> Any:
        """Read a file of the repository; returns its lines as text."""
        return self.tool("read", path=path, **more)

    def edit(self, path: str, old: str = "", new: str = "", operation: str = "replace") -> Any:
        """Replace the one occurrence of `old` in a file by `new`."""
        return self.tool("edit", operation=operation, path=path, old=old, new=new)

    def search(self, pattern: str, **more: Any) -> Any:
        """Search the repository for a regular expression; returns the matching lines as text."""
        return self.tool("search", pattern=pattern, **more)


class Interpreter:
    """The namespace and the loop around it."""

    def __init__(self, paths: List[str]) -> None:
        self._cells = socket.socket(fileno=CELLS)
        self._tools = Tools(socket.socket(fileno=CALLS))
        self._number = 0
        self._refused = -1
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        self._namespace = vars(module)
        for name in ("tool", "shell", "read", "edit", "search"):
            self._namespace[name] = getattr(self._tools, name)
        sys.path[:0] = paths
        sys.argv = [""]
        self._null, self._children = _fstat(NULL), _fstat(CHILDREN)

    def serve(self) -> None:
        """Run cells until the supervisor is gone."""
        me = _getpid()
        self._put_back_streams()
        _send(self._cells, {"t": "ready", "version": sys.version.split()[0]})
        while True:
            _signal(signal.SIGINT, _ignored)
            message = _receive(self._cells)
            copy, woken = self._freeze(me, message["id"])
            if woken:
                me = _getpid()
                self._tools.renew()
                _send(self._cells, {"t": "woke"})
                continue
            if copy is None:
                continue
            _send(self._cells, {"t": "frozen", "pid": copy, "id": message["id"]})
            answer = self._run(message["code"])
            if _getpid() != me:
                _exit(0)  # user code forked: this copy must never speak for the interpreter
            self._put_back_streams()
            self._collect()
            _send(self._cells, dict(answer, t="done", id=message["id"]))
            # Only now: had the answer not gone out, the copy would be needed.
            self._end_copy(copy)

    def _freeze(self, me: int, number: int) -> "Tuple[Optional[int], bool]":
        """Fork the frozen copy; (its pid, False) here, (None, True) in it once it was woken."""
        before = _mask(signal.SIG_SETMASK, ALL_SIGNALS)
        try:
            copy = self._fork_with_room()
        except OSError as error:
            _mask(signal.SIG_SETMASK, before)
            if number == self._refused:
                _exit(1)  # room was made and did not help: no cell can run in this process any more
            self._refused = number
            _send(self._cells, {"t": "full", "id": number, "error": _str(error)})
            return None, False
        if copy:
            _mask(signal.SIG_SETMASK, before)
            return copy, False
        while True:
            _sigwait([signal.SIGUSR1])
            if _getppid() != me:
                break  # else somebody else's signal: the interpreter still lives
        while _sigpending():
            _sigtimedwait(ALL_SIGNALS, 0)
        _mask(signal.SIG_SETMASK, before)
        return None, True

    def _fork_with_room(self) -> int:
        try:
            return _fork()
        except OSError:
            self._collect(most=0)
            return _fork()

    def _collect(self, most: int = 32) -> None:
        """Collect dead children that no cell waited for, where they are many: they count.

        Few are left alone, since whoever started them may still ask how they ended.
        """
        try:
            with _FileIO(f"/proc/self/task/{_getpid()}/children") as children:
                if _len(children.read().split()) > most:
                    while _waitpid(-1, _WNOHANG)[0]:
                        continue
        except OSError:
            return  # none is left, or the kernel does not say

    def _end_copy(self, copy: int) -> None:
        try:
            _kill(copy, signal.SIGKILL)
            _waitpid(copy, 0)
        except OSError:
            return  # the cell killed or collected it: nothing is left to end

    def _run(self, code: str) -> "Dict[str, Any]":
        self._number += 1
        name = f"<cell {self._number}>"
        _sources[name] = (_len(code), None, code.splitlines(keepends=True), name)
        try:
            try:
                _signal(signal.SIGINT, _interrupting)
                value = _shown(self._execute(code, name))
            finally:
                _signal(signal.SIGINT, _ignored)
        except SystemExit as error:
            _signal(signal.SIGINT, _ignored)
            status = error.code if _isinstance(error.code, int) else int(error.code is not None)
            return {"exit_code": status, "error": f"SystemExit: {error.code}"}
        except BaseException as error:
            _signal(signal.SIGINT, _ignored)
            interrupted = _isinstance(error, KeyboardInterrupt)
            return {"exit_code": 1, "error": _explain(error), "interrupted": interrupted}
        return {"exit_code": 0, "value": value}

    def _execute(self, code: str, name: str) -> Any:
        """Run a cell; the value of its last statement where that is an expression."""
        tree: Any = _compile(code, name, "exec", ast.PyCF_ONLY_AST, True)
        last = None
        if tree.body and _isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        _exec(_compile(tree, name, "exec", 0, True), self._namespace)
        if last is None:
            return None
        return _eval(_compile(last, name, "eval", 0, True), self._namespace)

    def _put_back_streams(self) -> None:
        """Undo what a cell did to 0, 1, 2 and to sys.std*; flush what it wrote."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:  # the stream is the cell's by now and may raise anything
                continue  # closed, replaced or broken: replaced below
        for fd, source, known in (
            (0, NULL, self._null),
            (1, CHILDREN, self._children),
            (2, CHILDREN, self._children),
        ):
            try:
                now = _fstat(fd)
                if (now.st_dev, now.st_ino) == (known.st_dev, known.st_ino):
                    continue
            except OSError:
                pass  # closed: it is laid anew
            _dup2(source, fd)
        for name, fd, mode in (("stdin", 0, "r"), ("stdout", OUT, "w"), ("stderr", ERR, "w")):
            stream = _stream(fd, mode)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _explain(error: BaseException) -> str:
    """Traceback from the cell's first line on."""
    try:
        tb = error.__traceback__
        while tb is not None and not tb.tb_frame.f_code.co_filename.startswith("<cell "):
            tb = tb.tb_next
        told = _format(_type(error), error, tb)
        told.stack[:] = [frame for frame in told.stack if frame.filename != __file__]
        return _cut("".join(told.format()), _TEXT_LIMIT)
    except BaseException:  # the exception is the cell's, and its text may raise anything
        return f"{_type(error).__name__} (its text could not be had)"


_Text, _Writer = io.TextIOWrapper, io.BufferedWriter


def _stream(fd: int, mode: str) -> Any:
    raw = _FileIO(fd, mode, closefd=False)
    if mode == "r":
        return _Text(io.BufferedReader(raw), "utf-8", "replace")
    return _Text(_Writer(raw), "utf-8", "backslashreplace", line_buffering=True)


def main() -> None:
    """Lay the descriptors out of the children's reach, then serve."""
    settings = _decode(sys.argv[1])
    for fd in range(900, 906):
        os.set_inheritable(fd, False)
    # Our code is not the cell's `__main__`: warnings about it (such as fork with threads) are not
    # the cell's to see.
    globals()["__name__"] = "_interpreter"
    Interpreter(settings["paths"]).serve()


_run_main: "Callable[[], None]" = main
if __name__ == "__main__":
    _run_main()
