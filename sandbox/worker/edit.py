"""Verb `edit`: change one span of one file, and no byte outside it."""

from __future__ import annotations

import ast
import difflib
import os
import re
import tempfile
import textwrap
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from sandbox.worker.definitions import Definition, definition, parse
from sandbox.worker.files import Text, inside, is_python, line_at, lines_of, span_of_lines
from sandbox.worker.verbs import Context, VerbFailed

_SHOWN = 3
_AROUND = 2
_NEW_FILE_MODE = 0o644


class _Splice(NamedTuple):
    start: int
    end: int
    new: str


def run(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """Do `operation` (`replace`, `function`, `create`) at `path`.

    Returns:
        data: `path`, `line` (first line that changed), `removed` and `added` (numbers of lines),
        `start` and `now`: the first line of the place as it is now, and its text with a little
        around it.
    """
    operation, path = arguments["operation"], arguments["path"]
    old, new = arguments.get("old", ""), arguments.get("new", "")
    real = inside(context.workspace, path)
    if ".git" in os.path.relpath(real, os.path.realpath(context.workspace)).split(os.sep):
        raise VerbFailed(f"{path} belongs to git. Use the git tool.")
    if operation == "create":
        return _create(real, path, new)
    file = Text.read(real, path)
    if operation == "replace":
        splice = _find(file, path, old, new)
    elif operation == "function":
        splice = _find_definition(file, path, old, new)
    else:
        raise VerbFailed(f"There is no operation {operation!r}: replace, function or create.")
    text = file.text[: splice.start] + splice.new + file.text[splice.end :]
    if text == file.text:
        raise VerbFailed("Old and new are the same: nothing would change.")
    if is_python(path):
        _refuse_broken(file.text, text, path)
    _write(real, file.encode(text), os.stat(real).st_mode & 0o7777)
    removed = len(lines_of(file.text[splice.start : splice.end]))
    line = line_at(file.text, splice.start)
    return _done(path, text, line, removed, len(lines_of(splice.new)))


def _done(path: str, text: str, line: int, removed: int, added: int) -> "Dict[str, Any]":
    start = max(1, line - _AROUND)
    now = lines_of(text)[start - 1 : line - 1 + max(added, 1) + _AROUND]
    data = {
        "path": path,
        "line": line,
        "removed": removed,
        "added": added,
        "start": start,
        "now": "".join(now).replace("\r\n", "\n"),
    }
    return {"exit_code": 0, "data": data}


def _create(real: str, path: str, new: str) -> "Dict[str, Any]":
    if os.path.lexists(real):
        raise VerbFailed(f"{path} exists already. Use replace or function to change it.")
    if is_python(path):
        _refuse_broken(None, new, path)
    try:
        os.makedirs(os.path.dirname(real), exist_ok=True)
    except OSError as error:
        raise VerbFailed(f"No folder can be made for {path}: {error.strerror}.") from error
    _write(real, new.encode("utf-8"), _NEW_FILE_MODE)
    return _done(path, "", 1, 0, len(lines_of(new)))


def _write(real: str, data: bytes, mode: int) -> None:
    """Whole or not at all: a full file system must not cost the file."""
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(real), prefix=".edit-")
    except OSError as error:
        raise VerbFailed(f"It could not be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)
        os.replace(temporary, real)
    except OSError as error:
        os.unlink(temporary)
        raise VerbFailed(f"It could not be written: {error.strerror}.") from error


def _find(file: Text, path: str, old: str, new: str) -> _Splice:
    """The one place where `old` stands, whatever line ends the file has there."""
    wanted = old.replace("\r\n", "\n")
    if not wanted:
        raise VerbFailed("The text to be replaced is empty. Give it, or use create for a new file.")
    pattern = "\r?\n".join(re.escape(part) for part in wanted.split("\n"))
    # Looked for at every offset: places that overlap are several places, too.
    starts = [match.start() for match in re.finditer(f"(?={pattern})", file.text)]
    if not starts:
        raise VerbFailed(f"The text to be replaced is not in {path}.{_nearest(file.text, wanted)}")
    if len(starts) > 1:
        numbers = [line_at(file.text, start) for start in starts]
        raise VerbFailed(
            f"The text to be replaced is in {path} {len(starts)} times. Give more of the lines "
            f"around the one you mean.{_numbered(lines_of(file.text), numbers[:10])}"
        )
    match = re.compile(pattern).match(file.text, starts[0])
    if match is None:
        raise VerbFailed(f"The text to be replaced is not in {path}.")
    span = match.group()
    newline = file.newline
    if "\n" in span:
        newline = "\r\n" if "\r\n" in span else "\n"
    return _Splice(match.start(), match.end(), new.replace("\r\n", "\n").replace("\n", newline))


def _nearest(text: str, wanted: str) -> str:
    """Lines that look like the first line of what was wanted, with what differs if it is little."""
    lines = lines_of(text)
    first = next((line.strip() for line in wanted.split("\n") if line.strip()), "")
    stripped = [line.strip() for line in lines]
    numbers = [number for number, line in enumerate(stripped, 1) if first and line == first]
    if numbers:
        said = " Its first line is there, but the rest or the indentation differs:"
    else:
        close = difflib.get_close_matches(first, sorted(set(stripped)), n=_SHOWN, cutoff=0.5)
        numbers = sorted(stripped.index(line) + 1 for line in close)
        said = " Nearest lines:"
    if not numbers:
        return " No line looks like it. Read the file again."
    height = min(wanted.count("\n") + 1, 8)
    around = [n for number in numbers[:_SHOWN] for n in range(number, number + height)]
    return said + _numbered(lines, [n for n in dict.fromkeys(around) if n <= len(lines)])


def _numbered(lines: "List[str]", numbers: "List[int]") -> str:
    return "".join(f"\n{n:>6}  {lines[n - 1].rstrip()[:200]}" for n in numbers)


def _find_definition(file: Text, path: str, name: str, new: str) -> _Splice:
    """The definition called `name`, from its decorators (where the new one has some) to its end."""
    node = definition(file, path, name)
    body, decorated = _definition_text(new, name)
    lines = lines_of(file.text)
    first = node.lineno
    if decorated and node.decorator_list:
        first = min(decorator.lineno for decorator in node.decorator_list)
    start, end = span_of_lines(lines, first, node.end_lineno)
    definition_line = lines[node.lineno - 1]
    indent = definition_line[: len(definition_line) - len(definition_line.lstrip())]
    ending = lines[node.end_lineno - 1]
    last = ending[len(ending.rstrip("\r\n")) :]
    text = _indent(body, indent).replace("\n", file.newline)
    return _Splice(start, end, text + last)


def _definition_text(new: str, name: str) -> "Tuple[str, bool]":
    """A new definition at column 0, and whether it brings decorators."""
    body = textwrap.dedent(new.replace("\r\n", "\n")).strip("\n")
    tree, error = parse(body)
    if tree is None:
        raise VerbFailed(f"The new text of {name} does not parse ({error}). Nothing was changed.")
    statements = tree.body
    if not statements or not isinstance(statements[0], Definition):
        raise VerbFailed(f"The new text of {name} is no definition: start it with def or class.")
    return body, bool(statements[0].decorator_list)


def _indent(body: str, indent: str) -> str:
    """Indent by `indent`, but never inside a string that spans lines."""
    if not indent:
        return body
    within = _string_lines(body)
    return "\n".join(
        line if number in within or not line.strip() else indent + line
        for number, line in enumerate(body.split("\n"), 1)
    )


def _string_lines(body: str) -> "frozenset[int]":
    """Numbers of lines that begin inside a string which is not a docstring."""
    inside_string: Set[int] = set()
    tree, _ = parse(body)
    docstrings = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, Definition) and ast.get_docstring(node, clean=False) is not None:
            docstrings.add(id(node.body[0].value))  # type: ignore[attr-defined]  # a docstring is an Expr
    for node in ast.walk(tree) if tree else ():
        text = isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
        if (text or isinstance(node, ast.JoinedStr)) and id(node) not in docstrings:
            first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
            inside_string.update(range(first + 1, last + 1))
    return frozenset(inside_string)


def _refuse_broken(before: "Optional[str]", after: str, path: str) -> None:
    tree, error = parse(after)
    if tree is not None:
        return
    if before is None or parse(before)[0] is not None:
        lines = lines_of(after)
        number = int(error.split(":")[0].split()[1]) if error.startswith("line ") else 0
        around = [n for n in range(number - 2, number + 3) if 1 <= n <= len(lines)]
        raise VerbFailed(
            f"{path} would not parse any more ({error}). Nothing was changed. It would read:"
            f"{_numbered(lines, around)}"
        )
