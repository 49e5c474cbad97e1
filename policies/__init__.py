"""Who may do what: the vocabulary of actions, the gate that judges them, the log that proves it."""
