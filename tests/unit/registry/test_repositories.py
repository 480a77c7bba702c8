"""Repositories: sealed at rest, given to services only, and nowhere else (R20)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.errors import BadInput, Forbidden
from libs.common.events.host import SYSTEM, HostChanged
from libs.common.security import Vault
from libs.common.testing.rig import Rig
from services.registry.machine import RegistryMachine
from tests.unit.registry.rigging import enroll, enrolled, hello, make_rig, new_token, secrets

URL = "s3:s3.example.net/bucket-nobody-knows"
PASSWORD = "correct horse battery staple"
ENVIRONMENT = {"AWS_SECRET_ACCESS_KEY": "key-nobody-knows"}


def set_repository(rig: Rig, host_id: str, **changes: Any) -> None:
    settings = {"url": URL, "password": PASSWORD, "environment": ENVIRONMENT, **changes}
    assert rig.ask("set_repository", host_id=host_id, **settings) == {}


def test_a_repository_is_given_back_to_services() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    assert secrets(rig, host_id)["repository"] is None
    set_repository(rig, host_id)
    assert secrets(rig, host_id) == {
        "repository": {"url": URL, "password": PASSWORD, "environment": ENVIRONMENT},
        "agent_token": None,
    }


def test_hosts_with_the_same_url_share_an_id() -> None:
    rig = make_rig()
    ids = [enrolled(rig, hostname=name) for name in "abc"]
    set_repository(rig, ids[0])
    set_repository(rig, ids[1], password="other")
    set_repository(rig, ids[2], url="/srv/restic")
    one, two, three = (rig.ask("get_host", host_id=host_id).repository_id for host_id in ids)
    assert one == two != three


def test_a_new_password_alone_reaches_the_agent() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    set_repository(rig, host_id)
    assert rig.last(HostChanged).changed == ("repository", "repository_id")
    set_repository(rig, host_id, password="another")
    told = rig.last(HostChanged)
    assert (told.changed, told.record.config_version) == (("repository",), 3)
    set_repository(rig, host_id, password="another")
    assert len(rig.of(HostChanged)) == 2


def test_r20_secrets_are_in_no_event_bucket_audit_entry_decision_or_file() -> None:
    rig = make_rig()
    enrollment = new_token(rig)
    host_id, agent_token = enroll(rig, enrollment).values()
    set_repository(rig, host_id)
    rig.ask("rotate_token", host_id=host_id)
    rotated = secrets(rig, host_id)["agent_token"]
    rig.publish(hello(host_id, "s1", token_version=2))
    written = "\n".join(rig.db.iterdump()).encode()
    written += b"".join(message.data for message in rig.raw)
    written += b"".join(value for bucket in rig.buckets.values() for value in bucket.values())
    written += b"".join(key.encode() for bucket in rig.buckets.values() for key in bucket)
    for secret in (enrollment, agent_token, rotated, URL, PASSWORD, *ENVIRONMENT.values()):
        assert secret.encode() not in written
        assert secret.encode().hex().encode() not in written.lower()
    assert b"AWS_SECRET_ACCESS_KEY" in written  # That it is set is no secret.


def test_r20_no_operator_reads_a_repository() -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    with pytest.raises(Forbidden):
        rig.ask("secrets", host_ids=[host_id])


def test_r20_each_verb_asks_for_its_role() -> None:
    verbs = RegistryMachine(Vault.generate()).verbs
    roles = {name: verb.role for name, verb in verbs.items()}
    assert {name for name, role in roles.items() if role == "viewer"} == {
        "get_host", "list_hosts", "list_thresholds",
    }  # fmt: skip
    assert {name for name, role in roles.items() if role == "admin"} == {
        "remove_host", "rotate_token", "enroll", "find_tokens", "secrets",
    }  # fmt: skip
    assert len(roles) == 20


@pytest.mark.parametrize("changes", [
    {"url": ""}, {"url": "   "}, {"url": "x" * 4097}, {"url": "a\nb"}, {"url": "\ud800"},
    {"password": ""}, {"password": "a\nb"}, {"password": "\x00"}, {"password": "\ud800"},
    {"environment": {"": "x"}}, {"environment": {"A=B": "x"}}, {"environment": {"A": "x\ny"}},
    {"environment": {"\ud800": "x"}}, {"environment": {"RESTIC_PASSWORD_COMMAND": "x"}},
    {"environment": {f"V{number}": "x" for number in range(65)}},
    {"environment": {f"V{number}": "x" * 4000 for number in range(20)}},
])  # fmt: skip
def test_a_bad_repository_is_refused_without_repeating_it(changes: dict[str, Any]) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    with pytest.raises(BadInput) as refused:
        set_repository(rig, host_id, **changes)
    assert PASSWORD not in refused.value.message
    assert secrets(rig, host_id)["repository"] is None


@pytest.mark.parametrize("changes", [
    {"password": {"a": PASSWORD}}, {"url": [URL]}, {"environment": {"A": [PASSWORD]}},
    {"environment": PASSWORD},
])  # fmt: skip
def test_r20_an_error_about_a_type_does_not_repeat_the_secret(changes: dict[str, Any]) -> None:
    rig = make_rig()
    host_id = enrolled(rig)
    with pytest.raises(ValidationError) as refused:
        set_repository(rig, host_id, **changes)
    assert PASSWORD not in str(refused.value)
    assert URL not in str(refused.value)


def test_a_foreign_key_is_noticed() -> None:
    rig = make_rig()
    host_id, other = enrolled(rig, hostname="a"), enrolled(rig, hostname="b")
    set_repository(rig, host_id)
    rig.cores["registry"].machine.verbs = RegistryMachine(Vault.generate()).verbs
    told = rig.ask("secrets", SYSTEM, host_ids=[host_id, other])
    assert told[other] == {"repository": None, "agent_token": None}  # It spoils no other's answer.
    assert "cannot" in told[host_id]["error"]
