"""Executing programs: the request, the result and everything that turns one into the other."""
