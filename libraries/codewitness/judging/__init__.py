"""Test cases, output comparison and verdicts: bytes in, judgement out, no executor in sight."""
