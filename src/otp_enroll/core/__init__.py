"""The rules. Pure: no I/O, no clock, no randomness; what they need is passed in."""
