"""One-time passwords for your users: from disabled through pending to confirmed, and back."""

from otp_enroll import errors, events
from otp_enroll.core.decision import KeyCopy, ResealReport
from otp_enroll.core.proofs import Override, Verification
from otp_enroll.core.status import AuthenticatorStatus, Status
from otp_enroll.display.setup import Confirmation, RecoveryCodes, Setup
from otp_enroll.enroller import AsyncEnroller, Enroller
from otp_enroll.policy import STRICT, AttemptBudget, Parameters, Policy
from otp_enroll.provisioning.uri import ProvisioningWarning
from otp_enroll.storage.protocol import (
    AsyncEnrollmentStore,
    EnrollmentStore,
    SecretCipher,
    StoredEnrollment,
    Unencrypted,
)
from otp_enroll.view import AsyncEnrollerView, EnrollerView

__all__ = [
    "STRICT",
    "AsyncEnroller",
    "AsyncEnrollerView",
    "AsyncEnrollmentStore",
    "AttemptBudget",
    "AuthenticatorStatus",
    "Confirmation",
    "Enroller",
    "EnrollerView",
    "EnrollmentStore",
    "KeyCopy",
    "Override",
    "Parameters",
    "Policy",
    "ProvisioningWarning",
    "RecoveryCodes",
    "ResealReport",
    "SecretCipher",
    "Setup",
    "Status",
    "StoredEnrollment",
    "Unencrypted",
    "Verification",
    "errors",
    "events",
]
