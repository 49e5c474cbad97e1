"""Tests of the chat models, over real sockets to a scripted server."""
