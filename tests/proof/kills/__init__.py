"""Processes killed while they work, servers too, and a judge of what is true afterwards."""
