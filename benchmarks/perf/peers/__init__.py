"""One agent a file, each driven in its own environment: `python -m MODULE URL FOLDER STEPS`.

Each works on the same task with the same scripted model, and prints its CPU seconds at the steps
that were named.
"""
