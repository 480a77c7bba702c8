"""The bus: no message is missed, each is stored once, and rights hold: R18, R20."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

READER = "libs/common/bus/nats_reader.py"
OF_READER = "contract/test_reader.py"

MUTANTS = (
    Mutant(
        "reader-contiguity-not-checked",
        "contiguity R18",
        READER,
        "if consumer_seq != self._consumer_seq + 1:",
        "if consumer_seq <= self._consumer_seq:",
        f"{OF_READER}::test_a_gap_in_the_consumers_sequence_loses_the_reader",
        may_hang=True,
    ),
    Mutant(
        "reader-outlives-its-connection",
        "contiguity R18",
        READER,
        '    def _on_down(self) -> None:\n        self._lose("the connection broke")\n',
        "    def _on_down(self) -> None:\n        self._buffer.clear()\n",
        "contract/test_nats.py::test_a_cut_in_mid_delivery_loses_the_reader_and_never_skips",
        may_hang=True,
    ),
    Mutant(
        "reader-does-not-miss-heartbeats",
        "contiguity",
        READER,
        "if now - self._heard_at > SILENCE.total_seconds():",
        "if now - self._heard_at > PULL_EXPIRES.total_seconds():",
        f"{OF_READER}::test_missed_heartbeats_lose_the_reader",
    ),
    Mutant(
        "reader-outlives-its-consumer",
        "contiguity",
        READER,
        "        if status not in _IDLE:\n",
        '        if status not in (*_IDLE, "409", "503"):\n',
        "contract/test_nats.py::test_a_deleted_consumer_loses_the_reader",
        may_hang=True,
    ),
    Mutant(
        "bucket-put-after-its-event",
        "outbox",
        "libs/common/bus/nats_publisher.py",
        "        await self._put_values([m for m in messages if m.bucket is not None])\n"
        "        events = [m for m in messages if m.bucket is None]\n"
        "        last = 0\n",
        "        events = [m for m in messages if m.bucket is None]\n"
        "        last = await self.publish(events) if len(events) < len(messages) else 0\n"
        "        await self._put_values([m for m in messages if m.bucket is not None])\n"
        "        events = events if len(events) == len(messages) else []\n",
        "contract/test_nats.py::test_no_event_is_sent_before_its_value_is_acknowledged",
    ),
    Mutant(
        "memory-log-stores-an-id-twice",
        "two-worlds",
        "libs/common/bus/memory_log.py",
        "if self.dedupes and event.event_id in self._seq_of:",
        "if self.dedupes and not event.event_id:",
        "contract/test_bus.py::test_an_id_is_stored_once[memory]",
    ),
    Mutant(
        "memory-log-wiped-looks-the-same",
        "two-worlds re-bootstrap",
        "libs/common/bus/memory_log.py",
        "        self._incarnation += 1\n",
        "",
        "contract/test_bus.py::test_a_wiped_log_is_another_log[memory]",
    ),
    Mutant(
        "bus-acknowledges-before-fsync",
        "R18",
        "libs/common/bus/server_config.py",
        '"  sync_interval: always"',
        '"  sync_interval: \\"2m\\""',
        "contract/test_nats.py::test_durable_by_configuration",
    ),
    Mutant(
        "call-answered-to-a-forged-address",
        "R20",
        "libs/common/bus/nats_calls.py",
        'if not message.reply.startswith("_INBOX_"):',
        "if not message.reply:",
        "contract/test_nats.py::test_a_request_that_a_consumer_delivers_is_refused",
    ),
    Mutant(
        "agent-tokens-open-to-every-service",
        "R20",
        "libs/common/bus/rights.py",
        "tuple(bucket for bucket in BUCKETS if bucket != _SECRET_BUCKET)",
        "tuple(BUCKETS)",
        "contract/test_rights.py::test_agent_tokens_are_for_gateway_and_registry_only",
    ),
)
