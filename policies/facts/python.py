"""Facts of Python code, by its syntax: what it imports, opens, starts, and what it hides.

Text cannot tell what Python does: values come from files, loops and libraries. These facts are for
intent and for the log; force is the sandbox's.
"""

from __future__ import annotations

import ast
import re
from typing import Protocol

from policies.facts import constants
from policies.facts.collected import DEEPEST, Collected, TooDeep
from policies.facts.paths import UNKNOWN, classify, normal
from policies.facts.vocabulary import PythonFact
from policies.facts.words import Word
from policies.texts import names

LONGEST = 500_000
"""Characters of code that are looked through."""

_SPAWNS = re.compile(
    r"os\.(system|popen|spawn\w+|exec\w+|posix_spawnp?|fork|forkpty|startfile)|subprocess\.\w+|pty\.(spawn|fork)"
    r"|asyncio\.(create_subprocess_\w+|subprocess\.\w+)|commands\.\w+|pexpect\.\w+|sh\.\w+|_posixsubprocess\.\w+"
    r"|multiprocessing\.(Process|Pool)|popen2\.\w+"
)
_NOT_SPAWNS = frozenset(
    names(
        "subprocess.PIPE subprocess.DEVNULL subprocess.STDOUT subprocess.CalledProcessError "
        "subprocess.TimeoutExpired subprocess.CompletedProcess subprocess.SubprocessError "
        "subprocess.list2cmdline"
    )
)
_SOCKETS = re.compile(
    r"(socket|ssl|http\.client|http\.server|urllib\.request|urllib3|requests|httpx|aiohttp|smtplib|ftplib|poplib|imaplib|telnetlib"
    r"|paramiko|xmlrpc\.client|websockets?|asyncio\.(open_connection|start_server))(\.\w+)+"
)
_DYNAMIC = re.compile(
    r"(builtins\.)?(eval|exec|compile|__import__|globals|locals|vars)|importlib\.\w+|runpy\.\w+|imp\.\w+|code\.\w+|codeop\.\w+"
    r"|(c?pickle|marshal|shelve|dill|cloudpickle|joblib)\.(loads?|open|Unpickler)|yaml\.(load|unsafe_load|full_load)"
    r"|inspect\.(currentframe|stack)|sys\.(_getframe|settrace|setprofile|addaudithook)|gc\.get_\w+|types\.(FunctionType|CodeType)"
    r"|(ctypes|cffi|mmap|_ctypes|_posixsubprocess)(\.\w+)*|sqlite3\.\w+\.load_extension|timeit\.\w+|cProfile\.run"
    r"|atexit\.register|threading\.(Timer|Thread)|signal\.signal"
)
_NATIVE = frozenset({"ctypes", "cffi", "mmap", "_ctypes", "_posixsubprocess"})
_HIDDEN_NAMES = frozenset(
    names(
        "__subclasses__ __globals__ __builtins__ __code__ __closure__ __mro__ __bases__ "
        "__reduce__ f_globals f_locals f_back gi_frame tb_frame __loader__ __getattribute__"
    )
)
_FILES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        names(
            "open io.open io.open_code os.open codecs.open gzip.open bz2.open lzma.open "
            "linecache.getlines linecache.getline fileinput.input tokenize.open dotenv.load_dotenv "
            "dotenv.dotenv_values zipfile.ZipFile tarfile.open os.readlink sqlite3.connect "
            "configparser.ConfigParser().read"
        ),
        ("read",),
    ),
    **dict.fromkeys(
        ["os.remove", "os.unlink", "os.rmdir", "os.removedirs", "shutil.rmtree"], ("delete",)
    ),
    **dict.fromkeys(
        ["os.truncate", "os.chmod", "os.chown", "os.mkdir", "os.makedirs", "os.mknod", "os.mkfifo"],
        ("write",),
    ),
    **dict.fromkeys(
        ["os.listdir", "os.scandir", "os.walk", "glob.glob", "glob.iglob", "os.chdir"], ("list",)
    ),
    **dict.fromkeys(
        names(
            "shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.move os.rename "
            "os.replace os.renames os.symlink os.link"
        ),
        ("read", "write"),
    ),
}
_PATH_METHODS = {
    **dict.fromkeys(("read_text", "read_bytes", "open"), "read"),
    **dict.fromkeys(
        ("write_text", "write_bytes", "touch", "mkdir", "chmod", "symlink_to", "hardlink_to"),
        "write",
    ),
    **dict.fromkeys(("unlink", "rmdir"), "delete"),
    **dict.fromkeys(("iterdir", "glob", "rglob"), "list"),
    **dict.fromkeys(("rename", "replace"), "read"),
}
_READS_BY_NAME = re.compile(r"(?i)open|read|load|file|path|copy|parse|config|dotenv|glob")


class Runs(Protocol):
    """Who looks at the commands that Python code starts."""

    def run_text(self, text: str, *, context: str) -> None:
        """A text for a shell."""
        ...

    def run_words(self, argv: list[Word], *, context: str) -> None:
        """A program with its arguments."""
        ...


def read(code: str, collected: Collected, runs: Runs, *, depth: int = 0) -> None:
    """Put the facts of Python code into `collected`.

    Raises:
        TooDeep: Code lies within code deeper than is looked through.
        ValueError: It is too long.
    """
    if depth > DEEPEST:
        raise TooDeep(f"code within code, more than {DEEPEST} deep")
    if len(code) > LONGEST:
        raise ValueError(f"code of {len(code)} characters: more than {LONGEST}")
    try:
        tree = ast.parse(code)
    except (SyntaxError, RecursionError, MemoryError):
        collected.doubt("not-python")
        collected.python.append(PythonFact(parsed=False))
        return
    reader = _Reader(collected, runs, depth)
    reader.visit(tree)
    collected.python.append(
        PythonFact(
            imports=tuple(reader.imports),
            calls=tuple(reader.calls),
            spawns=tuple(reader.spawns),
            sockets=tuple(reader.sockets),
            dynamic=tuple(reader.dynamic),
            rebinds=tuple(reader.rebinds),
        )
    )


class _Reader:
    """Goes through the code in its order, so that constants are known where they are used."""

    def __init__(self, collected: Collected, runs: Runs, depth: int) -> None:
        self.collected, self.runs, self.depth = collected, runs, depth
        self.aliases: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.imports: dict[str, None] = {}
        self.calls: dict[str, None] = {}
        self.spawns: dict[str, None] = {}
        self.sockets: dict[str, None] = {}
        self.dynamic: dict[str, None] = {}
        self.rebinds: dict[str, None] = {}

    def visit(self, node: ast.AST) -> None:
        """Look at a node and all below it."""
        match node:
            case ast.Import():
                self._import(node)
            case ast.ImportFrom():
                self._import_from(node)
            case ast.Assign():
                self._assign(node)
            case ast.For():
                self._for(node)
            case ast.Name():
                self._name(node)
            case ast.Attribute():
                self._attribute(node)
            case ast.Call():
                self._call(node)
            case _:
                self._children(node)

    def _children(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self.visit(child)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._imported(alias.name)
            bound = alias.asname or alias.name.partition(".")[0]
            self.aliases[bound] = alias.name if alias.asname else bound

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        self._imported(module)
        for alias in node.names:
            if alias.name == "*" and module in set(
                names("os subprocess builtins importlib ctypes pty")
            ):
                self._hides(f"from {module} import *")
            self.aliases[alias.asname or alias.name] = f"{module}.{alias.name}"

    def _imported(self, module: str) -> None:
        self.imports[module] = None
        if module.partition(".")[0] in _NATIVE:
            self._hides(module)

    def _assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        text = constants.text_of(node.value, self.names, self.aliases)
        alias = constants.dotted(node.value, self.aliases)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._bind(target.id, text, alias)
            else:
                self._rebinds(target)
                self.visit(target)

    def _bind(self, name: str, text: str | None, alias: str) -> None:
        self.names.pop(name, None)
        self.aliases.pop(name, None)
        if text is not None:
            self.names[name] = text
        elif (alias and not alias.endswith("()")) or alias == "pathlib.Path()":
            self.aliases[name] = alias
        if name in {"open", "print", "eval", "exec", "compile", "input"}:
            self.rebinds[name] = None
            self.collected.doubt(f"rebinds {name}")

    def _rebinds(self, target: ast.expr) -> None:
        inner = target.value if isinstance(target, ast.Subscript) else target
        name = constants.dotted(inner, self.aliases)
        root = name.partition(".")[0]
        if (
            root in {"builtins", "sys", "os", "subprocess"}
            and name not in {"sys.path", "os.environ"}
            and "." in name
        ):
            self.rebinds[name] = None
            self.collected.doubt(f"rebinds {name}")
        if name == "os.environ":
            self.collected.doubt("sets the environment")

    def _for(self, node: ast.For) -> None:
        if isinstance(node.target, ast.Name):
            self.names.pop(node.target.id, None)
            self.aliases.pop(node.target.id, None)
        self._children(node)

    def _name(self, node: ast.Name) -> None:
        self._refers(self.aliases.get(node.id, node.id))

    def _attribute(self, node: ast.Attribute) -> None:
        name = constants.dotted(node, self.aliases)
        if node.attr in _HIDDEN_NAMES:
            self._hides(node.attr)
        if name:
            self._refers(name)
        inner: ast.expr = node.value
        while isinstance(inner, ast.Attribute):
            inner = inner.value
        if not isinstance(inner, ast.Name):
            self.visit(inner)

    def _refers(self, name: str) -> None:
        """A name that is used without being called here may be called elsewhere."""
        if _SPAWNS.fullmatch(name) and name not in _NOT_SPAWNS:
            self.spawns[name] = None
            self.collected.doubt(f"names {name}")
        elif _DYNAMIC.fullmatch(name):
            self._hides(name)

    def _hides(self, what: str) -> None:
        self.dynamic[what] = None
        self.collected.doubt(f"dynamic {what}")

    def _call(self, node: ast.Call) -> None:
        name = constants.dotted(node.func, self.aliases)
        if name:
            self.calls[name] = None
        if name and _SPAWNS.fullmatch(name) and name not in _NOT_SPAWNS:
            self.spawns[name] = None
            self._spawned(node)
        elif name and _SOCKETS.fullmatch(name):
            self.sockets[name] = None
        elif name in {"eval", "exec", "compile", "builtins.eval", "builtins.exec"}:
            self._evaluated(name, node)
        elif name in {"getattr", "setattr", "delattr"}:
            self._looked_up(name, node)
        else:
            self.visit(node.func)
            self._files(name, node)
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            self.visit(argument)

    def _spawned(self, node: ast.Call) -> None:
        first = (
            node.args[0]
            if node.args
            else next((k.value for k in node.keywords if k.arg == "args"), None)
        )
        if isinstance(first, ast.List | ast.Tuple):
            parts = [constants.text_of(e, self.names, self.aliases) for e in first.elts]
            self.runs.run_words([Word(UNKNOWN if p is None else p) for p in parts], context="code")
            return
        text = constants.text_of(first, self.names, self.aliases) if first is not None else None
        if text is None:
            self.collected.doubt("unknown process")
        else:
            self.runs.run_text(text, context="code")

    def _evaluated(self, name: str, node: ast.Call) -> None:
        text = constants.text_of(node.args[0], self.names, self.aliases) if node.args else None
        self.dynamic[name] = None
        if text is None:
            self.collected.doubt(f"dynamic {name}")
        else:
            read(text, self.collected, self.runs, depth=self.depth + 1)

    def _looked_up(self, name: str, node: ast.Call) -> None:
        attribute = (
            constants.text_of(node.args[1], self.names, self.aliases)
            if len(node.args) > 1
            else None
        )
        owner = constants.dotted(node.args[0], self.aliases) if node.args else ""
        module = owner.partition(".")[0] in set(
            names("os sys subprocess builtins __builtins__ shutil")
        )
        if attribute is None or module or attribute in _HIDDEN_NAMES:
            self._hides(f"{name} of {owner or 'something'}")
        if attribute is not None and owner:
            self._refers(f"{owner}.{attribute}")

    def _files(self, name: str, node: ast.Call) -> None:
        texts = [constants.text_of(a, self.names, self.aliases) for a in node.args]
        if name in _FILES:
            for access, text in zip(_FILES[name], [*texts, None, None], strict=False):
                opens = name.endswith(("open", "ZipFile")) and access == "read"
                put = "write" if opens and _is_for_writing(node) else access
                self.collected.path(Word(UNKNOWN if text is None else text), put)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _PATH_METHODS:
            owner = constants.text_of(node.func.value, self.names, self.aliases)
            if owner is not None:
                put = _PATH_METHODS[node.func.attr]
                put = "write" if node.func.attr == "open" and _is_for_writing(node) else put
                self.collected.path(Word(owner), put)
        elif _READS_BY_NAME.search(name.rpartition(".")[2]):
            for text in texts:
                if text and len(text) < 200 and "secret" in classify(normal(text)):
                    self.collected.path(Word(text), "read")


def _is_for_writing(node: ast.Call) -> bool:
    """Whether a call of `open` has a mode that writes; a mode that is not known may."""
    modes = [k.value for k in node.keywords if k.arg == "mode"] or node.args[1:2]
    if isinstance(node.func, ast.Attribute) and not modes and node.func.attr == "open":
        modes = node.args[:1]
    if not modes:
        return False
    mode = modes[0]
    return not (
        isinstance(mode, ast.Constant)
        and isinstance(mode.value, str)
        and not set(mode.value) & set("wax+")
    )
