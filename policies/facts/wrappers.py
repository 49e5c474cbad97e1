"""Programs that run another program: what is left when they are taken off.

One line a program: its short options that take a value, its long ones that do, and how many
operands stand before the program that it runs. An option that is not known is doubted: it may
swallow what looks like the program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from policies.facts.words import Word


@dataclass(frozen=True, slots=True)
class Wrapper:
    """How a wrapper's own arguments end.

    Attributes:
        short: Short options that take a value.
        flags: Short options that take none.
        long: Long options that take a value.
        long_flags: Long options that take none, or one behind `=`.
        operands: Words before the program.
        text: Its operands are one text of commands (`watch`, `su -c` by `text_options`).
        text_options: Options whose value is a text of commands.
        files: Of the options with a value those that name a file which is read.
        everyday: Nothing against it by itself.
    """

    short: str = ""
    flags: str = ""
    long: tuple[str, ...] = ()
    long_flags: tuple[str, ...] = ()
    operands: int = 0
    text: bool = False
    text_options: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    everyday: bool = False


WRAPPERS = {
    "env": Wrapper(
        "uC",
        "iv0",
        ("unset", "chdir"),
        ("ignore-environment", "null"),
        text_options=("-S", "--split-string"),
        everyday=True,
    ),
    "timeout": Wrapper(
        "ks",
        "v",
        ("kill-after", "signal"),
        ("foreground", "preserve-status", "verbose"),
        operands=1,
        everyday=True,
    ),
    "nice": Wrapper("n", "0123456789", ("adjustment",), everyday=True),
    "nohup": Wrapper(),
    "setsid": Wrapper("", "cfw", (), ("ctty", "fork", "wait")),
    "stdbuf": Wrapper("ioe", "", ("input", "output", "error"), everyday=True),
    "ionice": Wrapper("cnpP", "t", ("class", "classdata"), ("ignore",), everyday=True),
    "chrt": Wrapper("TPD", "bfirodR", operands=1),
    "taskset": Wrapper("p", "ac", operands=1),
    "time": Wrapper(
        "fo", "apv", ("format", "output"), ("portability", "verbose", "append"), everyday=True
    ),
    "xargs": Wrapper(
        "adEILnPs",
        "0rtpxo",
        ("arg-file", "delimiter", "max-args", "max-procs", "max-lines", "max-chars", "replace"),
        ("null", "no-run-if-empty", "verbose", "interactive"),
        files=("a", "arg-file"),
        everyday=True,
    ),
    "command": Wrapper("", "pvV", everyday=True),
    "builtin": Wrapper(everyday=True),
    "exec": Wrapper("a", "cl", everyday=True),
    "coproc": Wrapper(),
    "busybox": Wrapper(),
    "toybox": Wrapper(),
    "sudo": Wrapper(
        "ugpCDhRrTtU",
        "AbEeHiKklnPSsVv",
        ("user", "group", "prompt", "chdir", "host"),
        ("non-interactive", "preserve-env", "login", "set-home", "stdin", "askpass", "background"),
    ),
    "doas": Wrapper("uC", "Lns"),
    "pkexec": Wrapper("", "", ("user",), ("disable-internal-agent",)),
    "su": Wrapper(
        "gGsw",
        "lmpPf",
        ("group", "shell"),
        ("login",),
        text_options=("-c", "--command"),
        operands=1,
    ),
    "runuser": Wrapper("ugG", "lmp", text_options=("-c", "--command")),
    "chroot": Wrapper("", "", ("groups", "userspec"), operands=1),
    "unshare": Wrapper(
        "SGR",
        "muinpUCTfr",
        ("root", "wd"),
        ("fork", "map-root-user", "mount", "net", "pid", "user"),
    ),
    "nsenter": Wrapper("tSG", "amuinpUCT", ("target",), ("all",)),
    "setarch": Wrapper("", "RBFILSTXZv", operands=1),
    "linux32": Wrapper("", "R"),
    "linux64": Wrapper("", "R"),
    "strace": Wrapper("aeoOPpsSuXEI", "cCdfFhiknqrtTvVwxyz"),
    "ltrace": Wrapper("aelnopsuxAD", "bcCfhiLrStTV"),
    "flock": Wrapper(
        "wE",
        "enosuxF",
        ("timeout", "conflict-exit-code"),
        ("nonblock", "shared", "exclusive", "close", "no-fork", "unlock"),
        operands=1,
        text_options=("-c", "--command"),
    ),
    "watch": Wrapper(
        "ndq",
        "bcegtwxC",
        ("interval", "equexit"),
        ("differences", "no-title", "exec", "color", "beep", "errexit", "chgexit"),
        text=True,
    ),
    "parallel": Wrapper(
        "jNnLPSaIX",
        "kqtvmr0",
        ("jobs", "arg-file", "colsep", "delay", "timeout"),
        ("keep-order", "bar", "dry-run"),
        text=True,
        files=("a", "arg-file"),
    ),
    "script": Wrapper("EmoTIOBl", "aefqV", text_options=("-c", "--command")),
    "start-stop-daemon": Wrapper(
        "pxnugrdNPIks",
        "SKTHbmtvqoC",
        ("pidfile", "exec", "startas", "chuid", "chdir"),
        ("start", "background"),
    ),
    "systemd-run": Wrapper(
        "pEMu",
        "tPGqd",
        ("unit", "property", "on-calendar", "on-active", "setenv"),
        ("user", "scope", "pty", "wait", "collect"),
    ),
    "batch": Wrapper(),
    "unbuffer": Wrapper("", "p"),
    "chronic": Wrapper("", "ev"),
    "ts": Wrapper(),
    "ccache": Wrapper(),
    "xvfb-run": Wrapper("efnps", "al", ("server-args", "server-num"), ("auto-servernum",)),
    "fakeroot": Wrapper("lisb", "u"),
    "firejail": Wrapper(),
    "bwrap": Wrapper(),
    "prlimit": Wrapper("op"),
    "setpriv": Wrapper(),
    "capsh": Wrapper(),
    "catchsegv": Wrapper(),
    "valgrind": Wrapper("", "qv"),
    "dbus-run-session": Wrapper(),
    "ssh-agent": Wrapper("at", "cDdsk"),
    "torsocks": Wrapper(),
    "proxychains": Wrapper("f", "q"),
    "tmux": Wrapper("fLSc", "2CDluvN", text=True),
    "screen": Wrapper("cehprsStT", "adDimRUxX"),
    "uv": Wrapper(),
    "poetry": Wrapper(),
    "pipenv": Wrapper(),
    "pdm": Wrapper(),
    "hatch": Wrapper(),
}
_RUNNERS = frozenset({"uv", "poetry", "pipenv", "pdm", "hatch"})
"""They run another program by a word of their own: `poetry run pytest`."""


@dataclass
class Unwrapped:
    """What a wrapper runs.

    Attributes:
        inner: The program and its arguments; empty where it runs none.
        texts: Texts of commands that it runs.
        environment: Names of variables that it sets.
        doubts: What could not be made out.
        files: Files that it reads itself.
        folder: Where it goes first; None where it stays.
    """

    inner: list[Word] = field(default_factory=list)
    texts: list[Word] = field(default_factory=list)
    environment: list[Word] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    files: list[Word] = field(default_factory=list)
    folder: Word | None = None


def unwrap(name: str, arguments: list[Word]) -> Unwrapped:
    """Take a wrapper off its arguments."""
    wrapper = WRAPPERS[name]
    out = Unwrapped()
    if name in _RUNNERS:
        if arguments and arguments[0].text == "run":
            out.inner = arguments[1:]
            if out.inner and out.inner[0].text.startswith("-"):
                out.doubts.append(f"option of {name}")
        return out
    at = _options(name, wrapper, arguments, out)
    if name == "command" and any(
        a.text.startswith("-") and set(a.text) & set("vV") for a in arguments[:at]
    ):
        return out
    while name == "env" and at < len(arguments) and "=" in arguments[at].text.lstrip("-"):
        out.environment.append(arguments[at])
        at += 1
    rest = arguments[at:]
    if wrapper.text and rest:
        out.texts.append(_joined(rest))
        return out
    operands = wrapper.operands
    if out.texts and operands:
        return out
    # `flock FILE -c TEXT`: an option behind the operand.
    if len(rest) > operands and rest[operands].text in wrapper.text_options:
        out.texts += rest[operands + 1 : operands + 2]
        return out
    out.inner = rest[operands:]
    if len(rest) < operands:
        out.doubts.append(f"operands of {name}")
    return out


def _options(name: str, wrapper: Wrapper, arguments: list[Word], out: Unwrapped) -> int:
    """Go over the wrapper's own options; returns where they end."""
    at = 0
    while at < len(arguments):
        text = arguments[at].text
        if text == "--":
            return at + 1
        if not text.startswith("-") or text == "-":
            return at
        option, _, value = (
            text.partition("=") if text.startswith("--") else (text[:2], "", text[2:])
        )
        if option in wrapper.text_options:
            out.texts.append(Word(value) if value else _at(arguments, at + 1))
            at += 1 if value else 2
        elif option in {"-C", "--chdir", "-D"} and name in {"env", "sudo"}:
            out.folder = Word(value) if value else _at(arguments, at + 1)
            at += 1 if value else 2
        elif text.startswith("--"):
            at += _long(name, wrapper, (option[2:], value), _at(arguments, at + 1), out)
        else:
            at += _short(name, wrapper, text[1:], _at(arguments, at + 1), out)
    return at


def _at(arguments: list[Word], at: int) -> Word:
    return arguments[at] if at < len(arguments) else Word("")


def _long(
    name: str, wrapper: Wrapper, given: tuple[str, str], following: Word, out: Unwrapped
) -> int:
    option, value = given
    if known := next((k for k in wrapper.long if k.startswith(option)), ""):
        if known in wrapper.files:
            out.files.append(Word(value) if value else following)
        return 1 if value else 2
    if not any(known.startswith(option) for known in wrapper.long_flags):
        out.doubts.append(f"option of {name}")
    return 1


def _short(name: str, wrapper: Wrapper, cluster: str, following: Word, out: Unwrapped) -> int:
    for place, letter in enumerate(cluster):
        if letter in wrapper.short:
            value = cluster[place + 1 :]
            if letter in wrapper.files:
                out.files.append(Word(value) if value else following)
            return 1 if value else 2
        if letter not in wrapper.flags:
            out.doubts.append(f"option of {name}")
            return 1
    return 1


def _joined(parts: list[Word]) -> Word:
    text = " ".join(p.text for p in parts)
    # parallel's `:::` stands between a command and the arguments that are put behind it.
    return Word(re.sub(r" :::+ ", " ", text), harmless=all(p.known for p in parts))
