"""The registry, operators and secrets: R1, R8, R19, R20."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

POLICY = "services/registry/policy.py"
OF_POLICY = "unit/registry/test_policy.py"
OF_TOKENS = "unit/registry/test_agent_tokens.py"

MUTANTS = (
    Mutant(
        "registry-older-bucket-undoes-the-mode",
        "R1",
        "services/registry/machine.py",
        "    if ours is not None and ours >= record.version:\n",
        "    if ours is not None and ours == record.version:\n",
        "unit/registry/test_load.py::test_r1_an_older_bucket_undoes_nothing",
    ),
    Mutant(
        "registry-mode-of-the-token-is-ignored",
        "R1",
        "services/registry/enrollment.py",
        "        always_on=token.always_on,\n        tags=token.tags,\n",
        "        tags=token.tags,\n",
        "unit/registry/test_enrollment.py::test_r1_mode_and_tags_come_with_the_token",
    ),
    Mutant(
        "registry-bucket-put-after-its-event",
        "outbox",
        "services/registry/changes.py",
        "    tx.put(HOSTS, record.id, record)\n    tx.emit(fact)\n",
        "    tx.emit(fact)\n    tx.put(HOSTS, record.id, record)\n",
        "unit/registry/test_load.py::test_the_bucket_is_put_before_the_event_of_the_same_fact",
    ),
    Mutant(
        "registry-deeds-leave-no-audit-entry",
        "R19",
        "services/registry/changes.py",
        "    tx.emit(entry)\n",
        "",
        "unit/registry/test_enrollment.py::test_a_host_joins",
    ),
    Mutant(
        "decisions-are-not-kept",
        "R19",
        "libs/common/loop/tx.py",
        "            self._decisions,\n        )\n",
        "            [],\n        )\n",
        "unit/catchup/test_machine.py::test_every_decision_is_explained",
    ),
    Mutant(
        "enrollment-token-admits-twice",
        "R20",
        "services/registry/enrollment.py",
        "    _use(tx, token)\n    changes.write",
        "    changes.write",
        "unit/registry/test_enrollment.py::test_a_token_admits_once",
    ),
    Mutant(
        "enrollment-token-admits-at-its-end",
        "R20",
        POLICY,
        "EnrollmentVerdict.VALID if now < expires_at else",
        "EnrollmentVerdict.VALID if now <= expires_at else",
        f"{OF_POLICY}::test_enrollment",
    ),
    Mutant(
        "agent-token-outlives-its-rotation",
        "R20",
        POLICY,
        "return valid_until is None or now < valid_until",
        "return valid_until is None or now <= valid_until",
        f"{OF_POLICY}::test_agent_token_validity",
    ),
    Mutant(
        "agent-token-ends-by-an-unknown-version",
        "R20",
        POLICY,
        "[version for version in known if version < used] if used in known else []",
        "[version for version in known if version < used]",
        f"{OF_POLICY}::test_replaced_versions",
    ),
    Mutant(
        "repository-told-to-operators",
        "R20",
        "services/registry/checks.py",
        '    if actor.kind != "system":\n',
        '    if actor.role != "admin":\n',
        "unit/registry/test_repositories.py::test_r20_no_operator_reads_a_repository",
    ),
    Mutant(
        "role-of-a-caller-not-checked",
        "R20",
        "libs/common/loop/calls.py",
        "if ROLES.index(body.actor.role) < ROLES.index(entry.role):",
        "if body.actor.role not in ROLES:",
        "unit/loop/test_calls.py::test_r20_a_verb_asks_for_its_role",
    ),
    Mutant(
        "ui-roles-not-checked",
        "R20",
        "services/ui/guards.py",
        "    if ROLES.index(actor.role) < ROLES.index(role):\n",
        "    if actor.role not in ROLES:\n",
        "unit/ui/test_guards.py::test_r20_roles",
    ),
    Mutant(
        "ui-takes-forms-of-other-sites",
        "R20",
        "services/ui/guards.py",
        "return bool(host) and urlsplit(origin).netloc.lower() == host.lower()",
        "return bool(host)",
        "unit/ui/test_guards.py::test_r20_a_form_of_another_site_is_refused",
    ),
    Mutant(
        "token-stored-as-it-is",
        "R20",
        "libs/common/security.py",
        '    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()\n',
        "    return token\n",
        "unit/test_security.py::test_hash_is_sha256_in_hex",
    ),
    Mutant(
        "key-file-open-to-everybody",
        "R20",
        "libs/common/security.py",
        "os.O_TRUNC, 0o600)",
        "os.O_TRUNC, 0o644)",
        "unit/test_security.py::test_the_key_file_is_private_and_stays",
    ),
    Mutant(
        "log-lines-tell-passwords",
        "R20",
        "libs/common/logging.py",
        "    if _TELLING.search(key) and value is not None and not isinstance(value, bool):\n"
        "        return REDACTED\n",
        "",
        "unit/test_logging.py::test_secrets_are_cut_out",
    ),
    Mutant(
        "log-lines-tell-passwords-in-addresses",
        "R20",
        "libs/common/logging.py",
        r'_URL_PASSWORD.sub(rf"\1{REDACTED}@", value)',
        "value",
        "unit/test_logging.py::test_secrets_are_cut_out",
    ),
    Mutant(
        "login-outlives-the-password-it-knew",
        "R20",
        "services/ui/access.py",
        "if now is None or (now.operator.id, now.password) != (known.operator.id, known.password):",
        "if now is None:",
        "integration/ui/test_access.py::test_a_password_changed_during_a_login_lets_nobody_in",
    ),
)
