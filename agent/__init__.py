"""The agent: sessions, the loop, who proposes, and the doors people come in by."""
