"""What mail, push messages and Alertmanager say, from the same message."""

from __future__ import annotations

import email
from datetime import timedelta
from email import policy as email_policy
from email.message import EmailMessage

import pytest

from libs.common.events.alert import Alert, AlertState, Severity
from libs.common.testing.rig import START
from services.notify import message
from services.notify.kinds import alertmanager, mail, ntfy, words
from services.notify.policy import News
from tests.unit.notify.world import make_alert, outage

BASE = "https://dormice.example"
ENDED = {"state": AlertState.RESOLVED, "resolved_at": START + timedelta(minutes=20)}


def compose(news: News, alert: Alert, delivery: str = "d1") -> dict[str, object]:
    return message.compose(delivery, news, alert, BASE)


def written(body: dict[str, object]) -> EmailMessage:
    data = mail.write(body, "dormice@x.example", ["a@x.example", "b@x.example"], START)
    parsed = email.message_from_bytes(data, policy=email_policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_mail_in_full() -> None:
    made = written(compose(News.RAISED, make_alert(message="No backup in 8d2h0m – naïve <b>")))
    assert made["From"] == "Dormice <dormice@x.example>"
    assert made["To"] == "a@x.example, b@x.example"
    assert made["Subject"] == "[warning] name-h1: No backup in 8d2h0m – naïve <b>"
    assert made["Date"].datetime == START
    assert made["Message-ID"] == "<alert.a1@x.example>"
    assert made["Auto-Submitted"] == "auto-generated"
    assert (made["X-Dormice-Id"], made["Importance"]) == ("d1", None)
    plain, html = (part.get_content() for part in made.iter_parts())
    assert plain.splitlines() == [
        "name-h1: No backup in 8d2h0m – naïve <b>",
        "",
        "- name-h1: No backup in 8d2h0m – naïve <b> (warning, open since 2026-06-15 09:00 UTC)",
        f"  {BASE}/alerts/a1",
    ]
    assert "naïve &lt;b&gt;" in html
    assert f'href="{BASE}/alerts/a1"' in html


def test_all_mails_of_an_alert_are_one_thread() -> None:
    alert = make_alert()
    first = written(compose(News.RAISED, alert))
    later = [
        written(compose(news, alert.model_copy(update=ENDED), f"d{number}"))
        for number, news in enumerate((News.REMINDED, News.ACKNOWLEDGED, News.RESOLVED), 2)
    ]
    assert {one["In-Reply-To"] for one in later} == {first["Message-ID"]}
    assert {one["References"] for one in later} == {first["Message-ID"]}
    assert {one["Subject"] for one in later} == {f"Re: {first['Subject']}"}
    assert [one["Message-ID"] for one in later] == [f"<d{n}@x.example>" for n in (2, 3, 4)]
    assert later[2].get_body(("plain",)).get_content().startswith("Resolved: name-h1: Agent")
    assert first["In-Reply-To"] is None
    other = written(compose(News.RAISED, make_alert("a2")))
    assert other["Message-ID"] != first["Message-ID"]


def test_what_is_about_many_hangs_on_no_thread() -> None:
    made = written(message.compose_release("d9", outage(), [make_alert(), make_alert("a2")], BASE))
    assert (made["Message-ID"], made["In-Reply-To"]) == ("<d9@x.example>", None)
    assert made["Subject"].startswith("[warning] Mass outage over")
    test = written(message.compose_test("d0", "ops"))
    assert test["Subject"] == "Test message from Dormice to ops."


def test_a_line_break_in_a_message_gets_into_no_header() -> None:
    made = written(compose(News.RAISED, make_alert(message="bad\r\nBcc: evil@x.example")))
    assert made["Bcc"] is None
    assert made["Subject"] == "[warning] name-h1: bad Bcc: evil@x.example"


def test_a_critical_one_is_marked() -> None:
    made = written(compose(News.RAISED, make_alert(severity=Severity.CRITICAL)))
    assert made["Importance"] == "high"


@pytest.mark.parametrize(
    ("news", "changes", "priority", "tag", "title"),
    [
        (News.RAISED, {}, 4, "warning", "[warning] name-h1: Agent"),
        (News.RAISED, {"severity": Severity.CRITICAL}, 5, "rotating_light", "[critical] name-h1"),
        (News.REMINDED, {}, 4, "warning", "[warning] Still open: name-h1"),
        (News.RESOLVED, ENDED, 3, "white_check_mark", "Resolved: name-h1"),
        (News.ACKNOWLEDGED, {"acknowledged_by": "ada"}, 3, "white_check_mark", "Acknowledged: n"),
    ],
)
def test_ntfy(news: News, changes: dict, priority: int, tag: str, title: str) -> None:
    told = ntfy.render("backups", compose(news, make_alert(**changes)))
    assert told["topic"] == "backups"
    assert (told["priority"], told["tags"]) == (priority, [tag, "agent_offline"])
    assert told["title"].startswith(title)
    assert told["click"] == f"{BASE}/alerts/a1"


def test_ntfy_of_many_and_of_none() -> None:
    away = [make_alert(f"a{n}", f"h{n}", message="x" * 90) for n in range(200)]
    told = ntfy.render("backups", message.compose_release("d1", outage(), away, BASE))
    assert len(told["message"].encode()) <= ntfy.MESSAGE_BYTES
    assert told["message"].endswith("…")
    assert told["click"] == f"{BASE}/alerts"
    test = ntfy.render("backups", message.compose_test("d1", "ops"))
    assert (test["priority"], test["tags"], "click" in test) == (3, ["zzz"], False)


@pytest.mark.parametrize("most", [10, 11, 12, 13, 100])
def test_a_text_is_cut_between_characters(most: int) -> None:
    cut = words.shortened("ääääääääää", most)
    assert len(cut.encode()) <= most
    assert set(cut) <= {"ä", "…"}


def view(alert: Alert) -> dict[str, object]:
    return message.alert_view(alert, BASE)


def test_alertmanager_s_alert_in_full() -> None:
    now = START + timedelta(minutes=3)
    assert alertmanager.alert_of(view(make_alert()), {"team": "ops"}, now) == {
        "labels": {
            "team": "ops", "alertname": "agent_offline", "severity": "warning", "alert_id": "a1",
            "source": "dormice", "host": "name-h1", "host_id": "h1",
        },
        "annotations": {
            "summary": "name-h1: Agent offline for 17m0s (threshold 15m0s)",
            "description": "Agent offline for 17m0s (threshold 15m0s)",
        },
        "startsAt": "2026-06-15T09:00:00Z",
        "endsAt": "2026-06-15T09:08:00Z",
        "generatorURL": f"{BASE}/alerts/a1",
    }  # fmt: skip
    fleet = alertmanager.alert_of(view(outage()), {}, now)
    assert {"host", "host_id"} & set(fleet["labels"]) == set()
    assert fleet["annotations"]["summary"] == "6 of 10 hosts went silent within 2m0s"


@pytest.mark.parametrize(
    ("changes", "after", "begins", "ends"),
    [
        pytest.param({}, 0, 0, 5, id="raised now"),
        pytest.param({}, -60, -60, -55, id="clock stepped back: it began now at the latest"),
        pytest.param(ENDED, 21, 0, 20, id="resolved"),
        pytest.param({**ENDED, "resolved_at": START - timedelta(1)}, 0, 0, 0, id="ends before it"),
    ],
)
def test_alertmanager_never_ends_before_it_began(
    changes: dict, after: int, begins: int, ends: int
) -> None:
    now = START + timedelta(minutes=after)
    made = alertmanager.alert_of(view(make_alert(**changes)), {}, now)

    def moment(minutes: int) -> str:
        at = START + timedelta(minutes=minutes)
        return at.isoformat().replace("+00:00", "Z")

    assert (made["startsAt"], made["endsAt"]) == (moment(begins), moment(ends))
