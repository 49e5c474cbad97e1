"""What must hold of a sandbox, whatever kind it is: the table, and the check that runs it.

weakness.py     what a kind of sandbox may not protect from, in the words that results bear
row.py          one row of the table, and how it is tried
exhaustion.py   rows: memory, processes, files, output without end
interpreter.py  rows: cells that hang, die, or break what they run in
escapes.py      rows: ways out, to the kernel, the network, the host, the supervisor
host.py         rows: what comes out, and the host's own handling of it
table.py        all rows, and `check`
"""
