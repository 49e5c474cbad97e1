"""The command line: one command a file, loaded by name, each importing its rooms when it runs."""
