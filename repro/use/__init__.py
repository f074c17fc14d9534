"""Trained networks, used again: on pictures, in the browser, in another program."""
