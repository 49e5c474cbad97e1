"""What runs inside a sandbox: standard library only, any Python from 3.8, nothing of ours outside.

The files of this package are sent into the sandbox when it is opened (no image holds them) and
lie there as the package `sandbox.worker` under a folder that only root can write:

    supervisor.py    the one process that speaks with the host: the poll loop
    frames.py        its messages; streams.py its pipes and queues
    processes.py     children without rights, and the sweep
    jobs.py          verbs under way; cells.py those of the stateful interpreter
    interpreter.py   the stateful interpreter itself, run by the task's own Python
    verbs.py         function verbs: verb -> "module:function", run in a forked child
    read.py, edit.py, search.py    verbs on files (files.py: paths, encodings, lines)
    unpack.py, store.py, patches.py    the workspace: laid, kept, put back, compared
    testing.py, pytest_plugin.py, repair/    tests and the repair search
"""
