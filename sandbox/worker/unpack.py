"""Verb `unpack`: lay the tar archive that comes on standard input into the workspace."""

from __future__ import annotations

import os
import sys
import tarfile
from typing import Any, Dict

from sandbox.worker.verbs import Context


def run(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """Unpack it; owners are not kept, modes and times are."""
    del arguments
    options: Dict[str, Any] = {}
    if hasattr(tarfile, "fully_trusted_filter"):
        # Our own archive, unpacked by a user that owns the workspace and nothing else.
        options["filter"] = "fully_trusted"
    with os.fdopen(os.dup(0), "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        archive.extractall(context.workspace, **options)
    return {"exit_code": 0, "data": {"python": sys.version.split()[0]}}
