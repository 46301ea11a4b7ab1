"""One thread for each process that computes runs."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"), "1")
"""Environment, read when the libraries are imported. Each worker has one processor, and the last digit of a sum of floating-point
numbers must not depend on how many threads shared the work."""
