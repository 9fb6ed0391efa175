"""Fixtures for every room, and how long a property may take: as long as the machine likes."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.services import kafka, prefix

__all__ = ["kafka", "prefix"]

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
