"""What runs inside a sandbox: standard library only, any Python from 3.8, nothing of ours outside.

The files of this package are sent into the sandbox when it is opened (no image holds them) and
lie there as the package `sandbox.worker` under a folder that only root can write:

    supervisor.py    the one process that speaks with the host; starts, limits and sweeps the rest
    cells.py         its side of the stateful interpreter
    interpreter.py   the stateful interpreter itself, run by the task's own Python
    verbs.py         function verbs: verb -> "module:function", run in a forked child
    read.py, edit.py, search.py    verbs on files
    store.py, patches.py           snapshots of the workspace, and patches
"""
