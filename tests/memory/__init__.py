"""Memory: a Redis server of the tests' own, and the real vector engine on real files."""
