"""The suite: real services over real sockets; folders mirror the rooms."""
