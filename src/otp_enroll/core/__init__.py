"""The rules. Pure: no I/O, no clock, no randomness, as ``test_core_is_pure`` proves.

A rule that reads nothing but its arguments can be run again after a lost race, walked through every
order of two requests, and shared by the sync and the async enroller without a second copy. Time,
fresh secrets and opened ones come in through ``World``.
"""
