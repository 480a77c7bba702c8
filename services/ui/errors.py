"""What a caller of the ui may catch, beside the common errors."""

from __future__ import annotations

from libs.common.errors import Conflict, NotFound


class AlertNotFound(NotFound):
    """No alert has this id."""


class JobNotFound(NotFound):
    """No job has this id."""


class OperatorNotFound(NotFound):
    """No operator has this id."""


class ApiTokenNotFound(NotFound):
    """No API token has this id."""


class AuditNotFound(NotFound):
    """No audit entry has this id."""


class LastAdmin(Conflict):
    """This is the last admin who can log in; make another one first."""
