"""Every mutant, in the order in which they are tried and shown."""

from __future__ import annotations

from tests.mutants.breakages import (
    agent,
    alerting,
    bus,
    catchup,
    chances,
    channels,
    gateway,
    jobs,
    loop,
    missed,
    notify,
    presence,
    reach,
    registry,
    repositories,
    silences,
    sites,
    stays,
    thresholds,
    together,
)

MUTANTS = (
    *loop.MUTANTS,
    *together.MUTANTS,
    *bus.MUTANTS,
    *presence.MUTANTS,
    *alerting.MUTANTS,
    *silences.MUTANTS,
    *thresholds.MUTANTS,
    *chances.MUTANTS,
    *sites.MUTANTS,
    *missed.MUTANTS,
    *catchup.MUTANTS,
    *reach.MUTANTS,
    *stays.MUTANTS,
    *jobs.MUTANTS,
    *repositories.MUTANTS,
    *gateway.MUTANTS,
    *registry.MUTANTS,
    *notify.MUTANTS,
    *channels.MUTANTS,
    *agent.MUTANTS,
)
