"""Which addresses may be reached, and that the vetted address is the one connected to."""

from __future__ import annotations

import asyncio
import ipaddress
import threading

import pytest

from libs.common.errors import SettingsError
from services.notify.errors import TargetRefused, TargetUnknown
from services.notify.kinds.webhook import WebhookConfig
from services.notify.settings import NotifySettings
from services.notify.target_rules import find_address, is_allowed
from services.notify.targets import Resolver, TargetGuard

REFUSED = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
    "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:c0a8:101::",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
]


def address(text):
    found = find_address(text)
    assert found is not None
    return found


@pytest.mark.parametrize("text", REFUSED)
def test_private_addresses_are_refused(text):
    assert not is_allowed(address(text), ())


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_allowed(text):
    assert is_allowed(address(text), ())


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("192.168.0.1", False),
        ("fd00::5", True),
        ("::1", False),
    ],
)
def test_an_operator_may_allow_networks(text, allowed):
    networks = NotifySettings.load(allow_targets="127.0.0.0/8, 10.1.0.0/16,fd00::/8,").allow_targets
    assert is_allowed(address(text), networks) is allowed


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "localhost", "10.0.0.0;10.1.0.0/8"])
def test_a_wrong_network_stops_the_start(text, monkeypatch):
    monkeypatch.setenv("DORMICE_ALLOW_TARGETS", text)
    with pytest.raises(SettingsError, match="DORMICE_ALLOW_TARGETS"):
        NotifySettings.load()


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DORMICE_ALLOW_TARGETS", "127.0.0.0/8,10.0.0.0/8")
    monkeypatch.setenv("DORMICE_PUBLIC_URL", "https://d.example/")
    monkeypatch.setenv("DORMICE_DATA", str(tmp_path))
    settings = NotifySettings.load()
    assert [str(network) for network in settings.allow_targets] == ["127.0.0.0/8", "10.0.0.0/8"]
    assert settings.links_begin == "https://d.example/"
    assert settings.database_path == tmp_path / "notify.db"
    monkeypatch.setenv("DORMICE_PUBLIC_URL", "d.example")
    with pytest.raises(SettingsError, match="DORMICE_PUBLIC_URL"):
        NotifySettings.load()


def guard(answers, allowed=()):
    def ask(host):
        if host not in answers:
            raise OSError("unknown")
        return [ipaddress.ip_address(text) for text in answers[host]]

    return TargetGuard(allowed, Resolver(ask))


async def test_only_the_allowed_of_a_name_s_addresses_are_used():
    guarded = guard({"mixed": ["10.0.0.1", "1.1.1.1", "::1"]})
    assert [str(found) for found in await guarded.vetted("mixed")] == ["1.1.1.1"]


async def test_a_name_that_leads_inside_only_is_refused():
    with pytest.raises(TargetRefused, match=r"169\.254\.169\.254 is not public"):
        await guard({"meta": ["169.254.169.254", "fd00:ec2::254"]}).vetted("meta")


async def test_a_name_that_is_not_known_may_be_tomorrow():
    with pytest.raises(TargetUnknown):
        await guard({}).vetted("nowhere")
    with pytest.raises(TargetUnknown):
        await guard({"empty": []}).vetted("empty")


async def test_a_name_is_asked_for_once_at_a_time_and_again_the_next_time():
    asked, may_answer = [], threading.Event()

    def ask(host):
        asked.append(host)
        may_answer.wait(10)
        return [ipaddress.ip_address("1.1.1.1")]

    resolver = Resolver(ask)
    waiting = [asyncio.create_task(resolver.addresses("slow")) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # One that gives up does not take the answer from the others.
    may_answer.set()
    await asyncio.gather(*waiting[1:])
    assert asked == ["slow"]
    await resolver.addresses("slow")
    assert asked == ["slow", "slow"]


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/T0/B0",
        "http://u:p@127.0.0.1:8080/x?y=z",
        "https://[2606:4700::1111]:8443/",
        "https://exämple.org/",
        "HTTPS://EXAMPLE.ORG",
        "http://my_host.lan./x",
    ],
)
def test_addresses_that_make_sense(url):
    assert WebhookConfig(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "ftp://example.org", "http://", "https:///path", "http://a b/",
        "http://x:99999/", "http://x:0/", "http://x:y/", "http://[::1/", "javascript:alert(1)",
        "http://exa\r\nmple.org/", "file:///etc/passwd", "http://-x.org/", "http://" + "a" * 3000,
        "http://a..b/", "http://%00/",
    ],
)  # fmt: skip
def test_addresses_that_do_not(url):
    with pytest.raises(ValueError, match="url"):
        WebhookConfig(url=url)


@pytest.mark.parametrize(
    ("listen", "links"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000"),
        (":9000", "http://127.0.0.1:9000"),
        ("[::]:9000", "http://127.0.0.1:9000"),
        ("[2001:db8::1]:9000", "http://[2001:db8::1]:9000"),
        ("dormice.example:80", "http://dormice.example:80"),
    ],
)
def test_links_lead_to_where_the_ui_listens_unless_told_otherwise(listen, links):
    assert NotifySettings.load(ui_listen=listen).links_begin == links
    told = NotifySettings.load(ui_listen=listen, public_url="https://d.example")
    assert told.links_begin == "https://d.example"
