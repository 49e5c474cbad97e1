from __future__ import annotations

import pytest

from agent.mentioned import frames

FILES = (
    "src/_pytest/rewrite.py",
    "src/_pytest/python.py",
    "lib/arrays/nd.py",
    "lib/arrays/__init__.py",
    "lib/core/__init__.py",
    "setup.py",
)
REPORT = r"""
It breaks:
Traceback (most recent call last):
  File "<stdin>", line 1, in <module>
  File "/home/x/site-packages/lib/arrays/nd.py", line 130, in __new__
    return cls._new(iterable)
  File "C:\py\site-packages\_pytest\rewrite.py", line 7, in run
  File "/home/x/site-packages/lib/arrays/nd.py", line 120, in f
  File "/usr/lib/python3.11/json/decoder.py", line 3, in decode
ValueError

/opt/x/_pytest/python.py:195: in pytest_pyfunc_call
    x()
/opt/x/_pytest/python.py:17: ValueError
"""


def test_the_frames_of_a_report_are_found_innermost_first_by_the_ends_of_their_paths() -> None:
    assert frames(REPORT, FILES) == [
        ("src/_pytest/python.py", "pytest_pyfunc_call"),
        ("lib/arrays/nd.py", "f"),
        ("src/_pytest/rewrite.py", "run"),
        ("lib/arrays/nd.py", "__new__"),
    ]


@pytest.mark.parametrize(
    "path", ["/elsewhere/nd.py", "/a/__init__.py", "/x/other/rewrite.py", "/lib/arrays/gone.py"]
)
def test_a_file_that_only_has_the_same_name_is_not_meant(path: str) -> None:
    assert frames(f'  File "{path}", line 3, in f\n', FILES) == []


def test_a_file_at_the_root_is_meant_by_its_name() -> None:
    assert frames('  File "/tmp/setup.py", line 3, in f\n', FILES) == [("setup.py", "f")]
