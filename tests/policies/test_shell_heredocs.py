"""Here-documents: bash itself says which lines of a text are commands and which are a document."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from policies.facts.heredocs import take_out
from policies.facts.syntax import parse, shield
from tests.policies.test_shell_facts import facts_of

X = "cat .env"
"""Stands where a command may hide; bash runs it in a folder of its own, and prints a mark."""
MARK = "a-mark-of-this-test"

TEXTS = [
    f"cat <<E; {X}\nx\nE", f"cat <<E;{X}\n$V\nE", f"cat <<E & {X}\nx\nE", f"(cat <<E; {X})\nx\nE",
    f"cat <<'E'; {X}\nit's\nE", f"cat <<E && {X}\nx\nE", f"cat <<E>f; {X}\nx\nE",
    f"cat <<E|cat;{X}\nx\nE", f"cat <<E <<F; {X}\nx\nE\ny\nF", f"cat <<E <<F\nx\nE\n{X}\nF",
    f"if true; then cat <<E; fi; {X}\nx\nE", f"f() {{ cat <<E; }}; {X}\nx\nE",
    f"cat <<E |\nx\nE\ncat; {X}", f"cat <<E \\\n; {X}\nx\nE", f"cat <<E\\\n; {X}\nx\nE",
    f"cat << \\\nE\nx\nE\n{X}", f"cat <\\\n<E\nx\nE\n{X}",
    # Where a document ends
    f"cat <<E\n$V\n  \nE\n{X}\n", f"cat <<E\n$\nE\n{X}\n", f"cat <<E\n{X}", f"cat <<E\nE \n{X}\nE",
    f"cat <<E\n\tE\n{X}\nE", f"cat <<-E\n\tx\n\tE\n{X}", f"cat <<E\nx\\\nE\n{X}\nE",
    f"cat <<'E'\nx\\\nE\n{X}\nE", f"cat <<E\nE\r\n{X}\nE", f"cat <<''\nx\n\n{X}", f"cat <<''\n{X}\n",
    f'cat <<"A B"\nA B\n{X}', f'cat <<E"O"F\nEOF\n{X}\nE', f"cat <<E\\F\nx\nEF\n{X}\nE\\F",
    f"cat <<$E\nx\n$E\n{X}", f"cat <<E # it's\nx\nE\n{X} # it's", f'cat <<E "a\nb"\nx\nE\n{X}',
    f"cat <<E $(echo a\n{X})\nx\nE", f"x=$(cat <<E\nx\nE)\n{X}", f"x=$(cat <<E\nx\nE\n)\n{X}",
    f'x="$(cat <<E\nit\'s\nE\n)"\n{X}', f"x=`cat <<E\nx\nE\n`\n{X}", f"x=$(cat <<E)\n{X}\nE",
    f"echo \"$(cat <<E)\" '\"'\n{X}\nE", f"x=`cat <<E`\n{X}\nE",
    f"cat <<E $'\\''\nE\n# '\n{X}\nE", f"cat <<E \"${{x:-\"'\"}}\"\nE\n# '\n{X}\nE",
    f"cat <<'E' ${{x:-\n$({X})\nE\n}}\nx\nE", f"cat <<'E' \"\n$({X})\nE\n\"\nx\nE",
    f"cat <<'E' ${{x:- # \n$({X})\nE\n}}\nx\nE", f"cat <<'E' $(\n{X}\nE\n)\nx\nE",
    f"cat <<'E' ${{x:-'\"'}}\"\n$({X})\nE\n\"\nx\nE", f"cat <<'E' `\n{X}\nE\n`\nx\nE",
    f"cat <<'E' $((1+\n$({X})0\nE\n))\nx\nE", f"cat <<'E' <(\n{X}\nE\n)\nx\nE",
    f"a=(1 2); cat <<'E' ${{a[\n$({X} >&2)0\n]}}\nx\nE\n", f"cat <<'E' {{a,b}} ${{x}}; {X}\nx\nE",
    # What is no here-document
    f"echo $((1<<2))\n{X}\n2", f"((1<<2))\n{X}\n2", f"[[ a <<b ]]\n{X}\nb", f"a[1<<2]=3\n{X}\n2",
    f"echo $[1<<2]\n{X}\n2", f"x=abc; echo ${{x:1<<1}}\n{X}\n1", f"# <<E\n{X}\nE", f"echo '<<E'\n{X}\nE",
    f'echo "<<E"\n{X}\nE', f"echo $'<<E'\n{X}\nE", f"echo \\<<E\n{X}\nE", f"cat <<< E\n{X}\nE",
    # What is run of a document, and who runs it
    f"cat <<E\n$({X})\nE", f"cat <<E\n`{X}`\nE", f"cat <<E\n${{x:-`{X}`}}\nE", f"cat <<E\n\\\\ $({X})\nE",
    f"cat <<E\n\\$({X})\nE", f"cat <<'E'\n$({X})\nE", f"cat <<E\n${{x:-$({X})}}\n\n  \nE",
    f"bash <<E\n{X}\nE", f"bash <<'E'; true\n{X}\nE", f"cat <<E | bash\n{X}\nE",
    f"cat <<E | cat | bash\n{X}\nE", f"{{ cat <<E\n{X}\nE\n}} | bash", f". /dev/stdin <<E\n{X}\nE",
    f'eval "$(cat <<E\n{X}\nE\n)"', f"bash <(cat <<E\n{X}\nE\n)", "xargs cat <<E\n.env\nE",
    f"bash -c '{X}' <<E\nx\nE", f"while true; do {X}; break; done <<E\nx\nE",
    "cat <<E .env\nx\nE", "cat <<E - .env; true\nx\nE",
]  # fmt: skip


def _is_run(text: str, folder: Path) -> bool:
    """Whether bash prints the mark, which only `cat .env` can make it do."""
    (folder / ".env").write_text(MARK)
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", text],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=20,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )
    return MARK.encode() in done.stdout + done.stderr


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_what_bash_runs_beside_or_within_a_document_is_seen(text: str, tmp_path: Path) -> None:
    known = facts_of(text)
    seen = any("secret" in p.classes and p.access == "read" for p in known.paths)
    assert seen or not _is_run(text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        f"cat > README <<'E'\nNever {X}; it's secret: $({X})\nE\nls",
        f"cat <<E > notes; ls\nsee \\$({X}) and {X}\nE",
        f"git commit -F - <<'E'; git log -1\nRun `{X}`?\n\nE",
        f"cat <<-E && ls\n\t{X}\n\tE\nls",
        f"git commit -m \"$(cat <<'E'\nIt's {X}\nE\n)\"",
        "cat <<A <<B; ls\n.env\nA\n.env\nB",
    ],
)
def test_what_a_document_only_says_is_not_taken_for_a_command(text: str) -> None:
    known = facts_of(text)
    assert not [p for p in known.paths if "secret" in p.classes]
    assert set(known.action.uncertain) <= {"background"}


@pytest.mark.parametrize("tail", ["", "; a", " | a", " && a", " > f", " # it's", " w"])
@pytest.mark.parametrize("opening", ["<<E", "<<'E'", "<<-E", '<< "E"', "<<\\E"])
@pytest.mark.parametrize("body", ["", "x\n", "\\\n\n", "\t\n  \n", "$\n \n", "it's \"\n", "<<F\n"])
def test_a_document_is_taken_out_whole(opening: str, body: str, tail: str) -> None:
    text, documents = take_out(shield(f"cat {opening}{tail}\n{body}E\nb\n"))
    [document] = documents
    assert document.ended
    assert document.text == (body.lstrip("\t") if "-" in opening else body)
    assert document.literal == ("'" in opening or '"' in opening or "\\" in opening)
    assert text.endswith(b"\nb\n")
    assert not parse(text).has_error


def test_a_joined_line_ends_no_document_but_a_literal_one() -> None:
    text = "x\\\nE\nE\nb"
    assert [d.text for d in take_out(shield(f"cat <<E\n{text}"))[1]] == ["x\\\nE\n"]
    assert [d.text for d in take_out(shield(f"cat <<'E'\n{text}"))[1]] == ["x\\\n"]


@pytest.mark.parametrize("text", ["x=$(cat <<E)\na\nE", "x=`cat <<E`\na\nE", "(cat <<E)\na\nE",
                                  "x=$(cat <<E\na\nE)\na", "cat <<E\na"])  # fmt: skip
def test_a_document_that_shells_end_at_different_lines_is_doubted_and_read(text: str) -> None:
    known = facts_of(text)
    assert "unfinished-heredoc" in known.action.uncertain
    assert "a" in [c.program for c in known.commands]


def test_a_script_in_a_document_is_read_as_it_is_put_in() -> None:
    known = facts_of("bash <<E\na \\$x\nE")
    assert [(c.program, c.context) for c in known.commands] == [("bash", "plain"), ("a", "heredoc")]
    assert not {"parser-trap", "parse-error"} & set(known.action.uncertain)


def test_what_takes_the_parser_too_long_is_an_error_and_no_wait() -> None:
    with pytest.raises(ValueError, match="parse"):
        facts_of("()" * 40_000)
    assert facts_of("ls").commands[0].program == "ls"


def test_more_documents_than_are_looked_at_are_an_error() -> None:
    with pytest.raises(ValueError, match="here-documents"):
        facts_of("cat <<E\nx\nE\n" * 65)
