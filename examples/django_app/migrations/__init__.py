"""The table of notices."""
