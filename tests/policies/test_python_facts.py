"""Python facts: what the text says, constants and aliases followed."""

from __future__ import annotations

import pytest

from policies import facts
from policies.action import Action, PythonRequest
from policies.facts import Facts
from policies.gate import Circumstances


def facts_of(code: str) -> Facts:
    request = PythonRequest(code=code)
    action = Action(session_id="s", step=0, index=0, tool="python", request=request)
    return facts.of(action, Circumstances(contained=False, mode="ci"))


@pytest.mark.parametrize(
    "code",
    [
        "open('.env')",
        "open('.' + 'env')",
        "open(chr(46) + 'env')",
        "open(f'{\".\"}env')",
        "open(''.join(['.', 'env']))",
        "open('{}env'.format('.'))",
        "open('vne.'[::-1])",
        "open(bytes.fromhex('2e656e76').decode())",
        "import base64\nopen(base64.b64decode('LmVudg=='))",
        "name = '.env'\nopen(name)",
        "from pathlib import Path\nPath('.env').read_text()",
        "from pathlib import Path as P\n(P('a') / '.env').open()",
        "import os.path\nopen(os.path.join('cfg', '.env'))",
        "import io\nio.open('.env')",
        "f = open\nf('.env')",
        "import shutil\nshutil.copy('.env', 'x')",
        "import os\nos.symlink('.env', 'x')",
        "import os\nos.system('cat .env')",
        "import subprocess as s\ns.run(['cat', '.env'])",
        "from subprocess import check_output as c\nc('cat .env', shell=True)",
        "exec('open(\".env\")')",
        "import pandas as pd\npd.read_csv('.env')",
        "with open('.env') as f:\n    pass",
        "def f():\n    return open('.env')",
        "[open(n) for n in ['a']] + [open('.env')]",
    ],
)
def test_a_secret_file_is_seen_however_it_is_spelt(code: str) -> None:
    found = facts_of(code).paths
    assert any(p.access == "read" and "secret" in p.classes for p in found), found


@pytest.mark.parametrize(
    ("code", "access"),
    [
        ("open('a')", "read"),
        ("open('a', 'rb')", "read"),
        ("open('a', 'w')", "write"),
        ("open('a', mode='r+')", "write"),
        ("open('a', m)", "write"),
        ("import os\nos.remove('a')", "delete"),
        ("import os\nos.listdir('a')", "list"),
        ("from pathlib import Path\nPath('a').write_text('x')", "write"),
        ("from pathlib import Path\nPath('a').open('w')", "write"),
    ],
)
def test_what_is_done_to_a_file_is_told(code: str, access: str) -> None:
    assert [(p.text, p.access) for p in facts_of(code).paths] == [("a", access)]


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.system(x)",
        "import os\nf = os.system\nf('ls')",
        "import os, threading\nthreading.Thread(target=os.system)",
        "import subprocess\nmap(subprocess.run, x)",
        "from os import *",
        "eval(x)",
        "eval(x)".translate({c: c + 0xFEE0 for c in b"eval"}),
        "exec(compile(x, '', 'exec'))",
        "__import__('os')",
        "import importlib\nimportlib.import_module('os')",
        "getattr(x, y)",
        "import os\ngetattr(os, 'system')",
        "().__class__.__subclasses__()",
        "f.__globals__['x']",
        "import ctypes",
        "import _posixsubprocess",
        "import pickle\npickle.loads(x)",
        "import yaml\nyaml.load(x)",
        "import builtins\nbuiltins.open = 1",
        "import sys\nsys.modules['os'] = 1",
        "import os\nos.environ['PATH'] = '.'",
        "open = 1",
        "import sys\nsys._getframe()",
        "open(x)",
        "def broken(:",
    ],
)
def test_what_the_text_does_not_tell_is_doubted(code: str) -> None:
    assert facts_of(code).action.uncertain


@pytest.mark.parametrize(
    "code",
    [
        "x = [1, 2]\nprint(sum(x))",
        "import json\njson.loads('{}')",
        "import re\nre.compile('a').sub('b', 'c')",
        "import app\napp.main(['--help'])",
        "class A:\n    def f(self):\n        return self.x",
        "import subprocess\nsubprocess.PIPE",
        "name = 'os.system'\nprint(name)",
        "getattr(x, 'name')",
    ],
)
def test_ordinary_code_is_not_doubted(code: str) -> None:
    assert facts_of(code).action.uncertain == ()


def test_names_of_imports_are_told_in_full() -> None:
    known = facts_of("import numpy as np\nfrom os import path as p\nnp.linalg.norm(1)\np.join('a')")
    assert known.python.imports == ("numpy", "os")
    assert known.python.calls == ("numpy.linalg.norm", "os.path.join")


def test_commands_that_python_starts_are_commands() -> None:
    known = facts_of("import os\nos.system('a | b')\nimport subprocess\nsubprocess.run(('c', 'd'))")
    assert [c.program for c in known.commands] == ["a", "b", "c"]
