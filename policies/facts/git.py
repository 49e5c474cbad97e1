"""Facts of one git command, by its own grammar: `git [options] SUBCOMMAND [options] [operands]`."""

from __future__ import annotations

import re
from dataclasses import replace

from policies.facts import paths
from policies.facts.collected import Collected
from policies.facts.vocabulary import GitFact
from policies.facts.words import Word
from policies.texts import names

_EVERYDAY = frozenset(
    names(
        "add am apply archive bisect blame branch cat-file check-attr check-ignore checkout "
        "cherry cherry-pick clean clone commit config count-objects describe diff diff-files "
        "diff-index diff-tree fetch for-each-ref format-patch fsck gc grep hash-object init log "
        "ls-files ls-remote ls-tree merge merge-base merge-tree mv name-rev notes prune pull push "
        "range-diff rebase reflog remote replace reset restore rev-list rev-parse revert rm "
        "shortlog show show-branch show-ref stash status submodule switch symbolic-ref tag "
        "update-index update-ref var verify-commit version whatchanged worktree write-tree"
    )
)
_GLOBAL_WITH_VALUE = names(
    "-C -c --git-dir --work-tree --namespace --config-env --exec-path --super-prefix --attr- source"
)
_GLOBAL_FLAGS = frozenset(
    names(
        "-P --no-pager --bare --no-replace-objects --literal-pathspecs --glob-pathspecs --noglob- "
        "pathspecs --icase-pathspecs --no-optional-locks --no-lazy-fetch --version --html-path "
        "--man-path --info-path"
    )
)
_SAFE_KEYS = re.compile(
    r"(?i)(user\.(name|email)|color\..*|core\.(quotepath|autocrlf|abbrev|eol|filemode|ignorecase)|advice\..*"
    r"|init\.defaultbranch|diff\.(noprefix|renames|algorithm|mnemonicprefix)|log\.date|column\..*"
    r"|merge\.conflictstyle|pull\.(rebase|ff)|gc\.auto|safe\.directory|commit\.gpgsign|tag\.gpgsign)"
)
_REACHES_OUT = frozenset(["fetch", "pull", "push", "clone", "ls-remote", "send-email", "svn", "p4"])
_RUNS_CODE = names(
    "upload-pack receive-pack exec ext-diff textconv open-files-in-pager template extcmd tool "
    "filter-process"
)
_WRITES_FILES = ("output", "output-directory", "separate-git-dir")
_READS_FILES = names("contents no-index exclude-from pathspec-from-file ignore-revs-file from-file")


def look(arguments: list[Word], collected: Collected, *, cwd: str | None) -> GitFact:
    """Put the facts of a git command into `collected`, and return them too."""
    fact, at = _globals(arguments, collected, cwd=cwd)
    rest = arguments[at:]
    if rest and not rest[0].known:
        collected.doubt("dynamic-subcommand")
    subcommand = rest[0].text if rest else ""
    fact = replace(fact, subcommand=subcommand)
    if subcommand and subcommand not in _EVERYDAY and not _loses_history(subcommand, []):
        # A name that is not git's own may be an alias, and an alias may be any program.
        collected.doubt(f"git {subcommand[:40]}")
    options = [w.text for w in rest[1:] if w.text.startswith("-") and w.text != "-"]
    operands = [w for w in rest[1:] if not w.text.startswith("-")]
    fact = _judge(fact, subcommand, options, [w.text for w in operands])
    _files(fact, subcommand, rest[1:], collected, cwd=cwd)
    collected.git.append(fact)
    return fact


def is_harmless_output(subcommand: str) -> bool:
    """Whether what it prints is the name of a commit, a branch, or of files that git knows."""
    return subcommand in set(
        names(
            "rev-parse merge-base describe branch symbolic-ref rev-list ls-files write-tree hash- "
            "object log"
        )
    )


def _globals(
    arguments: list[Word], collected: Collected, *, cwd: str | None
) -> tuple[GitFact, int]:
    keys: list[str] = []
    runs = False
    at = 0
    while at < len(arguments) and arguments[at].text.startswith("-"):
        text = arguments[at].text
        option, has_value, value = text.partition("=")
        if option in _GLOBAL_WITH_VALUE or text[:2] == "-c":
            if not has_value or option == "-c":
                value = arguments[at + 1].text if at + 1 < len(arguments) else ""
                at += 1
            if option == "-C":
                collected.path(Word(value), "list", cwd=cwd)
            elif option in {"-c", "--config-env"}:
                key = value.partition("=")[0]
                keys.append(key)
                runs = runs or _SAFE_KEYS.fullmatch(key) is None
            elif option != "--namespace":
                collected.doubt(f"git {option}")
        elif option in {"-p", "--paginate"}:
            runs = True
        elif option not in _GLOBAL_FLAGS:
            collected.doubt(f"git {option[:40]}")
        at += 1
    return GitFact(config_keys=tuple(keys), runs_code=runs), at


def _has(options: list[str], *names: str, letters: str = "") -> bool:
    """Whether an option is there: long ones by any beginning of their name, short ones in clusters."""
    for option in options:
        if option.startswith("--"):
            given = option[2:].partition("=")[0]
            if given and any(name.startswith(given) for name in names):
                return True
        # What stands behind -m, -F or -C in a cluster is its value.
        elif any(letter in re.split(r"(?<=[mFC])", option[1:])[0] for letter in letters):
            return True
    return False


def _judge(fact: GitFact, subcommand: str, options: list[str], operands: list[str]) -> GitFact:
    writes_config = _writes_config(subcommand, options, operands)
    return replace(
        fact,
        force_push=subcommand == "push" and _forces(options, operands),
        rewrites_history=_loses_history(subcommand, [*options, *operands]),
        discards_work=_discards(subcommand, options, operands),
        skips_hooks=_has(options, "no-verify")
        or (subcommand == "commit" and _has(options, letters="n")),
        writes_config=writes_config,
        config_keys=(*fact.config_keys, *(operands[:1] if subcommand == "config" else [])),
        runs_code=fact.runs_code
        or _has(options, *_RUNS_CODE)
        or (subcommand == "grep" and _has(options, letters="O"))
        or (subcommand in {"fetch", "clone", "ls-remote"} and _has(options, letters="u"))
        or (subcommand == "rebase" and _has(options, letters="x"))
        or (subcommand == "bisect" and operands[:1] == ["run"])
        or (subcommand == "submodule" and operands[:1] == ["foreach"]),
        reaches_out=_reaches_out(subcommand, operands)
        or (subcommand == "archive" and _has(options, "remote")),
    )


def _reaches_out(subcommand: str, operands: list[str]) -> bool:
    """A push to a remote that the repository names is left to the rules on pushes."""
    if subcommand == "push":
        return any(c in "".join(operands[:1]) for c in ":/\\.")
    return subcommand in _REACHES_OUT or (
        subcommand in {"remote", "submodule"}
        and operands[:1] in (["update"], ["add"], ["set-url"], ["prune"])
    )


def _forces(options: list[str], operands: list[str]) -> bool:
    long = ("force", "force-with-lease", "force-if-includes", "mirror", "delete", "prune")
    refspecs = operands[1:]
    return _has(options, *long, letters="fd") or any(r.startswith(("+", ":")) for r in refspecs)


def _loses_history(subcommand: str, words: list[str]) -> bool:
    if subcommand in {"filter-branch", "filter-repo", "fast-import", "prune", "replace"}:
        return True
    return (
        (subcommand == "reflog" and bool({"expire", "delete"} & set(words)))
        or (subcommand == "gc" and any(w.startswith("--prune") for w in words))
        or (subcommand == "update-ref" and _has(words, "stdin", letters="d"))
    )


_DISCARDING_OPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "reset": (("hard", "merge", "keep"), ""),
    "checkout": (("force", "orphan"), "fB"),
    "switch": (("force", "discard-changes", "force-create"), "fC"),
    "branch": (("force", "delete"), "DdMf"),
    "tag": (("delete", "force"), "df"),
    "commit": (("amend",), ""),
}
_KEEPING_OPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "clean": (("dry-run",), "n"),
    "rm": (("cached",), ""),
    "restore": (("staged",), "S"),
}
"""Subcommands that discard unless one of these is given."""


def _discards(subcommand: str, options: list[str], operands: list[str]) -> bool:
    if subcommand in _DISCARDING_OPTIONS:
        long, letters = _DISCARDING_OPTIONS[subcommand]
        all_files = subcommand == "checkout" and ("." in operands or "--" in options)
        return all_files or _has(options, *long, letters=letters)
    if subcommand in _KEEPING_OPTIONS:
        long, letters = _KEEPING_OPTIONS[subcommand]
        return not _has(options, *long, letters=letters) or _has(options, "worktree", letters="W")
    if subcommand == "stash":
        return operands[:1] in (["drop"], ["clear"])
    if subcommand == "worktree":
        return operands[:1] == ["remove"]
    return subcommand in {"rebase", "update-ref", "symbolic-ref"} and bool(operands)


def _writes_config(subcommand: str, options: list[str], operands: list[str]) -> bool:
    if subcommand in {"clone", "init"}:
        return _has(options, "config", "template", letters="c")
    if subcommand != "config":
        return False
    if operands[:1] == ["set"]:
        operands = operands[1:]
    reads = _has(options, "get", "get-all", "get-regexp", "list", letters="l")
    named = operands[:1]
    if reads or named in (["get"], ["list"]) or (len(operands) < 2 and not options):
        return False
    return not (
        named
        and _SAFE_KEYS.fullmatch(named[0])
        and not _has(options, "global", "system", "file", letters="f")
    )


def _files(
    fact: GitFact, subcommand: str, words: list[Word], collected: Collected, *, cwd: str | None
) -> None:
    """Secret files that it would show, and files that it reads or writes by an option."""
    shows = subcommand in set(
        names("show diff log blame cat-file grep archive whatchanged checkout-index apply stash")
    )
    pattern_done = subcommand != "grep"
    for at, word in enumerate(words):
        option, has_value, value = word.text.partition("=")
        given = option[2:] if option.startswith("--") else ""
        if given and any(name.startswith(given) for name in (*_WRITES_FILES, *_READS_FILES)):
            access = "write" if any(name.startswith(given) for name in _WRITES_FILES) else "read"
            target = (
                Word(value) if has_value else (words[at + 1] if at + 1 < len(words) else Word(""))
            )
            collected.path(target, access, cwd=cwd)
            collected.doubt(f"git {subcommand} {option}")
        elif not word.text.startswith("-") and shows:
            if not pattern_done:
                pattern_done = True
                continue
            named = word.text.rpartition(":")[2]
            if subcommand == "apply":
                collected.path(word, "read", cwd=cwd)
            if "secret" in paths.classify(paths.normal(named or ".", cwd=cwd or "")):
                collected.path(Word(named), "read", cwd=cwd)
    if subcommand in {"add", "mv", "rm", "checkout", "restore"} and fact.subcommand:
        for word in words:
            if not word.text.startswith("-") and paths.normal(word.text).startswith(("..", ".git")):
                collected.path(word, "write", cwd=cwd)
