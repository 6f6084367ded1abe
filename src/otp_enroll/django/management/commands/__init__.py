"""Maintenance from the command line."""
