"""Samples, statistics and overlap: arithmetic on times, whatever they were measured on."""
