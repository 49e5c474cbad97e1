"""What the gate knows of an action: the words that the conditions of a pack may use.

Each class is one message; `policies/conditions.py` makes the engine's types from them, so that a
misspelt field in a rule is refused when the pack is loaded. Lists are tuples. A field that does
not apply has its default.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ActionFact:
    """The act as a whole.

    Attributes:
        kind: The request's kind: shell, python, read, edit, search, git, tests, candidates, model,
            recall, remember, verify, apply.
        tool: The tool's name.
        origin: Who asks: user, model, search, interpreter, loop.
        contained: It stays in a hardened sandbox without network.
        mode: terminal, ci or benchmark.
        truncated: There were more facts than are looked at.
        uncertain: Why it could not be made out what this does; empty when it could.
        misleading: Where in it (command, code, write, patch) a character hides or turns around
            what a person reads.
    """

    kind: str = ""
    tool: str = ""
    origin: str = ""
    contained: bool = False
    mode: str = ""
    truncated: bool = False
    uncertain: tuple[str, ...] = ()
    misleading: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundFact:
    """A secret or a datum of a person in the action's text.

    Attributes:
        kind: As `policies/detectors.py` names it.
        confidence: In [0, 1].
        where: command, code, write, prompt, memory, patch.
        published: A value published for tests.
        secret: It opens a door.
        personal: It is about a person.
    """

    kind: str = ""
    confidence: float = 0.0
    where: str = ""
    published: bool = False
    secret: bool = False
    personal: bool = False


@dataclass(frozen=True, slots=True)
class PathFact:
    """A file or folder that the action names.

    Attributes:
        text: As it was resolved, relative to the repository's root where it is below it.
        access: read, write, delete, execute, list or metadata.
        inside: Below the repository's root, or a place that is everybody's (/tmp, /dev/null).
        classes: What kind of place: see `policies/facts/paths.py`.
        certain: The whole of it is known.
        below: All that lies below it is read too, as by `grep -r` or `cp -r`.
    """

    text: str = ""
    access: str = ""
    inside: bool = True
    classes: tuple[str, ...] = ()
    certain: bool = True
    below: bool = False


@dataclass(frozen=True, slots=True)
class CommandFact:
    """One simple command, at whatever depth it stands.

    Attributes:
        program: Base name, after quotes, constants and wrappers.
        classes: everyday, network, privilege, destructive, later, interpreter, evaluates.
        arguments: After the program; a part that is not known is the character U+FFFD.
        environment: Names of variables set for it.
        wrappers: Programs that run it, outermost first.
        context: plain, substitution, procsub, function, heredoc, code.
        stdin: none, pipe, file, heredoc, herestring.
        depth: How many texts of commands it lies within.
    """

    program: str = ""
    classes: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ()
    context: str = "plain"
    stdin: str = "none"
    depth: int = 0


@dataclass(frozen=True, slots=True)
class GitFact:
    """One git command.

    Attributes:
        subcommand: After aliases of the command line are ruled out.
        config_keys: Settings given or written by this command.
        outside_files: Files it writes or reads other than the repository's own.
        force_push: It overwrites or deletes a branch of a remote.
        rewrites_history: Commits can be lost for good.
        discards_work: Changes in the tree can be lost.
        skips_hooks: Checks of the repository are left out.
        writes_config: It changes a git configuration.
        runs_code: An option makes it run a program.
        reaches_out: It speaks with a remote.
    """

    subcommand: str = ""
    config_keys: tuple[str, ...] = ()
    outside_files: tuple[str, ...] = ()
    force_push: bool = False
    rewrites_history: bool = False
    discards_work: bool = False
    skips_hooks: bool = False
    writes_config: bool = False
    runs_code: bool = False
    reaches_out: bool = False


@dataclass(frozen=True, slots=True)
class CodeFact:
    """Code that the action carries or makes run.

    Attributes:
        language: python, sh, or the name of another interpreter.
        judged: It was looked through; its own facts are among the others.
    """

    language: str = ""
    judged: bool = False


@dataclass(frozen=True, slots=True)
class PythonFact:
    """What a piece of Python says; text cannot tell all that it does.

    Attributes:
        imports: Modules, in full.
        calls: Dotted names of what is called, aliases of imports resolved.
        spawns: Processes it starts; their commands are among `commands` where they are constant.
        sockets: Calls that speak to a network.
        dynamic: Ways of running what the text does not show.
        rebinds: Names of the interpreter or of modules that it sets.
        parsed: It is Python.
    """

    imports: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    spawns: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    rebinds: tuple[str, ...] = ()
    parsed: bool = True


@dataclass(frozen=True, slots=True)
class ModelFact:
    """A call to a language model: its name, and whether it stays on this machine."""

    name: str = ""
    local: bool = False


@dataclass(frozen=True, slots=True)
class PatchFileFact:
    """One file of a patch.

    Attributes:
        path: Where it comes to lie.
        old_path: Where it lay; the same unless it is renamed or copied.
        change: add, modify, delete, rename, copy.
        classes: As for a path.
        binary: Its content cannot be read in the patch.
        executable: It becomes executable.
        mode_changed: Its mode changes otherwise than by being made.
        symlink: It is a link.
        link_target: What the link names.
        gitlink: It is another repository's commit.
        link_escapes: What the link names lies outside the tree.
        escapes: It lies outside the tree itself.
    """

    path: str = ""
    old_path: str = ""
    change: str = "modify"
    classes: tuple[str, ...] = ()
    binary: bool = False
    executable: bool = False
    mode_changed: bool = False
    symlink: bool = False
    link_target: str = ""
    gitlink: bool = False
    link_escapes: bool = False
    escapes: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one action: each field is a variable of the conditions."""

    action: ActionFact
    found: tuple[FoundFact, ...] = ()
    paths: tuple[PathFact, ...] = ()
    commands: tuple[CommandFact, ...] = ()
    git: tuple[GitFact, ...] = ()
    code: tuple[CodeFact, ...] = ()
    python: PythonFact = field(default_factory=PythonFact)
    model: ModelFact = field(default_factory=ModelFact)
    patch: tuple[PatchFileFact, ...] = ()


LONGEST_LIST = 2_000
"""Entries of a list that are looked at; more make `action.truncated` true."""
