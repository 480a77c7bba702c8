"""Every figure of DESIGN section 9: its limit, its aim, its peer, and who measures it."""

from __future__ import annotations

from tests.bench import (
    away,
    beats,
    boot,
    burst,
    bus,
    deadlines,
    fleet,
    killed,
    loop,
    quiet,
    simulated,
    system,
    telling,
)
from tests.bench.figure import Bench, Figure
from tests.bench.healthchecks.installed import VARIABLE

SERIAL = "serial sum of its raw limits /s"

BENCHES = (
    Bench(
        "loop",
        (Figure("share", "machine loop ÷ serial sum of its raw limits", "", 0.6, 0.9, more=True),
         Figure("loop", "machine loop, events a second", "/s", more=True,
                peer="serial", peer_name=SERIAL)),
        loop.measure,
    ),
    Bench(
        "pull",
        (Figure("ratio", "own pull loop ÷ nats-py fetch(500)", "", 2, 4, more=True,
                peer="fetch", peer_name="/s fetched"),),
        bus.pull,
    ),
    Bench(
        "durable",
        (Figure("ratio", "durable ÷ non-durable publish, atomic batches", "", 0.5, 0.7, more=True,
                peer="forgetful", peer_name="/s not durable"),),
        bus.durable,
    ),
    Bench(
        "deadlines",
        (Figure("pass", "deadline pass over 100,000 hosts, nothing due", "ms", 1, 0.1,
                peer="scan", peer_name="ms full scan"),
         Figure("ratio", "deadline pass ÷ full scan", "", 0.01)),
        deadlines.measure,
    ),
    Bench(
        "boot",
        (Figure("seconds", "boot from buckets, 100,000 hosts", "s", 5, 1.5),
         Figure("kib", "memory per host after it", "KiB", 1.5, 0.7)),
        boot.measure,
    ),
    Bench(
        "ready",
        (Figure("seconds", "`dormice up` ready", "s", 3, 1.5),),
        system.ready,
    ),
    Bench(
        "idle",
        (Figure("megabytes", "embedded system idle, 10 hosts", "MB", 250, 150),),
        system.idle,
    ),
    Bench(
        "quiet",
        (Figure("megabytes", "idle agent: memory", "MB", 45),
         Figure("percent", "idle agent: share of one core", "%", 0.1)),
        quiet.measure,
    ),
    Bench(
        "settle",
        (Figure("p99", "settle end → run frame at the agent, p99", "ms", 100, 25),),
        system.settle,
    ),
    Bench(
        "tell",
        (Figure("p99", "offline deadline → webhook body received, p99", "ms", 250, 50),),
        telling.soon,
    ),
    Bench(
        "burst",
        (Figure("rate", "10,000 alerts at once: told one by one, a second", "/s", 1000, more=True,
                peer="their_rate", peer_name="/s Alertmanager"),
         Figure("lost", "10,000 alerts at once: lost", "", 0,
                peer="their_lost", peer_name="Alertmanager"),
         Figure("doubled", "10,000 alerts at once: told twice", "", 0,
                peer="their_doubled", peer_name="Alertmanager"),
         Figure("cpu", "CPU time of an alert told", "ms",
                peer="their_cpu", peer_name="ms Alertmanager"),
         Figure("megabytes", "memory after 10,000 alerts", "MB",
                peer="their_megabytes", peer_name="MB Alertmanager"),
         Figure("accepted", "10,000 alerts at once: in the log, a second", "/s", more=True,
                peer="their_accepted", peer_name="/s taken by Alertmanager")),
        burst.measure,
    ),
    Bench(
        "silent",
        (Figure("messages", "200 hosts silent at once: messages per channel", "", 2, 1,
                peer="theirs", peer_name="healthchecks"),),
        telling.silent,
    ),
    Bench(
        "away",
        (Figure("seconds", "receiver away 15 s, 200 alerts: delivered after its return", "s",
                60, 10, peer="their_seconds", peer_name="s Alertmanager"),
         Figure("tries", "receiver away 15 s: tries of one alert", "", 5, 3,
                peer="their_tries", peer_name="Alertmanager"),
         Figure("lost", "receiver away 15 s, 200 alerts: never told", "", 0,
                peer="dropped", peer_name="healthchecks")),
        away.measure,
    ),
    Bench(
        "killed",
        (Figure("lost", "kill -9 amid 7,500 alerts: lost", "", 0,
                peer="their_lost", peer_name="Alertmanager"),
         Figure("again", "kill -9 amid 7,500 alerts: told again under another id", "", 0,
                peer="their_again", peer_name="Alertmanager")),
        killed.measure,
    ),
    Bench(
        "simulator",
        (Figure("rate", "simulator, 50-host world: host-days a second of one core", "/s", 500, 5000,
                more=True),),
        simulated.measure,
    ),
    Bench(
        "beats",
        (Figure("ours", "heartbeats answered a second", "/s", more=True,
                peer="bare", peer_name="/s bare WebSocket echo"),
         Figure("ratio", "heartbeats answered a second ÷ healthchecks' pings", "", 10, 100,
                more=True, peer="pings", peer_name="/s healthchecks' pings",
                needs=VARIABLE)),
        beats.measure,
    ),
    Bench(
        "fleet",
        (Figure("connect", "10,000 agents connect and are welcomed", "s", 30, 8),
         Figure("return", "10,000 agents drop and return", "s", 30, 8),
         Figure("refused", "10,000 agents: refused", "", 0),
         Figure("share", "10,000 agents, heartbeats only: share of a core", "%", 10, 5),
         Figure("kib", "gateway memory per idle agent connection", "KiB", 40, 25),
         Figure("offline", "10,000 agents: wrongly offline, or dropped", "", 0),
         Figure("alerts", "10,000 agents: alerts", "", 0)),
        fleet.measure,
    ),
)  # fmt: skip
