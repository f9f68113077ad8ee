"""Readers of problems, one for each layout of folders that judges and authors use."""
