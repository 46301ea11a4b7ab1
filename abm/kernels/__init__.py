"""Compiled functions on arrays: the arithmetic of the venue, with no classes and no files.

Everything here works on the tables of `abm.state` or on plain numbers. Nothing here knows rules, agents or the lab.
"""
