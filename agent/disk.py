"""A disk that takes no more, said in one way wherever it is noticed."""

from __future__ import annotations

import errno

_TAKES_NO_MORE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def refused(error: BaseException) -> tuple[str, str] | None:
    """What happened and what to do next, where an error means that nothing more can be written."""
    if not isinstance(error, OSError) or error.errno not in _TAKES_NO_MORE:
        return None
    where = error.filename or "a file of the session"
    return (
        f"{where} could not be written: {error.strerror}",
        "Make room on that disk and begin again; what had begun goes on with `journeyman resume`",
    )
