"""Runs: their settings, how they are built, carried out, kept and opened again."""
