"""The gate: what must not pass does not, everyday work is not asked about, and a fault is a deny."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import examples
from policies.action import (
    Action,
    ApplyRequest,
    Candidate,
    CandidatesRequest,
    Decision,
    EditRequest,
    GitRequest,
    ModelRequest,
    PythonRequest,
    ReadRequest,
    RecallRequest,
    RememberRequest,
    Request,
    RunTestsRequest,
    SearchRequest,
    ShellRequest,
    Verdict,
    VerifyRequest,
)
from policies.detectors import sample
from policies.gate import Circumstances, Gate
from policies.masks import ALL_KINDS, PERSONAL, SECRETS, Masks
from policies.packs import Pack, PackError, builtin, load

HERE = Path(__file__).parent
BYPASSES: list[dict[str, str]] = yaml.safe_load((HERE / "bypass.yaml").read_text("utf-8"))
MUST_ALLOW: list[str] = yaml.safe_load((HERE / "must_allow.yaml").read_text("utf-8"))
STRICTNESS = {Decision.ALLOW: 0, Decision.ASK: 1, Decision.DENY: 2}
OPEN = Circumstances(contained=False, mode="terminal")
CONTAINED = Circumstances(contained=True, mode="ci")


@pytest.fixture(scope="module")
def baseline() -> Pack:
    return builtin("baseline")


def judge(pack: Pack, request: Request, circumstances: Circumstances = OPEN) -> Verdict:
    action = Action(session_id="s", step=0, index=0, tool="t", request=request)
    return Gate([pack], circumstances, Masks(b"key")).judge(action)


def judge_example(pack: Pack, example: str) -> Verdict:
    action, circumstances = examples.parse(example)
    return Gate([pack], circumstances, Masks(b"key")).judge(action)


@pytest.mark.parametrize("row", BYPASSES, ids=lambda row: row["act"][:60])
def test_a_known_bypass_is_denied_or_asked_about(baseline: Pack, row: dict[str, str]) -> None:
    verdict = judge_example(baseline, row["act"])
    assert verdict.decision is not Decision.ALLOW
    assert verdict.rule.startswith("baseline.")
    assert verdict.reason
    assert verdict.remedy


@pytest.mark.parametrize("act", MUST_ALLOW, ids=lambda act: act[:60])
def test_everyday_work_is_not_asked_about(baseline: Pack, act: str) -> None:
    verdict = judge_example(baseline, act)
    assert verdict.decision is Decision.ALLOW, verdict


@pytest.mark.parametrize("row", BYPASSES, ids=lambda row: row["act"][:60])
def test_what_is_denied_in_the_open_is_denied_in_a_sandbox_too(
    baseline: Pack, row: dict[str, str]
) -> None:
    if judge_example(baseline, row["act"]).decision is Decision.DENY:
        verdict = judge_example(baseline, f"contained {row['act']}")
        assert verdict.decision is Decision.DENY, verdict


WRAPPINGS = [
    "bash -c {quoted}",
    "timeout 5 nice sh -c {quoted}",
    "env A=1 sh -c {quoted}",
    "( {plain}\n)",
    "{{ {plain}\n}}",
    "if true; then {plain}\nfi",
    "for i in 1 2; do {plain}\ndone",
    "while true; do {plain}\nbreak; done",
    "f() {{ {plain}\n}}; f",
    "true && {{ {plain}\n}}",
    "echo $( {plain}\n)",
    "sh <<'END_OF_SCRIPT'\n{plain}\nEND_OF_SCRIPT",
    "cat <<'END_OF_SCRIPT' | sh\n{plain}\nEND_OF_SCRIPT",
    "eval {quoted}",
    "trap {quoted} EXIT",
    "python3 -c {python}",
    'X={quoted}; sh -c "$X"',
    "sh -c {twice}",
    "{plain}\ntrue",
    "true | {{ {plain}\n}}",
]  # fmt: skip


def wrapped(wrapping: str, command: str) -> str:
    quoted = shlex.quote(command)
    return wrapping.format(
        plain=command,
        quoted=quoted,
        twice=shlex.quote(f"sh -c {quoted}"),
        python=shlex.quote(f"import os\nos.system({json.dumps(command, ensure_ascii=False)})"),
    )


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrapping_a_command_never_makes_the_verdict_weaker(baseline: Pack, wrapping: str) -> None:
    weaker = []
    for row in BYPASSES:
        command = row["act"].removeprefix("shell: ")
        if not row["act"].startswith("shell: "):
            continue
        plain = judge(baseline, ShellRequest(command=command))
        inside = judge(baseline, ShellRequest(command=wrapped(wrapping, command)))
        if STRICTNESS[inside.decision] < STRICTNESS[plain.decision]:
            weaker.append((command, plain.rule, inside.rule))
    assert weaker == []


def request_with(text: str) -> list[Request]:
    """Every request that holds a text, in every place that a text can be."""
    change = Candidate(path="a.py", old="x", new=text)
    return [
        ShellRequest(command=text),
        PythonRequest(code=text),
        ReadRequest(path=text),
        EditRequest(operation="create", path=text),
        EditRequest(operation="create", path="a", new=text),
        EditRequest(operation="replace", path="a", old=text, new="x"),
        SearchRequest(pattern=text),
        SearchRequest(pattern="x", path=text),
        GitRequest(arguments=("log", text)),
        RunTestsRequest(tests=(text,)),
        RunTestsRequest(command=text),
        CandidatesRequest(operation="try", failing=("t",), candidates=((change,),)),
        CandidatesRequest(operation="try", failing=("t",), options={text: 1}),
        ModelRequest(model="m", messages=({"a": [text]},), history="", max_output_tokens=1),
        ModelRequest(model="m", messages=({text: "a"},), history="", max_output_tokens=1),
        RecallRequest(query=text),
        RememberRequest(solution={"a": {"b": [text]}}),
        VerifyRequest(patch="", checks=(text,)),
        ApplyRequest(patch=text, target="."),
        ApplyRequest(patch="", target=text),
    ]


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "x\udfff"], ids=["NUL", "high", "low"])
@pytest.mark.parametrize("place", range(20))
@pytest.mark.parametrize("circumstances", [OPEN, CONTAINED], ids=["open", "contained"])
def test_what_is_not_text_is_denied_wherever_it_stands(
    baseline: Pack, bad: str, place: int, circumstances: Circumstances
) -> None:
    verdict = judge(baseline, request_with(bad)[place], circumstances)
    assert verdict.decision is Decision.DENY
    assert verdict.rule == "gate.not-text"


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "request_",
    [
        ShellRequest(command="$(" * 400 + "x" + ")" * 400),
        ShellRequest(command="(" * 5000 + "x" + ")" * 5000),
        ShellRequest(command="eval " * 5000 + "x"),
        ShellRequest(command="x " * 200_000),
        ShellRequest(command="for a in {1..9}; do " * 12 + "x" + "; done" * 12),
        ShellRequest(command="x='" + 'eval "$x"; ' * 50 + '\'; eval "$x"'),
        PythonRequest(code="x" * 600_000),
        RememberRequest(solution={"a": nested(100)}),
        ApplyRequest(patch="not a patch", target="."),
        ApplyRequest(patch="diff --git a/x b/x\n@@ -1 +1 @@\n", target="."),
    ],
    ids=lambda request: f"{request.kind}-{len(str(request))}",
)
def test_what_is_too_deep_too_long_or_broken_is_denied(baseline: Pack, request_: Request) -> None:
    verdict = judge(baseline, request_, CONTAINED)
    assert verdict.decision is Decision.DENY
    assert verdict.rule == "gate.error"
    assert verdict.remedy


def test_more_paths_than_are_looked_at_are_asked_about(baseline: Pack) -> None:
    many = "cat " + " ".join(f"f{n}" for n in range(2_500))
    verdict = judge(baseline, ShellRequest(command=many), CONTAINED)
    assert (verdict.decision, verdict.rule) == (Decision.ASK, "baseline.too-much-at-once")


RULE = """
pack: {name}
version: 1.0.0
rules:
- id: {name}.rule
  controls: []
  title: A title
  why: A reason.
  stage: any
  when: '{when}'
  effect: {effect}
  fix: A remedy.
  examples:
    {effect}: ['shell: ls one']
    allow: ['shell: ls two']
"""


def pack_of(tmp_path: Path, name: str, when: str, effect: str) -> Pack:
    path = tmp_path / f"{name}.yaml"
    path.write_text(RULE.format(name=name, when=when, effect=effect))
    return load(path)


ONE = 'commands.exists(c, "one" in c.arguments)'


def test_the_strictest_of_several_rules_wins_and_the_others_are_named(tmp_path: Path) -> None:
    packs = [pack_of(tmp_path, name, ONE, name[0:4].rstrip("x")) for name in ("askx", "deny")]
    for order in (packs, packs[::-1]):
        action, circumstances = examples.parse("shell: ls one")
        verdict = Gate(order, circumstances, Masks(b"k")).judge(action)
        assert (verdict.decision, verdict.rule) == (Decision.DENY, "deny.rule")
        assert "askx.rule" in verdict.reason
        assert verdict.remedy == "A remedy."


def test_a_condition_that_gives_no_answer_is_a_deny(tmp_path: Path) -> None:
    when = ONE + ' || commands[size(commands) - 1].arguments[0] == "never"'
    pack = pack_of(tmp_path, "ask", when, "ask")
    verdict = judge(pack, ReadRequest(path="a.py"), CONTAINED)
    assert (verdict.decision, verdict.rule) == (Decision.DENY, "gate.error")


def test_two_packs_with_the_same_rule_are_refused(baseline: Pack) -> None:
    with pytest.raises(PackError, match="both have a rule"):
        Gate([baseline, baseline], OPEN, Masks(b"k"))


def test_a_gate_without_rules_still_denies_what_it_cannot_read() -> None:
    action = Action(session_id="s", step=0, index=0, tool="t", request=ShellRequest(command="a\0"))
    assert Gate([], CONTAINED, Masks(b"k")).judge(action).decision is Decision.DENY


def test_the_users_own_command_is_not_asked_about_but_can_be_denied(baseline: Pack) -> None:
    said = frozenset({"frobnicate --all", "cat .env"})
    circumstances = Circumstances(contained=False, mode="ci", user_commands=said)

    def decision(command: str) -> Decision:
        return judge(baseline, RunTestsRequest(command=command), circumstances).decision

    assert decision("frobnicate --all") is Decision.ALLOW
    assert decision("frobnicate --all; rm x") is Decision.ASK
    assert decision("cat .env") is Decision.DENY


@pytest.mark.parametrize(
    "command",
    ["frobnicate", "curl https://a.example", "sudo id", "rm -rf build", "eval $X", "git reset --hard",
     "pip install x", "cat /etc/passwd", "PATH=. ls", "perl -e 1", "{a,b}"],
)  # fmt: skip
def test_what_stays_in_a_hardened_sandbox_is_let_be(baseline: Pack, command: str) -> None:
    assert judge(baseline, ShellRequest(command=command)).decision is Decision.ASK
    verdict = judge(baseline, ShellRequest(command=command), CONTAINED)
    assert (verdict.decision, verdict.rule) == (Decision.ALLOW, "gate.contained")


def test_secrets_are_masked_everywhere_and_personal_data_at_the_exits(baseline: Pack) -> None:
    message: dict[str, Any] = {"role": "user", "content": "x"}
    model = ModelRequest(model="m", messages=(message,), history="", max_output_tokens=1)
    local = Circumstances(contained=True, mode="ci", model_is_local=True)
    assert judge(baseline, ShellRequest(command="ls"), CONTAINED).obligations.mask == SECRETS
    assert judge(baseline, ReadRequest(path="a.py"), CONTAINED).obligations.mask == SECRETS
    assert judge(baseline, model, CONTAINED).obligations.mask == ALL_KINDS
    assert judge(baseline, model, local).obligations.mask == SECRETS
    assert judge(baseline, RecallRequest(query="x"), CONTAINED).obligations.mask == ALL_KINDS
    remembered = judge(baseline, RememberRequest(solution={}), CONTAINED)
    assert remembered.obligations.mask >= PERSONAL
    assert judge(baseline, ApplyRequest(patch="", target="."), CONTAINED).obligations.mask == set()


@pytest.mark.parametrize("kind", ["token", "password", "pan", "private_key", "uri_password"])
def test_a_secret_is_not_written_whatever_the_tool(baseline: Pack, kind: str) -> None:
    value = sample(kind)
    change = Candidate(path="a.py", old="x", new=value)
    added = "".join(f"+{line}\n" for line in value.split("\n"))
    patch = f"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1,{added.count(chr(10))} @@\n{added}"
    for request in (
        EditRequest(operation="create", path="a.py", new=value),
        EditRequest(operation="replace", path="a.py", old="x", new=value),
        CandidatesRequest(operation="try", failing=("t",), candidates=((change,),)),
        ShellRequest(command=f"cat > a.py <<'E'\n{value}\nE"),
        PythonRequest(code=f"open('a.py', 'w').write({value!r})"),
        ApplyRequest(patch=patch, target="."),
    ):
        verdict = judge(baseline, request, CONTAINED)
        assert verdict.decision is Decision.DENY, request.kind
        assert value not in verdict.reason


def test_a_secret_that_was_there_before_may_be_moved(baseline: Pack) -> None:
    line = f'KEY = "{sample("token")}"'
    edit = EditRequest(operation="replace", path="a.py", old=line, new=f"# old\n{line}")
    assert judge(baseline, edit, CONTAINED).decision is Decision.ALLOW


def test_a_mask_that_cannot_be_turned_back_is_not_written_into_a_file(baseline: Pack) -> None:
    masks = Masks(b"key")
    known = masks.mask(sample("token"), ALL_KINDS)
    lost = "<token:00000000>"

    def verdict_on(old: str, new: str) -> Verdict:
        edit = EditRequest(operation="replace", path="a.py", old=old, new=new)
        action = Action(session_id="s", step=0, index=0, tool="edit", request=edit)
        return Gate([baseline], CONTAINED, masks).judge(action)

    assert verdict_on("x", f"y = {known}").decision is Decision.ALLOW
    assert verdict_on(f"x = {lost}", f"y = {lost}").decision is Decision.ALLOW
    assert verdict_on("x", f"y = {lost}").rule == "gate.unknown-mask"


def test_a_made_up_password_may_stand_in_a_test(baseline: Pack) -> None:
    for path, decision in (("tests/test_a.py", Decision.ALLOW), ("src/a.py", Decision.DENY)):
        edit = EditRequest(operation="create", path=path, new=sample("password"))
        assert judge(baseline, edit, CONTAINED).decision is decision


@pytest.mark.parametrize(
    "command",
    ["cat *.json", "rg x *.yml", "cat config/*.toml", "cat .docker/Dockerfile", "grep -r x src/shadow",
     "cat docker/example.env", "cat src/secrets/__init__.py", "cat .gitignore .github/workflows/ci.yml",
     "cat tests/certs/server.key", "ls -la ~", "cat .npmignore"],
)  # fmt: skip
def test_files_that_are_only_named_like_secrets_are_read(baseline: Pack, command: str) -> None:
    verdict = judge(baseline, ShellRequest(command=command), CONTAINED)
    assert verdict.decision is Decision.ALLOW, verdict


def test_constants_that_double_do_not_fill_the_memory(baseline: Pack) -> None:
    command = "a=0123456789; " + "a=$a$a; " * 60 + "echo $a"
    assert judge(baseline, ShellRequest(command=command), CONTAINED).decision is Decision.ALLOW


def patch_of(path: str, *header: str, added: str = "x") -> str:
    return "\n".join(
        [f"diff --git a/{path} b/{path}", *header, f"--- a/{path}", f"+++ b/{path}",
         "@@ -1 +1 @@", "-y", f"+{added}", ""]
    )  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/passwd", ".git/config", "sub/.git/hooks/post-checkout", ".GIT/config",
     ".git./config", "git~1/config", ".journeyman/config.toml", "C:/x", "..\\x"],
)  # fmt: skip
def test_a_patch_that_leaves_the_tree_is_denied(baseline: Pack, path: str) -> None:
    verdict = judge(baseline, ApplyRequest(patch=patch_of(path), target="."), CONTAINED)
    assert verdict.decision is Decision.DENY, verdict


@pytest.mark.parametrize(
    "patch",
    [
        *(patch_of(path) for path in (
            ".gitattributes", "sub/.gitmodules", ".github/workflows/x.yml", ".gitlab-ci.yml", "conftest.py",
            "tests/conftest.py", "setup.py", "pyproject.toml", "package.json", "Makefile", ".husky/pre-commit", "lefthook.yml", ".lefthook-local.toml",
            ".cargo/config.toml", "gradlew", ".mvn/wrapper/maven-wrapper.jar", ".yarn/releases/yarn.cjs", "hatch_build.py",
            "AGENTS.md", ".vscode/tasks.json", "sitecustomize.py", "src/x.pth", ".pre-commit-config.yaml",
            "Dockerfile", ".envrc")),
        patch_of("run.sh", "old mode 100644", "new mode 100755"),
        patch_of("link", "new file mode 120000", added="target"),
        patch_of("link", "new file mode 120000", added="../../etc/passwd"),
        patch_of("link", "index 1111111..2222222 120000", added="/etc/passwd"),
        patch_of("lib", "new file mode 160000", added="Subproject commit 1234"),
        patch_of("a.py", added="x = '\u202e'"),
        "diff --git a/a.png b/a.png\nnew file mode 100644\nindex 0000000..1111111\nGIT binary patch\nliteral 3\nKcmZ\n\n",
        "diff --git a/a.png b/a.png\nindex 0000000..1111111 100644\nBinary files a/a.png and b/a.png differ\n",
        patch_of("x").replace("a/x", '"a/\\143onftest.py"').replace("b/x", '"b/\\143onftest.py"'),
        "diff --git a/x.py b/conftest.py\nsimilarity index 100%\nrename from x.py\nrename to conftest.py\n",
    ],
)  # fmt: skip
def test_a_patch_that_does_more_than_it_shows_is_asked_about(baseline: Pack, patch: str) -> None:
    verdict = judge(baseline, ApplyRequest(patch=patch, target="."), CONTAINED)
    assert verdict.decision is Decision.ASK, verdict


def test_an_ordinary_patch_is_applied_without_a_question(baseline: Pack) -> None:
    patch = patch_of("src/a b.py") + patch_of("tests/test_a.py", "index 1111111..2222222 100644")
    made = "diff --git a/n.py b/n.py\nnew file mode 100644\nindex 0000000..1\n--- /dev/null\n+++ b/n.py\n@@ -0,0 +1 @@\n+x\n"
    verdict = judge(baseline, ApplyRequest(patch=patch + made, target="."), CONTAINED)
    assert verdict.decision is Decision.ALLOW, verdict


def test_a_test_that_is_named_like_an_option_is_asked_about(baseline: Pack) -> None:
    request = RunTestsRequest(tests=("--rootdir=/",))
    assert judge(baseline, request).decision is Decision.ASK
