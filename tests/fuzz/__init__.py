"""Bytes from outside, whatever they are: a value, or the error that is documented."""
