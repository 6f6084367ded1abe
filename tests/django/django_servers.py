"""The fixture ``site``, for ``pytest_plugins``: one server of a kind for all tests of Django."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django_site import CLOCK, Site, site_of

from helpers import servers
from otp_enroll.testing import FrozenClock

postgresql = servers.postgresql
mariadb = servers.mariadb


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Stand the project on each kind of database in turn."""
    with site_of(request.param, request, tmp_path) as opened:
        CLOCK.now = FrozenClock().now
        yield opened
