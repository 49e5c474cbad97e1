"""What the user gave, checked before anything is done: folder, files, words."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from agent.doors.cli.failure import Failure
from agent.outcome import Outcome

LONGEST_TASK = 1_000_000
"""Characters; a task is read by people and models, and a log is no place for a data set."""


def existing_folder(repo: Path) -> Path:
    """The full path of a folder that can be worked on.

    Raises:
        Failure: There is no such folder, or it is no project's.
    """
    from sandbox.errors import SandboxError
    from sandbox.workspace import check_folder

    try:
        root = check_folder(repo)
    except SandboxError as error:
        raise wrong(str(error), remedy=error.remedy) from error
    check_spelling({"the name of the folder": str(root)})
    return root


def check_home(repo: Path) -> None:
    """The log of a run is no part of what it works on; looked at before the folder is made.

    Raises:
        Failure: The state folder lies in the repository, or has a name that no log can hold.
    """
    import platformdirs

    named = os.environ.get("JOURNEYMAN_HOME", "")
    place = Path(named) if named else platformdirs.user_state_path("journeyman")
    home = Path(os.path.realpath(place.expanduser()))
    if home.is_relative_to(repo):
        raise wrong(
            f"the state folder {home} lies in the folder to work on",
            remedy="name one elsewhere in JOURNEYMAN_HOME",
        )
    check_spelling({"the name of the state folder": str(home)})


def check_spelling(texts: Mapping[str, str]) -> None:
    """A log is UTF-8, and the bytes of a name or an argument may be none.

    Raises:
        Failure: One of the texts cannot be written down; says which by its key.
    """
    for what, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise wrong(
                f"{what} is not UTF-8: {text[:200]}", remedy="give it another that is"
            ) from error


def check_patch_file(file: Path | None) -> None:
    """A patch that took an hour must not be lost to a typing error.

    Raises:
        Failure: Nothing can be written there.
    """
    if file is None:
        return
    folder = file.absolute().parent
    try:
        if file.is_dir():
            why = "it is a folder"
        elif not folder.is_dir():
            why = f"there is no folder {folder}"
        elif not os.access(file if file.exists() else folder, os.W_OK):
            why = "it may not be written to"
        else:
            return
    except OSError as error:
        why = str(error.strerror)
    raise wrong(
        f"{str(file)[:200]} cannot be written: {why[:200]}",
        remedy="name a file in a folder that exists with -o",
    )


def check_words(text: str) -> str:
    """What is wanted, in the user's words.

    Raises:
        Failure: It is empty, endless, or no UTF-8.
    """
    if not text.strip():
        raise wrong("the task is empty", remedy='say what you want: journeyman run "TASK"')
    if len(text) > LONGEST_TASK:
        raise wrong(
            f"the task is longer than {LONGEST_TASK:,} characters",
            remedy="say what is wanted, and put the rest into a file of the repository",
        )
    check_spelling({"the task": text})
    return text


def words_on_standard_input() -> str:
    """The task as standard input holds it; of an endless one no more than shows that it is."""
    if sys.stdin is None:  # the caller closed it
        return check_words("")
    data = sys.stdin.buffer.read(4 * LONGEST_TASK + 1)
    cut = len(data) > 4 * LONGEST_TASK
    return check_words(data.decode("utf-8", "replace" if cut else "surrogateescape"))


def wrong(happened: str, *, remedy: str) -> Failure:
    """Wrong use: exit code 2."""
    return Failure(happened, remedy=remedy, outcome=Outcome.USAGE)
