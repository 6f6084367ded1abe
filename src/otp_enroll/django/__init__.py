"""Enrollments in a Django project: put ``"otp_enroll.django"`` in ``INSTALLED_APPS``."""
