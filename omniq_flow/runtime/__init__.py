"""Runs: their state on the server, how they move, and the handles that users hold."""
