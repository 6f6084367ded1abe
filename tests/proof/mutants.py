"""Small wrong changes to the rules, each with the test that it must not survive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake.

    Attributes:
        mistake: What is wrong with it.
        file: Where, below the package.
        right: The text that stands there, once.
        wrong: The text that takes its place.
        killer: The test that fails, below ``tests``.
    """

    mistake: str
    file: str
    right: str
    wrong: str
    killer: str


MUTANTS: Final = (
    Mutant(
        "the counter may go down",
        "core/judging.py",
        "last_counter=matched[one.id][-1], last_used_at",
        "last_counter=matched[one.id][0] - 1, last_used_at",
        "test_verify.py::test_spent_code_is_never_accepted_again",
    ),
    Mutant(
        "the lowest match is burnt, not the highest",
        "core/judging.py",
        "last_counter=matched[one.id][-1], last_used_at",
        "last_counter=matched[one.id][0], last_used_at",
        "test_verify.py::test_code_of_two_adjacent_counters_is_spent_for_both",
    ),
    Mutant(
        "only the equal counter is a replay",
        "core/judging.py",
        "if matched[one.id][0] <= one.last_counter:",
        "if matched[one.id][0] == one.last_counter:",
        "test_verify.py::test_counter_never_goes_back",
    ),
    Mutant(
        "the highest match decides about a replay",
        "core/judging.py",
        "if matched[one.id][0] <= one.last_counter:",
        "if matched[one.id][-1] <= one.last_counter:",
        "test_verify.py::test_code_with_a_spent_and_a_fresh_counter_is_reused",
    ),
    Mutant(
        "a replay is counted as a failure",
        "core/judging.py",
        (
            "            return Decision(\n"
            '                CodeReusedError(), events=(facts.event(events.CodeReused, one, method="code"),)\n'
            "            )"
        ),
        "            return _count_wrong_code(confirmed, facts)",
        "test_verify.py::test_code_that_confirmed_does_not_log_in",
    ),
    Mutant(
        "a code is not spent",
        "core/judging.py",
        "replace(one, last_counter=matched[one.id][-1], last_used_at=facts.now)",
        "replace(one, last_used_at=facts.now)",
        "test_verify.py::test_spent_code_is_never_accepted_again",
    ),
    Mutant(
        "only the first authenticator that shows a code moves",
        "core/judging.py",
        "        if one in shown\n",
        "        if one is shown[0]\n",
        "test_verify.py::test_one_secret_under_two_names_is_spent_once",
    ),
    Mutant(
        "a lock is not looked at",
        "core/judging.py",
        ("    if budget.locked:\n        return _refused_by_lock(confirmed, facts)\n"),
        "",
        "test_verify.py::test_fiftieth_wrong_code_locks_and_no_clock_opens",
    ),
    Mutant(
        "a wait is not looked at",
        "core/judging.py",
        "    return waiting or _compare(confirmed, typed, facts)",
        "    return _compare(confirmed, typed, facts)",
        "test_verify.py::test_nothing_is_compared_or_counted_during_a_wait",
    ),
    Mutant(
        "recovery codes know no wait",
        "core/judging.py",
        ("    if waiting is not None:\n        return waiting\n"),
        "",
        "test_verify.py::test_recovery_codes_wait_and_never_lock",
    ),
    Mutant(
        "a spent recovery code works again",
        "core/judging.py",
        "    if confirmed.recovery.spent[place]:",
        "    if False and confirmed.recovery.spent[place]:",
        "test_verify.py::test_recovery_code_signs_in_once_and_leaves_otp_on",
    ),
    Mutant(
        "a recovery code is not marked",
        "core/judging.py",
        'confirmed=_cleared(replace(confirmed, recovery=spent), "recovery_code")',
        'confirmed=_cleared(confirmed, "recovery_code")',
        "test_verify.py::test_recovery_code_signs_in_once_and_leaves_otp_on",
    ),
    Mutant(
        "a wrong code is not counted",
        "core/judging.py",
        "        enrollment=replace(confirmed, budgets=replace(confirmed.budgets, code=budget)),\n",
        "",
        "test_verify.py::test_waits_grow_as_the_schedule_says",
    ),
    Mutant(
        "a wrong recovery code is not counted",
        "core/judging.py",
        '        enrollment=_with_waits(confirmed, "recovery_code", waits),\n',
        "",
        "test_verify.py::test_recovery_codes_wait_and_never_lock",
    ),
    Mutant(
        "a wrong recovery code counts against codes",
        "core/judging.py",
        '        enrollment=_with_waits(confirmed, "recovery_code", waits),\n',
        '        enrollment=_with_waits(confirmed, "code", waits),\n',
        "test_verify.py::test_recovery_codes_wait_and_never_lock",
    ),
    Mutant(
        "a right code does not clear the count in a row",
        "core/judging.py",
        'confirmed=_cleared(replace(confirmed, authenticators=moved), "code")',
        "confirmed=replace(confirmed, authenticators=moved)",
        "test_verify.py::test_success_clears_the_consecutive_count_alone",
    ),
    Mutant(
        "the server's clock may be behind",
        "core/judging.py",
        (
            "    if any(one.last_counter >= windows[one.id].stop for one in confirmed.authenticators):\n"
            "        raise ServerClockError\n"
        ),
        "",
        "test_verify.py::test_clock_behind_an_accepted_code_judges_nothing",
    ),
    Mutant(
        "a wait stored by a fast clock begins anew at each look",
        "core/judging.py",
        "enrollment=None if rewound is waits else _with_waits(confirmed, method, rewound)",
        "enrollment=None",
        "test_verify.py::test_clock_that_jumped_back_ends_a_wait_in_its_own_length",
    ),
    Mutant(
        "the sixth failure waits, not the fifth",
        "core/budget.py",
        "        if self.failures < budget.free:",
        "        if self.failures <= budget.free:",
        "test_verify.py::test_waits_grow_as_the_schedule_says",
    ),
    Mutant(
        "a wait has no cap",
        "core/budget.py",
        "wait = min(budget.first_wait << min(self.failures - budget.free, 32), budget.longest_wait)",
        "wait = budget.first_wait << min(self.failures - budget.free, 32)",
        "test_verify.py::test_waits_grow_as_the_schedule_says",
    ),
    Mutant(
        "a wait is as long as the stored clock says",
        "core/budget.py",
        "until = min(self.since, now) + wait",
        "until = self.since + wait",
        "core/test_budget.py::test_a_clock_that_jumped_back_locks_nobody_out",
    ),
    Mutant(
        "the last second of a wait is judged",
        "core/budget.py",
        "return until if now < until else None",
        "return until if now + 1 < until else None",
        "core/test_budget.py::test_the_waits_double_from_thirty_seconds_to_an_hour",
    ),
    Mutant(
        "a success clears the count of 30 days",
        "core/budget.py",
        "            return replace(self, code=replace(self.code, waits=waits))",
        "            return replace(self, code=replace(self.code, waits=waits, days=self.code.days if waits.failures else ()))",
        "test_verify.py::test_success_clears_the_consecutive_count_alone",
    ),
    Mutant(
        "days never leave the count of 30 days",
        "core/budget.py",
        "            if day > today - DAYS:\n",
        "            if day > today - 10 * DAYS:\n",
        "core/test_budget.py::test_failures_leave_the_count_after_thirty_days",
    ),
    Mutant(
        "the count of 30 days does not lock",
        "core/budget.py",
        (
            "        return min(\n"
            "            budget.lock_after - self.waits.failures,\n"
            "            budget.lock_after_in_30_days - self.failures_in_30_days,\n"
            "        )"
        ),
        "        return budget.lock_after - self.waits.failures",
        "test_verify.py::test_success_clears_the_consecutive_count_alone",
    ),
    Mutant(
        "the 51st failure locks, not the 50th",
        "core/budget.py",
        "locked=self.locked or counted.attempts_to_lock(budget) <= 0",
        "locked=self.locked or counted.attempts_to_lock(budget) < 0",
        "test_verify.py::test_fiftieth_wrong_code_locks_and_no_clock_opens",
    ),
    Mutant(
        "a later failure lifts the lock",
        "core/budget.py",
        "locked=self.locked or counted.attempts_to_lock(budget) <= 0",
        "locked=counted.attempts_to_lock(budget) == 0",
        "core/test_budget.py::test_a_lock_outlives_further_failures",
    ),
    Mutant(
        "the confirming code is not burnt",
        "core/confirming.py",
        "        last_counter=matched[-1],",
        "        last_counter=-1,",
        "test_verify.py::test_code_that_confirmed_does_not_log_in",
    ),
    Mutant(
        "a backup is never asked for",
        "core/confirming.py",
        (
            "    if _BACKUPS.index(backup) < _BACKUPS.index(facts.policy.backup):\n"
            "        raise BackupRequiredError(facts.policy.backup)\n"
        ),
        "",
        "test_setups.py::test_policy_can_ask_for_an_acknowledged_backup",
    ),
    Mutant(
        "an acknowledgement passes for a checked copy",
        "core/confirming.py",
        '    return "acknowledged" if request.backup_acknowledged else "none"',
        '    return "checked" if request.backup_acknowledged else "none"',
        "test_setups.py::test_policy_can_ask_for_a_checked_copy",
    ),
    Mutant(
        "any text confirms",
        "core/confirming.py",
        (
            "    if not matched:\n"
            "        return _count_wrong_code(enrollment, setup, request.code, facts)"
        ),
        ("    if not matched:\n        matched = (counters[0],)"),
        "test_setups.py::test_wrong_code_keeps_the_key",
    ),
    Mutant(
        "the swap keeps the old secret",
        "core/confirming.py",
        (
            "authenticators=tuple(proved if one is old else one for one in kept)\n"
            "        if old\n"
            "        else (*kept, proved),"
        ),
        "authenticators=(*kept, proved),",
        "test_setups.py::test_old_secret_works_until_the_new_one_is_confirmed_and_not_after",
    ),
    Mutant(
        "a further authenticator takes the place of all",
        "core/confirming.py",
        "        else (*kept, proved),",
        "        else (proved,),",
        "test_setups.py::test_several_authenticators_each_verify_and_each_can_go",
    ),
    Mutant(
        "a confirm does not end the lock",
        "core/confirming.py",
        ("        CodeBudget()\n        if budgets.code.locked\n"),
        ("        budgets.code\n        if budgets.code.locked\n"),
        "test_verify.py::test_confirm_ends_the_lock_and_leaves_one_authenticator",
    ),
    Mutant(
        "a confirm on a locked account keeps the others",
        "core/confirming.py",
        "removed = tuple(one for one in before if one is not old) if budgets.code.locked else ()",
        "removed: tuple[Authenticator, ...] = ()",
        "test_verify.py::test_confirm_ends_the_lock_and_leaves_one_authenticator",
    ),
    Mutant(
        "each confirm makes new recovery codes",
        "core/confirming.py",
        "    if after.recovery.left == 0:\n",
        "    if after.recovery.left >= 0:\n",
        "test_verify.py::test_confirm_makes_a_new_set_when_none_is_left",
    ),
    Mutant(
        "new recovery codes keep their wait",
        "core/confirming.py",
        "        budgets=replace(confirmed.budgets, recovery=Waits()),\n",
        "",
        "test_verify.py::test_renewal_ends_the_wait_of_recovery_codes",
    ),
    Mutant(
        "a setup bears eleven wrong codes",
        "core/confirming.py",
        "    if failures >= SETUP_WRONG_CODES:",
        "    if failures > SETUP_WRONG_CODES:",
        "test_setups.py::test_setup_bears_ten_wrong_codes",
    ),
    Mutant(
        "an exhausted setup takes the account with it",
        "core/states.py",
        "    return replace(enrollment, setup=None) if is_confirmed(enrollment) else Disabled()",
        "    return Disabled()",
        "test_setups.py::test_exhausted_setup_leaves_the_working_authenticator",
    ),
    Mutant(
        "a wrong code at confirm is not counted",
        "core/confirming.py",
        "        enrollment=with_setup(enrollment, replace(setup, failures=failures)),",
        "        enrollment=with_setup(enrollment, setup),",
        "test_setups.py::test_setup_bears_ten_wrong_codes",
    ),
    Mutant(
        "a skewed clock is not told",
        "core/confirming.py",
        ("    if skew is not None:\n        return ClockSkewError(skew, left)"),
        ('    if skew is not None:\n        return WrongCodeError("code", left)'),
        "test_setups.py::test_confirm_tells_how_far_the_clock_is_off",
    ),
    Mutant(
        "the setup id is not compared",
        "core/setups.py",
        (
            "    if not setup.is_named_by(request.setup_id, facts.user_id):\n"
            "        raise SetupSupersededError\n"
        ),
        "",
        "test_setups.py::test_setup_id_of_another_user_or_used_twice_confirms_nothing",
    ),
    Mutant(
        "expiry is ignored",
        "core/setups.py",
        ("    if setup.is_expired(facts.now):\n        raise SetupExpiredError\n"),
        "",
        "test_setups.py::test_setup_lives_for_its_time_and_not_a_second_longer",
    ),
    Mutant(
        "begin needs no proof",
        "core/setups.py",
        '    judged = prove("begin", enrollment, request.proof, facts)\n',
        (
            "    from otp_enroll.core.judging import Judged\n"
            "\n"
            "    judged = Judged(confirmed=enrollment)\n"
        ),
        "test_verify.py::test_wrong_proof_is_counted_and_changes_nothing_else",
    ),
    Mutant(
        "a code typed where there is nothing to prove is let pass",
        "core/setups.py",
        (
            "        if isinstance(request.proof, TypedCode):\n"
            "            raise NotEnrolledError  # taking it unjudged would let one code open two doors\n"
        ),
        "",
        "test_verify.py::test_code_where_there_is_nothing_to_prove_is_refused",
    ),
    Mutant(
        "a proof of begin is not spent",
        "core/setups.py",
        "    staged = _staged(judged.confirmed, name,",
        "    staged = _staged(enrollment, name,",
        "test_verify.py::test_typed_proof_is_spent_by_the_change",
    ),
    Mutant(
        "begin knows no limit of authenticators",
        "core/setups.py",
        "        raise TooManyAuthenticatorsError\n",
        "        pass\n",
        "test_setups.py::test_no_more_authenticators_than_the_policy_allows",
    ),
    Mutant(
        "a second begin leads nowhere",
        "core/setups.py",
        "    fresh = facts.drawn(FreshSetup)\n",
        (
            "    fresh = facts.drawn(FreshSetup)\n"
            "    if not is_confirmed(enrollment) and setup_of(enrollment):\n"
            "        raise AmbiguousAuthenticatorError(())\n"
        ),
        "test_setups.py::test_a_second_begin_makes_another_secret_and_supersedes_the_first",
    ),
    Mutant(
        "a replacement has the old label",
        "core/setups.py",
        'suffix = f" ({generation})" if old and facts.policy.suffix_on_rotation else ""',
        'suffix = ""',
        "test_setups.py::test_label_of_a_replacement_has_a_number",
    ),
    Mutant(
        "a setup lives for ever",
        "core/setups.py",
        "expires_at=facts.now + facts.policy.setup_lifetime,",
        "expires_at=facts.now + 1000 * facts.policy.setup_lifetime,",
        "test_setups.py::test_setup_lives_for_its_time_and_not_a_second_longer",
    ),
    Mutant(
        "a setup is alive in the second of its end",
        "core/states.py",
        "        return now >= self.expires_at",
        "        return now > self.expires_at",
        "test_setups.py::test_setup_lives_for_its_time_and_not_a_second_longer",
    ),
    Mutant(
        "an expired setup is judged with the account",
        "core/transitions.py",
        "    decision = transition(without_setup(enrollment), request, facts)\n",
        "    decision = transition(enrollment, request, facts)\n",
        "test_setups.py::test_next_write_erases_an_expired_secret",
    ),
    Mutant(
        "disable needs no proof",
        "core/transitions.py",
        (
            '    judged = prove("disable", confirmed, request.proof, facts)\n'
            "    if isinstance(judged, Decision):\n"
            "        return judged\n"
            "    confirmed = judged.confirmed\n"
        ),
        (
            "    from otp_enroll.core.judging import Judged\n"
            "\n"
            "    judged = Judged(confirmed=confirmed)\n"
        ),
        "test_verify.py::test_only_a_wrong_code_costs_budget",
    ),
    Mutant(
        "disable of one keeps its setup",
        "core/transitions.py",
        (
            "    if setup is not None and setup.name == request.authenticator:\n"
            "        setup = None\n"
        ),
        "",
        "test_setups.py::test_removing_one_authenticator_drops_the_setup_of_its_name_alone",
    ),
    Mutant(
        "disable of one does not spend its proof",
        "core/transitions.py",
        (
            "    after = replace(confirmed, authenticators=kept, setup=setup)\n"
            "    return Decision(None, after, (*judged.events, told), changed=True)"
        ),
        (
            "    after = replace(_confirmed(enrollment), authenticators=kept, setup=setup)\n"
            "    return Decision(None, after, (*judged.events, told), changed=True)"
        ),
        "test_verify.py::test_proof_that_removes_one_authenticator_is_spent_for_those_that_stay",
    ),
    Mutant(
        "renewal does not spend its proof",
        "core/transitions.py",
        "after, codes, issued = with_new_recovery_codes(judged.confirmed, facts)",
        "after, codes, issued = with_new_recovery_codes(_confirmed(enrollment), facts)",
        "test_verify.py::test_typed_proof_is_spent_by_the_change",
    ),
    Mutant(
        "rename lets two have one name",
        "core/transitions.py",
        "        raise AmbiguousAuthenticatorError(confirmed.names)\n",
        "        pass\n",
        "test_setups.py::test_rename_refuses_unknown_and_taken_names",
    ),
    Mutant(
        "a Verification of another user is a proof",
        "core/proofs.py",
        (
            "    if proof.user_id != facts.user_id:\n"
            '        raise ProofRequiredError("other user")\n'
        ),
        "",
        "test_verify.py::test_verification_of_another_kind_opens_nothing",
    ),
    Mutant(
        "a Verification for another purpose is a proof",
        "core/proofs.py",
        '        raise ProofRequiredError("other purpose")\n',
        "        pass\n",
        "test_verify.py::test_verification_of_another_kind_opens_nothing",
    ),
    Mutant(
        "a Verification lives for ever",
        "core/proofs.py",
        ('    if abs(age) > VERIFICATION_LIFETIME:\n        raise ProofRequiredError("too old")\n'),
        "",
        "test_verify.py::test_verification_is_a_proof_for_its_verb_for_a_minute",
    ),
    Mutant(
        "a recovery code renews recovery codes",
        "core/proofs.py",
        '        raise ProofRequiredError("recovery code")\n',
        "        pass\n",
        "test_verify.py::test_verification_of_another_kind_opens_nothing",
    ),
    Mutant(
        "no proof is a proof",
        "core/proofs.py",
        ("        case _:\n            raise ProofRequiredError\n"),
        ("        case _:\n            return Judged(confirmed=confirmed)\n"),
        "test_verify.py::test_only_a_wrong_code_costs_budget",
    ),
    Mutant(
        "Persian digits are not folded",
        "core/typed_text.py",
        "_DIGIT_ZEROS: Final = (0x06F0, 0x0660, 0xFF10)",
        "_DIGIT_ZEROS: Final = (0x0660, 0xFF10)",
        "test_verify.py::test_every_spelling_of_a_code_is_the_same_code",
    ),
    Mutant(
        "direction marks are not dropped",
        "core/typed_text.py",
        "    (0x2066, 0x2069),  # direction isolates\n",
        "",
        "core/test_typed_text.py::test_each_space_hyphen_and_mark_is_dropped_wherever_it_stands",
    ),
    Mutant(
        "input has no length limit",
        "core/typed_text.py",
        ('    if len(text) > LONGEST_CODE_TEXT:\n        return TypedCode("malformed")\n'),
        "",
        "core/test_typed_text.py::test_the_raw_length_is_capped_before_anything_is_read",
    ),
    Mutant(
        "leading zeros are lost",
        "core/typed_text.py",
        '        return TypedCode("code", cleaned)',
        '        return TypedCode("code", str(int(cleaned)).rjust(6, "1"))',
        "core/test_typed_text.py::test_leading_zeros_stay",
    ),
    Mutant(
        "one I passes for an L in a copy",
        "core/secret.py",
        '_LOOK_ALIKES: Final = {"0": "O", "8": "B", "1": "IL"}',
        '_LOOK_ALIKES: Final = {"0": "O", "8": "B", "1": "IL", "I": "L", "L": "I"}',
        "core/test_secret.py::test_i_and_l_are_two_letters",
    ),
    Mutant(
        "the setup id of one user names another's setup",
        "core/secret.py",
        'hashlib.sha256(_SETUP_ID_TAG + user_id.encode() + b"\\0" + self._raw)',
        "hashlib.sha256(_SETUP_ID_TAG + self._raw)",
        "core/test_secret.py::test_the_digest_of_a_setup_id_is_bound_to_the_user",
    ),
    Mutant(
        "the first code found ends the comparison",
        "core/oath.py",
        "    return tuple(counter for counter, same in compared if same)",
        "    return tuple(counter for counter, same in compared if same)[:1]",
        "core/test_oath.py::test_a_code_of_two_counters_matches_both",
    ),
    Mutant(
        "the window is one wider",
        "core/oath.py",
        "    return range(max(current - window[0], 0), current + window[1] + 1)",
        "    return range(max(current - window[0] - 1, 0), current + window[1] + 1)",
        "test_verify.py::test_window_is_what_the_policy_says",
    ),
    Mutant(
        "digests of two accounts are alike",
        "core/recovery.py",
        '    return hashlib.sha256(_TAG + user_id.encode() + b"\\0" + salt + code).digest()',
        "    return hashlib.sha256(_TAG + salt + code).digest()",
        "core/test_recovery.py::test_one_code_has_another_digest_in_another_account_or_set",
    ),
    Mutant(
        "a spent code frees the others",
        "core/recovery.py",
        "tuple(used or n == place for n, used in enumerate(self.spent))",
        "tuple(n == place for n, used in enumerate(self.spent))",
        "core/test_recovery.py::test_a_spent_code_stays_and_is_marked",
    ),
    Mutant(
        "our own write is not recognised",
        "attempt.py",
        "        return record.revision == revision or envelope.remembers(revision)",
        "        return False",
        "test_attempt.py::test_own_write_is_recognised_after_a_refusal",
    ),
    Mutant(
        "only the newest revision is recognised",
        "attempt.py",
        "        return record.revision == revision or envelope.remembers(revision)",
        "        return record.revision == revision",
        "test_attempt.py::test_own_write_is_recognised_under_the_writes_of_others",
    ),
    Mutant(
        "a save that returns None is taken for a success",
        "attempt.py",
        "        if stored is True:\n",
        "        if stored is not False:\n",
        "test_attempt.py::test_save_that_answers_neither_true_nor_false_is_an_adapter_error",
    ),
    Mutant(
        "a refused save is taken for a success",
        "attempt.py",
        (
            "            self._tries += 1\n"
            "            if self._most_tries == 1:\n"
            "                raise StoreContentionError\n"
        ),
        "            self.settled = True\n",
        "test_attempt.py::test_refused_save_is_decided_anew_after_a_growing_pause",
    ),
    Mutant(
        "a save expects nothing",
        "attempt.py",
        "        self._write = Write(record=written, expected=replaced)",
        "        self._write = Write(record=written, expected=None)",
        "test_attempt.py::test_whole_life_is_four_writes",
    ),
    Mutant(
        "the clock is read at each try",
        "attempt.py",
        (
            "        request, settings = self._request, self._settings\n"
            "        if self._fresh is None:"
        ),
        (
            "        request, settings = self._request, self._settings\n"
            "        self._now = settings.now()\n"
            "        if self._fresh is None:"
        ),
        "test_attempt.py::test_clock_is_read_once_however_often_is_tried",
    ),
    Mutant(
        "changed_at moves with each write",
        "attempt.py",
        "changed_at=self._now if decision.changed else _changed_at(record),",
        "changed_at=self._now,",
        "test_verify.py::test_changed_at_moves_with_changes_alone",
    ),
    Mutant(
        "a record of another id is taken",
        "attempt.py",
        (
            "        if record.user_id != self._request.user_id:\n"
            '            raise AdapterError("load returned the record of another id")\n'
        ),
        "",
        "test_attempt.py::test_load_that_answers_something_else_is_an_adapter_error",
    ),
    Mutant(
        "a refusal keeps the secrets alive",
        "attempt.py",
        "            return Decision(refusal.with_traceback(None))",
        "            return Decision(refusal)",
        "test_leaks.py::test_refusals_leave_no_garbage",
    ),
    Mutant(
        "a view retries by itself",
        "attempt.py",
        ("            if self._most_tries == 1:\n                raise StoreContentionError\n"),
        "",
        "test_view.py::test_refused_save_in_a_view_is_contention_at_once",
    ),
    Mutant(
        "a view judges codes",
        "view.py",
        '        raise ValueError("a view judges no code: verify first, pass the Verification")  # noqa: TRY004  # right elsewhere\n',
        "        pass\n",
        "test_view.py::test_view_given_typed_text_raises_before_anything_is_loaded",
    ),
    Mutant(
        "the answer comes before the save",
        "enroller.py",
        (
            "                with storage_errors():\n"
            "                    stored = self._store.save(write.record, expected=write.expected)\n"
            "                attempt.saved(stored)\n"
            "        self._tell(attempt.events)\n"
            "        return present(attempt.answer())\n"
        ),
        (
            "                try:\n"
            "                    return present(attempt.answer())\n"
            "                finally:\n"
            "                    self._store.save(write.record, expected=write.expected)\n"
            "        self._tell(attempt.events)\n"
            "        return present(attempt.answer())\n"
        ),
        "test_attempt.py::test_failing_store_is_an_error_and_never_a_verdict",
    ),
    Mutant(
        "events are told before the save",
        "enroller.py",
        ("                with storage_errors():\n                    stored = self._store.save("),
        (
            "                self._tell(attempt.events)\n"
            "                with storage_errors():\n"
            "                    stored = self._store.save("
        ),
        "test_attempt.py::test_failing_store_is_an_error_and_never_a_verdict",
    ),
    Mutant(
        "a retry decides on what was loaded first",
        "enroller.py",
        (
            "                self._sleep(pause)\n"
            "            with storage_errors():\n"
            "                record = self._store.load(request.user_id)\n"
        ),
        (
            "                self._sleep(pause)\n"
            "            else:\n"
            "                record = self._store.load(request.user_id)\n"
        ),
        "test_attempt.py::test_refused_save_is_decided_anew_after_a_growing_pause",
    ),
    Mutant(
        "a save that raised is tried again",
        "enroller.py",
        (
            "                with storage_errors():\n"
            "                    stored = self._store.save(write.record, expected=write.expected)\n"
        ),
        (
            "                try:\n"
            "                    stored = self._store.save(write.record, expected=write.expected)\n"
            "                except Exception:\n"
            "                    stored = False\n"
        ),
        "test_attempt.py::test_unknown_outcome_ends_well_when_asked_again",
    ),
    Mutant(
        "a driver's error is let through",
        "enroller.py",
        (
            "            with storage_errors():\n"
            "                record = self._store.load(request.user_id)\n"
        ),
        "            record = self._store.load(request.user_id)\n",
        "test_attempt.py::test_failing_store_is_an_error_and_never_a_verdict",
    ),
    Mutant(
        "a listener that raises fails the request",
        "enroller.py",
        ("                self._on_event(event)\n            except Exception:\n"),
        ("                self._on_event(event)\n            except ZeroDivisionError:\n"),
        "test_attempt.py::test_listener_that_raises_undoes_nothing",
    ),
    Mutant(
        "a view tells at once",
        "view.py",
        (
            "        self._told += attempt.events\n"
            "        return present(attempt.answer())\n"
            "\n"
            "    def _admitted(self, proof: Proof) -> Proof:\n"
            "        return _untyped(proof)\n"
            "\n"
            "    def _erase"
        ),
        (
            "        self._tell(attempt.events)\n"
            "        return present(attempt.answer())\n"
            "\n"
            "    def _admitted(self, proof: Proof) -> Proof:\n"
            "        return _untyped(proof)\n"
            "\n"
            "    def _erase"
        ),
        "test_view.py::test_change_commits_with_the_apps_own_row",
    ),
    Mutant(
        "a begin drops the working secret",
        "core/states.py",
        (
            "    if is_confirmed(enrollment):\n"
            "        return replace(enrollment, setup=setup)\n"
            "    return Pending(setup=setup)"
        ),
        "    return Pending(setup=setup)",
        "test_setups.py::test_an_abandoned_replacement_changes_nothing",
    ),
)
