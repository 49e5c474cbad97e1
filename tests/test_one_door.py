"""The watch itself: a planted offence is seen, the sandbox's own acts are not."""

from __future__ import annotations

import pytest

from tests import one_door

START = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''], check=True)\n"
CONNECT = "import socket\ns = socket.socket()\ns.settimeout(1)\ns.connect_ex(('127.0.0.1', 9))\n"


def act_from(path: str, act: str) -> list[str]:
    """Do it from code that claims to lie at this path of the house; what the watch then says."""
    exec(compile(act, str(one_door.ROOT / path), "exec"), {})
    seen = list(one_door.offences)
    one_door.offences.clear()
    return seen


@pytest.mark.parametrize("act", [START, CONNECT])
@pytest.mark.parametrize("room", ["agent/loop", "agent/proposers", "tools", "policies"])
def test_an_act_that_bypasses_the_workbench_is_seen(room: str, act: str) -> None:
    (offence,) = act_from(f"{room}/planted.py", act)

    assert f"{room}/planted.py:" in offence


@pytest.mark.parametrize("act", [START, CONNECT])
@pytest.mark.parametrize("room", ["sandbox", "memory", "agent/models"])
def test_who_performs_may_act(room: str, act: str) -> None:
    assert act_from(f"{room}/planted.py", act) == []
