"""One-time passwords for your users: from disabled through pending to confirmed, and back."""

from otp_enroll import errors, events
from otp_enroll.async_enroller import AsyncEnroller, AsyncJoinedEnroller
from otp_enroll.core.proofs import Override, Verification
from otp_enroll.core.setup_verbs import KeyCopy
from otp_enroll.core.status import AuthenticatorStatus, Status
from otp_enroll.display.setup import Confirmation, RecoveryCodes, Setup
from otp_enroll.enroller import Enroller, JoinedEnroller
from otp_enroll.maintenance import ResealReport
from otp_enroll.policy import STRICT, AttemptBudget, Parameters, Policy
from otp_enroll.provisioning.uri import ProvisioningWarning
from otp_enroll.storage.protocol import (
    AsyncEnrollmentStore,
    AsyncListingStore,
    EnrollmentStore,
    ListingStore,
    SecretCipher,
    StoredEnrollment,
    Unencrypted,
)

__all__ = [
    "STRICT",
    "AsyncEnroller",
    "AsyncEnrollmentStore",
    "AsyncJoinedEnroller",
    "AsyncListingStore",
    "AttemptBudget",
    "AuthenticatorStatus",
    "Confirmation",
    "Enroller",
    "EnrollmentStore",
    "JoinedEnroller",
    "KeyCopy",
    "ListingStore",
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
