"""The verbs that an enroller and its view share, in both flavours, side by side.

In the first line of each verb what was typed is put into a redacted type and its name is
rebound, so that no traceback with locals shows it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TypeVar

from otp_enroll.attempt import AnswerT, RequestT, Transition
from otp_enroll.core import requests, setups, status, transitions
from otp_enroll.core.arguments import HIDDEN, read_proof, read_setup_id
from otp_enroll.core.proofs import Override, Verification
from otp_enroll.core.proofs import Proof as CheckedProof
from otp_enroll.core.status import Status
from otp_enroll.display.setup import RecoveryCodes, Setup

T = TypeVar("T")
Context = Mapping[str, str] | None
Proof = str | Verification | Override | None


def as_it_is(answer: T) -> T:
    """Present an answer that needs no presentation."""
    return answer


class Verbs(ABC):
    """The verbs that need no code: on an enroller each also takes a typed proof, and judges it."""

    __slots__ = ()

    @abstractmethod
    def _apply(
        self,
        transition: Transition[RequestT, AnswerT],
        request: RequestT,
        present: Callable[[AnswerT], T],
    ) -> T: ...

    @abstractmethod
    def _erase(self, request: requests.Erase) -> None: ...

    def _admitted(self, proof: CheckedProof) -> CheckedProof:
        """Refuse a proof that does not serve here; an enroller takes every kind."""
        return proof

    def begin(
        self,
        user_id: str,
        *,
        account_name: str,
        authenticator: str | None = None,
        proof: Proof = None,
        context: Context = None,
    ) -> Setup:
        """Make a fresh secret and show it; any setup before it is superseded. Call it by POST.

        Args:
            user_id: The account's key in the store: 1 to 190 characters, never to be changed.
            account_name: What the authenticator app shows, 1 to 128 characters without a colon.
            authenticator: Which one to replace, or the name of a further one. Without it the
                only one is replaced, or the first is called "default".
            proof: On a confirmed account: a code, a recovery code, a ``Verification`` or an
                ``Override``. On any other the app must have re-authenticated its user.
            context: For the events: ip, agent, actor, …

        Raises:
            ProofRequiredError: The account is confirmed and nothing proves that it may change.
            NotEnrolledError: A code was typed where there is nothing to prove.
            AmbiguousAuthenticatorError: Several could be meant.
            TooManyAuthenticatorsError: The policy allows no further one.
            EnrollmentError: As ``verify``, if a code was typed.
        """
        shown, proof = read_proof(proof), HIDDEN
        request = requests.Begin(
            user_id=user_id,
            account_name=account_name,
            authenticator=authenticator,
            proof=self._admitted(shown),
            context=context,
        )
        return self._apply(setups.begin, request, Setup)

    def resume(self, user_id: str, *, setup_id: str, context: Context = None) -> Setup:
        """Show the live setup again: the same key, the same QR code, and nothing is written.

        Raises:
            NotPendingError: No setup is under way.
            SetupError: The id is not the live setup's, or the setup has expired.
            UnreadableSecretError: The cipher cannot open its secret.
        """
        named, setup_id = read_setup_id(setup_id), HIDDEN
        request = requests.Resume(user_id=user_id, setup_id=named, context=context)
        return self._apply(setups.resume, request, Setup)

    def cancel(self, user_id: str, *, setup_id: str, context: Context = None) -> None:
        """Give the live setup up.

        Raises:
            NotPendingError: No setup is under way.
            SetupError: The id is not the live setup's, or the setup has expired.
        """
        named, setup_id = read_setup_id(setup_id), HIDDEN
        request = requests.Cancel(user_id=user_id, setup_id=named, context=context)
        return self._apply(setups.cancel, request, as_it_is)

    def disable(
        self,
        user_id: str,
        *,
        proof: Proof = None,
        authenticator: str | None = None,
        context: Context = None,
    ) -> None:
        """Switch one-time passwords off, or remove one authenticator. With the last all goes.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            UnknownAuthenticatorError: It has none of that name.
            ProofRequiredError: Nothing proves that the account may change.
            EnrollmentError: As ``verify``, if a code was typed.
        """
        shown, proof = read_proof(proof), HIDDEN
        request = requests.Disable(
            user_id=user_id,
            proof=self._admitted(shown),
            authenticator=authenticator,
            context=context,
        )
        return self._apply(transitions.disable, request, as_it_is)

    def regenerate_recovery_codes(
        self, user_id: str, *, proof: Proof = None, context: Context = None
    ) -> RecoveryCodes:
        """Make a new set of recovery codes, which voids the old one.

        A recovery code is no proof here: with the answer lost, its owner would have none left.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            ProofRequiredError: Nothing proves that the account may change.
            EnrollmentError: As ``verify``, if a code was typed.
        """
        shown, proof = read_proof(proof), HIDDEN
        request = requests.RegenerateRecoveryCodes(
            user_id=user_id, proof=self._admitted(shown), context=context
        )
        return self._apply(transitions.regenerate_recovery_codes, request, RecoveryCodes)

    def rename(
        self, user_id: str, authenticator: str, new_name: str, *, context: Context = None
    ) -> None:
        """Call an authenticator something else.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            UnknownAuthenticatorError: It has none of that name.
            AmbiguousAuthenticatorError: Another one has the new name.
        """
        request = requests.Rename(
            user_id=user_id, authenticator=authenticator, new_name=new_name, context=context
        )
        return self._apply(transitions.rename, request, as_it_is)

    def erase(self, user_id: str, *, proof: Override, context: Context = None) -> None:
        """Delete the account's row, whatever is in it.

        Raises:
            ProofRequiredError: No ``Override``.
            StorageError: The store failed.
        """
        shown = read_proof(proof)
        del proof  # who mistakes it for a code may have typed one
        request = requests.Erase(user_id=user_id, proof=self._admitted(shown), context=context)
        self._erase(request)

    def status(self, user_id: str) -> Status:
        """Tell the state, without a secret.

        Raises:
            StorageError: The store failed: not the same as "not enrolled".
        """
        return self._apply(status.status, requests.AskStatus(user_id=user_id), as_it_is)


class AsyncVerbs(ABC):
    """The same, awaited."""

    __slots__ = ()

    @abstractmethod
    async def _apply(
        self,
        transition: Transition[RequestT, AnswerT],
        request: RequestT,
        present: Callable[[AnswerT], T],
    ) -> T: ...

    @abstractmethod
    async def _erase(self, request: requests.Erase) -> None: ...

    def _admitted(self, proof: CheckedProof) -> CheckedProof:
        """Refuse a proof that does not serve here; an enroller takes every kind."""
        return proof

    async def begin(
        self,
        user_id: str,
        *,
        account_name: str,
        authenticator: str | None = None,
        proof: Proof = None,
        context: Context = None,
    ) -> Setup:
        """As ``Enroller.begin``."""
        shown, proof = read_proof(proof), HIDDEN
        request = requests.Begin(
            user_id=user_id,
            account_name=account_name,
            authenticator=authenticator,
            proof=self._admitted(shown),
            context=context,
        )
        return await self._apply(setups.begin, request, Setup)

    async def resume(self, user_id: str, *, setup_id: str, context: Context = None) -> Setup:
        """As ``Enroller.resume``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        request = requests.Resume(user_id=user_id, setup_id=named, context=context)
        return await self._apply(setups.resume, request, Setup)

    async def cancel(self, user_id: str, *, setup_id: str, context: Context = None) -> None:
        """As ``Enroller.cancel``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        request = requests.Cancel(user_id=user_id, setup_id=named, context=context)
        return await self._apply(setups.cancel, request, as_it_is)

    async def disable(
        self,
        user_id: str,
        *,
        proof: Proof = None,
        authenticator: str | None = None,
        context: Context = None,
    ) -> None:
        """As ``Enroller.disable``."""
        shown, proof = read_proof(proof), HIDDEN
        request = requests.Disable(
            user_id=user_id,
            proof=self._admitted(shown),
            authenticator=authenticator,
            context=context,
        )
        return await self._apply(transitions.disable, request, as_it_is)

    async def regenerate_recovery_codes(
        self, user_id: str, *, proof: Proof = None, context: Context = None
    ) -> RecoveryCodes:
        """As ``Enroller.regenerate_recovery_codes``."""
        shown, proof = read_proof(proof), HIDDEN
        request = requests.RegenerateRecoveryCodes(
            user_id=user_id, proof=self._admitted(shown), context=context
        )
        return await self._apply(transitions.regenerate_recovery_codes, request, RecoveryCodes)

    async def rename(
        self, user_id: str, authenticator: str, new_name: str, *, context: Context = None
    ) -> None:
        """As ``Enroller.rename``."""
        request = requests.Rename(
            user_id=user_id, authenticator=authenticator, new_name=new_name, context=context
        )
        return await self._apply(transitions.rename, request, as_it_is)

    async def erase(self, user_id: str, *, proof: Override, context: Context = None) -> None:
        """As ``Enroller.erase``."""
        shown = read_proof(proof)
        del proof  # who mistakes it for a code may have typed one
        request = requests.Erase(user_id=user_id, proof=self._admitted(shown), context=context)
        await self._erase(request)

    async def status(self, user_id: str) -> Status:
        """As ``Enroller.status``."""
        return await self._apply(status.status, requests.AskStatus(user_id=user_id), as_it_is)
