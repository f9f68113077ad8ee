"""Saying what went wrong: diagnoses, failure cards, and visible white space."""
