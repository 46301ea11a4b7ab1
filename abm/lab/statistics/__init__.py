"""Estimates, intervals, tests and searches: functions of NumPy arrays that know nothing of sweeps, tables or files."""
