"""Who says what to do next: a chat model, or the search."""
