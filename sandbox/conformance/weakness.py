"""What a kind of sandbox may not protect from, in the words that every result made in it bears.

A row of the table that names a weakness is not run in a sandbox whose description has it: it is
reported as not protected.
"""

from __future__ import annotations

from enum import StrEnum


class Weakness(StrEnum):
    """One sentence each, as `Description.weaknesses` holds them."""

    MEMORY = "Memory is limited for each process, not in all."
    PROCESSES = "The number of processes is not limited."
    PROCESSOR = "Processor time is not limited in all."
    FILES = "The number of files is not limited, only their bytes."
    STORE = "Its snapshots can be changed by the code it runs."
    PROGRAMS = "It sees the host's /usr, with the programs and Python packages installed there."
    SETUP_NETWORK = (
        "The setup of its environment had the host's own network, with all that listens there."
    )
