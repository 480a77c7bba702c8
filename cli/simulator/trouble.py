"""What goes wrong, and what operators do: each a disturbance drawn from the seed.

Disturbances are counted, and only the first `limit` of them happen: so the shortest prefix that
still fails can be found.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from cli.simulator import (
    faults_backups,
    faults_log,
    faults_network,
    faults_services,
    operators,
    operators_alerts,
    operators_jobs,
)

if TYPE_CHECKING:
    from cli.simulator.world import World

DAY = 24 * 3600.0

KINDS: dict[Callable[[World, Random], None], float] = {
    faults_services.crash: 8,
    faults_services.long_outage: 1,
    faults_services.slow_service: 2,
    faults_services.set_clock: 1,
    faults_log.bus_blip: 2,
    faults_log.bus_outage: 1,
    faults_log.cut_mid_publish: 3,
    faults_log.repeat: 4,
    faults_log.wipe: 0.4,
    faults_log.rewind: 0.4,
    faults_log.expire: 0.6,
    faults_log.lose_position: 0.6,
    faults_network.cut_links: 3,
    faults_network.bad_network: 2,
    faults_network.set_agent_clock: 1,
    faults_backups.fail_backups: 1,
    faults_backups.wedge_schedules: 1,
    faults_backups.lose_site: 1,
    operators.change_mode: 3,
    operators.edit_schedule: 3,
    operators.set_threshold: 2,
    operators.back_up: 3,
    operators.handle_alert: 3,
    operators_alerts.handle_together: 1,
    operators_alerts.silence: 2,
    operators_alerts.end_silence: 1,
    operators_alerts.change_tags: 1,
    operators.cancel: 1,
    operators.move_zone: 1,
    operators.remove: 0.3,
    operators_jobs.work_on_repository: 2,
}
"""How often each happens, relative to the others."""


class Trouble:
    """Disturbs a world, `per_day` times a day on average; `only` by kinds of these names."""

    def __init__(
        self, world: World, random: Random, *, per_day: float, limit: int,
        only: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self._world, self._random, self._limit = world, random, limit
        self._mean = DAY / per_day
        self._kinds = {
            kind: n for kind, n in KINDS.items() if not only or kind.__name__ in only
        }  # fmt: skip
        self.happened: list[str] = []
        self._later()

    def _later(self) -> None:
        self._world.after(self._random.expovariate(1 / self._mean), self._one)

    def _one(self) -> None:
        kind = self._random.choices(list(self._kinds), list(self._kinds.values()))[0]
        own = Random(self._random.getrandbits(64))  # noqa: S311  What is left out shifts nothing.
        if len(self.happened) < self._limit:
            self.happened.append(f"{self._world.now:%Y-%m-%d %H:%M:%S} {kind.__name__}")
            kind(self._world, own)
        self._later()
