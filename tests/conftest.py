"""What all tests share. Loads no torch: most tests need none."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # read when torch and numpy load; threads that spin slow down everything beside them

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no test asserts a time
settings.load_profile("house")
