"""The page that says why there is none, for what no view answers."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from django_app.web import answer, visit


def refused(request: HttpRequest, why: str, status: int) -> HttpResponse:
    """Say why there is no page, without the database: it may be what failed."""
    return answer(visit(request).refused(why, status))


def csrf_refused(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001  # Django names it
    """A form of another site, or one whose session is over."""
    return refused(request, "csrf", 403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django names it
    """Something that no browser sends, or a session that ended meanwhile."""
    return refused(request, "csrf", 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django names it
    """A page for others."""
    return refused(request, "forbidden", 403)


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django names it
    """An address that nothing has."""
    return refused(request, "missing", 404)


def broken(request: HttpRequest) -> HttpResponse:
    """A failure, or a bug: nobody is let in. Django has logged it."""
    return refused(request, "broken", 500)
