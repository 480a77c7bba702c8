"""What is decided about operators, API tokens and sessions: inputs of the ui's own transaction.

Each takes (tx, …) and is submitted by `auth`. Every change leaves an audit entry without secrets.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from libs.common.errors import Conflict, Unauthorized
from libs.common.events.host import Actor, Audit
from libs.common.labels import check_label
from libs.common.loop.tx import Tx
from services.ui import store_access as store
from services.ui.errors import ApiTokenNotFound, LastAdmin, OperatorNotFound
from services.ui.views import ApiTokenView, OperatorView

Role = Literal["viewer", "operator", "admin"]

SESSION_LASTS = timedelta(days=7)
SETUP_CODE_LASTS = timedelta(minutes=30)
FIRST_ADMIN = "admin"
"""Name of the operator, and id of the API token, that come from the settings."""

NAME = "an API token's name"


def _audit(
    tx: Tx, actor: Actor, action: str, target: str,
    before: dict[str, Any] | None = None, after: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    tx.emit(
        Audit(
            service="ui", target=target, action=action, actor=actor, at=tx.now,
            before=before, after=after,
        )
    )  # fmt: skip


# --- Operators ------------------------------------------------------------------------------------


def create_operator(tx: Tx, actor: Actor, name: str, role: str, password: str) -> OperatorView:
    """Add an operator; `password` is its hash. Raises: Conflict if the name is taken."""
    if tx.db.execute("SELECT 1 FROM operator WHERE name = ?", (name,)).fetchone():
        raise Conflict(f"there is an operator named {name!r} already")
    operator = OperatorView(tx.new_id(), name, role, tx.now, None, False)
    store.add_operator(tx, operator, password)
    _audit(tx, actor, "operator.created", operator.id, after={"name": name, "role": role})
    return operator


def change_operator(
    tx: Tx, actor: Actor, operator_id: str, changes: dict[str, Any]
) -> OperatorView:
    """Change role, disabled or password (a hash). A new password, or disabling, ends the sessions.

    Raises: OperatorNotFound; LastAdmin if nobody could administer any more.
    """
    before = _get_operator(tx, operator_id)
    store.change_operator(tx, operator_id, **changes)
    after = _get_operator(tx, operator_id)
    if before.role == "admin" and not store.has_admin(tx.db):
        raise LastAdmin
    if "password" in changes or after.disabled:
        store.end_sessions_of(tx, operator_id)
    shown = {"role": before.role, "disabled": before.disabled}
    _audit(
        tx, actor, "operator.changed", operator_id, before=shown,
        after={
            "role": after.role, "disabled": after.disabled,
            "password_changed": "password" in changes,
        },
    )  # fmt: skip
    return after


def delete_operator(tx: Tx, actor: Actor, operator_id: str) -> None:
    """Raises: OperatorNotFound, LastAdmin."""
    gone = _get_operator(tx, operator_id)
    if gone.role == "admin" and not store.has_admin(tx.db, but=operator_id):
        raise LastAdmin
    store.remove_operator(tx, operator_id)
    _audit(
        tx, actor, "operator.deleted", operator_id, before={"name": gone.name, "role": gone.role}
    )


def _get_operator(tx: Tx, operator_id: str) -> OperatorView:
    operator = store.find_operator(tx.db, operator_id)
    if operator is None:
        raise OperatorNotFound
    return operator


def ensure_first_admin(tx: Tx, actor: Actor, password: str) -> None:
    """Make operator `admin` have the password (a hash) that the settings give."""
    known = tx.db.execute("SELECT id FROM operator WHERE name = ?", (FIRST_ADMIN,)).fetchone()
    if known is None:
        create_operator(tx, actor, FIRST_ADMIN, "admin", password)
    else:
        changes = {"password": password, "role": "admin", "disabled": 0}
        change_operator(tx, actor, known[0], changes)


# --- Sessions -------------------------------------------------------------------------------------


def open_session(tx: Tx, known: store.Credentials, token_hash: str) -> datetime:
    """Log an operator in; return when the session ends.

    `known`: whom the password was checked for. One that was changed meanwhile lets nobody in: the
    session would outlive the change, which ended all others.

    Raises: Unauthorized.
    """
    now = store.find_credentials(tx.db, known.operator.name)
    if now is None or (now.operator.id, now.password) != (known.operator.id, known.password):
        raise Unauthorized("user name or password is wrong")
    expires_at = tx.now + SESSION_LASTS
    store.add_session(tx, token_hash, now.operator.id, expires_at)
    return expires_at


def redeem_setup_code(
    tx: Tx, actor: Actor, code_hash: str, name: str, password: str
) -> OperatorView:
    """Make the first admin. Raises: Unauthorized for a wrong, old or used code; Conflict."""
    if not store.take_setup_code(tx, code_hash):
        raise Unauthorized("this code is wrong, used or too old; get a new one: dormice setup-code")
    return create_operator(tx, actor, name, "admin", password)


def replace_setup_code(tx: Tx, actor: Actor, code_hash: str) -> datetime:
    """Make a code the one that works; return until when."""
    expires_at = tx.now + SETUP_CODE_LASTS
    store.set_setup_code(tx, code_hash, expires_at)
    _audit(tx, actor, "setup_code.created", "setup-code")
    return expires_at


# --- API tokens -----------------------------------------------------------------------------------


def create_token(tx: Tx, actor: Actor, token: ApiTokenView, token_hash: str) -> ApiTokenView:
    """Add a token; only its hash is kept. Raises: BadInput."""
    made = ApiTokenView(
        tx.new_id(),
        check_label(token.name, NAME),
        token.role,
        actor.name,
        tx.now,
        token.expires_at,
        None,
    )
    store.save_token(tx, made, token_hash)
    _audit(tx, actor, "api_token.created", made.id, after={"name": made.name, "role": made.role})
    return made


def change_token(tx: Tx, actor: Actor, token_id: str, changes: dict[str, Any]) -> ApiTokenView:
    """Change name or role. Raises: ApiTokenNotFound, BadInput."""
    before = _get_token(tx, token_id)
    if "name" in changes:
        changes = changes | {"name": check_label(changes["name"], NAME)}
    store.change_token(tx, token_id, **changes)
    after = _get_token(tx, token_id)
    _audit(
        tx, actor, "api_token.changed", token_id,
        before={"name": before.name, "role": before.role},
        after={"name": after.name, "role": after.role},
    )  # fmt: skip
    return after


def delete_token(tx: Tx, actor: Actor, token_id: str) -> None:
    """Raises: ApiTokenNotFound; Conflict for that of the settings, which the next start would bring
    back."""
    gone = _get_token(tx, token_id)
    if token_id == FIRST_ADMIN:
        raise Conflict(
            "this token is set where the ui starts: change DORMICE_ADMIN_TOKEN, or remove the file "
            "admin-token for a new one, and restart"
        )
    store.remove_token(tx, token_id)
    _audit(tx, actor, "api_token.deleted", token_id, before={"name": gone.name, "role": gone.role})


def _get_token(tx: Tx, token_id: str) -> ApiTokenView:
    token = store.find_token(tx.db, token_id)
    if token is None:
        raise ApiTokenNotFound
    return token


def ensure_admin_token(tx: Tx, token_hash: str) -> None:
    """Make the settings' token work, and no earlier one of them."""
    token = ApiTokenView(FIRST_ADMIN, "first admin", "admin", "settings", tx.now, None, None)
    store.save_token(tx, token, token_hash)
