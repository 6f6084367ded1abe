"""What every answer goes through: the headers, and the page that says that something failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from pages import pages

from django_app.refusals import refused
from otp_enroll import errors

log: Final = logging.getLogger(__name__)


class Guard:
    """The outermost middleware, so that refusals of the others have the headers, too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Put the headers on each page; style and script may be cached."""
        response = self.get_response(request)
        if not request.path.startswith(settings.STATIC_URL):
            for name, value in pages.HEADERS.items():
                response[name] = value
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Let nobody in when something failed."""
        if not isinstance(error, (errors.EnrollmentError, OperationalError)):
            return None
        log.error("the request failed: %s", type(error).__name__)
        return refused(request, "broken", 503)
