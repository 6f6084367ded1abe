"""What every answer goes through: the headers, and the refusals that no view took."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from pages import pages

from django_app import security
from otp_enroll import errors


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
        """Show a refusal; a failure goes on to Django's handler of 500s."""
        if isinstance(error, errors.RefusalError):
            return security.refused(request, error)
        return None
