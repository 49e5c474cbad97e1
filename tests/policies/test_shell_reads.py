"""What commands read: files named in options and patterns, and folders with all below them."""

from __future__ import annotations

import pytest

from policies.facts.vocabulary import PathFact
from tests.policies.test_shell_facts import facts_of


def reads(command: str) -> list[PathFact]:
    return [p for p in facts_of(command).paths if p.access in {"read", "execute"}]


@pytest.mark.parametrize(
    "command",
    [
        "xargs -a .env echo", "xargs -a.env echo", "xargs -0a .env -n1 echo",
        "xargs --arg-file=.env echo", "xargs --arg-file .env echo", "xargs --arg .env echo",
        "timeout 5 xargs -a .env echo", "parallel -a .env echo", "xargs cat <<< .env",
        "printf '%s\\n' .env | xargs cat", "printf '%s\\0' .env | xargs -0 cat",
        "grep -f .env x", "grep -f list .env", "rg -f list .env", "grep -f.env x", "grep -vf .env x", "grep --file=.env x", "rg -f .env x",
        "grep --file .env x", "grep -e x .env", "grep -ex .env", "grep --regexp x .env",
        "grep -A 3 x .env", "rg -g .env x", "grep -r --include=.env x .", "rg --ignore-file .env x",
        "date -f .env", "date --file .env", "date --file=.env", "shuf .env", "history -r .env",
        "make -f.env", "make -f .env", "gcc -include .env -E x.c", "node --env-file=.env a.js",
        "node --env-file .env a.js", "uv run --env-file .env a.py", "docker run --env-file .env a",
        "cc -I.env a.c", "curl -d@.env a", "tar -T .env -cf a", "tar -T.env -cf a", "sort --files0-from=.env",
        "source .env", ". ./.env", "set -a; . .env", "env $(cat .env) a", "cat < .env", "a 3< .env",
        "exec 3< .env", "mapfile -t a < .env", "ln -s ../.env", "ln .env a", "cp -t a .env",
        "cp --target-directory=a .env", "mv .env a", "install -m 600 .env a",
        "cat .*", "cat .??*", "cat .[!.]*", "cat ./.*", "cat a/.*", "cat * .*", "cp -r .[!.]* a",
        "for f in .*; do cat $f; done", "grep x .*", "time (cat .env)", "coproc (cat .env)",
    ],
)  # fmt: skip
def test_a_secret_file_is_seen_in_options_links_and_patterns(command: str) -> None:
    assert [p.text for p in reads(command) if "secret" in p.classes]


@pytest.mark.parametrize(
    "command",
    [
        "grep .env .gitignore", "grep -e .env .gitignore", "grep -A 3 .env .gitignore",
        "grep --exclude=.env -r x .", "grep -r --exclude .env x src", "rg -g '!.env' x", "rg .env src",
        "rg -e .env -A 2 src", "tar --exclude=.env -cf a.tar src", "rsync --exclude=.env a b",
        "cp .env.example .env", "cp a .env", "ls .*", "ls -d .[!.]*", "find . -name '.*' -prune",
        "find . -path './.*' -prune -o -type f -print | xargs grep x", "sed 's/.*/x/' a", "grep '.*' a",
        "grep -r foo src", "grep -rn foo .", "cp -r a b", "cat *", "cat src/*.py", "tar cf a.tar .",
        "echo a > .envrc.md", "xargs -n1 echo < list", "xargs -a list rm", "date -d yesterday +%F",
        "rm -rf .*cache", "cat .git*nore", "shuf -n 3 names", "head -n 3 .editorconfig",
    ],
)  # fmt: skip
def test_everyday_work_reads_no_secret_file(command: str) -> None:
    assert not [p.text for p in reads(command) if "secret" in p.classes]


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        ("grep -r KEY .", "."), ("grep -R KEY", "."), ("grep --recursive KEY a", "a"), ("grep -rn KEY a", "a"),
        ("rg --hidden KEY", "."), ("rg -uu KEY a", "a"), ("rg -. KEY", "."), ("ag -u KEY", "."),
        ("cp -r . a", "."), ("cp -a . a", "."), ("cp -R src a", "src"), ("cp -rt a src", "src"),
        ("tar c .", "."), ("tar -czf - src", "src"), ("zip -r a.zip src", "src"), ("rsync -a src a", "src"),
        ("find . -type f -exec cat {} +", "."), ("find -type f -exec grep x {} +", "."),
        ("cd a && grep -r KEY .", "a"),
    ],
)  # fmt: skip
def test_a_read_of_all_below_a_folder_says_so(command: str, folder: str) -> None:
    assert folder in [p.text for p in reads(command) if p.below]


@pytest.mark.parametrize(
    "command",
    ["grep KEY a", "rg KEY", "rg -u KEY", "rg KEY src", "cp a b", "find . -exec touch {} +",
     "find . -name '*.py' -exec grep x {} +", "cat a", "ls -R ."],
)  # fmt: skip
def test_a_read_of_files_or_of_what_is_not_hidden_does_not(command: str) -> None:
    assert not [p.text for p in reads(command) if p.below]
