"""`/metrics`: the status as numbers, for Prometheus. All of it is read from memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

import attrs
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from node.http_api.replies import errors
from node.http_api.served_node import ServedNode
from node.roles import Role, State

_log = logging.getLogger("netphone.http")


def metrics(node: ServedNode) -> APIRouter:
    """The route for whoever watches `node`."""
    router = APIRouter(tags=["operation"])
    registry = CollectorRegistry()
    registry.register(StatusCollector(node))

    @router.get(
        "/metrics",
        summary="The status as metrics of Prometheus",
        response_class=PlainTextResponse,
        responses=errors(),
    )
    async def scraped(request: Request) -> PlainTextResponse:
        try:
            encoder, media_type = choose_encoder(request.headers.get("accept", ""))
        except TypeError:  # A version that is none, such as `version=x`.
            encoder, media_type = choose_encoder("")
        headers = {"content-type": media_type, "cache-control": "no-store"}
        return PlainTextResponse(encoder(registry), headers=headers)

    return router


class StatusCollector(Collector):
    """Takes one status at each scrape. What is not known has no sample."""

    def __init__(self, node: ServedNode) -> None:
        self._node = node

    def describe(self) -> Iterable[Metric]:
        """Nothing: so the registry asks for no status before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every metric; of a node that cannot be read those that say so."""
        yield _gauge("netphone_live", "Whether the decision loop turns.", self._live())
        status = self._status()
        readable = float(status is not None)
        says = "Whether the status could be read; 0: nothing else is told."
        yield _gauge("netphone_status_readable", says, readable)
        if status is not None:
            yield from families(status)

    def _live(self) -> float:
        try:
            return float(self._node.is_live())
        except Exception:  # noqa: BLE001 a scrape must be answered whatever is broken
            _log.exception("whether the node is live cannot be read")
            return 0.0

    def _status(self) -> Mapping[str, object] | None:
        try:
            return self._node.status()
        except Exception:  # noqa: BLE001 a scrape must be answered whatever is broken
            _log.exception("the status cannot be read")
            return None


def families(status: Mapping[str, object]) -> Iterable[Metric]:
    """The metrics that `status` gives."""
    names = ("pair", "role", "version")
    info = {name: str(status[name]) for name in names if status.get(name) is not None}
    yield InfoMetricFamily("netphone_node", "What this node is.", value=info)
    yield _one_of("netphone_role", "Its role: 1 for one of them.", Role, status)
    yield _one_of("netphone_state", "Its state: 1 for one of them.", State, status)
    for told in _TOLD:
        yield told.family(status)
    health = GaugeMetricFamily(
        "netphone_health", "Whether the check of that name is well.", labels=["check"]
    )
    found = status.get("health")
    if isinstance(found, Mapping):
        for check, text in found.items():
            health.add_metric([str(check)], float(text == "ok"))
    yield health


def _one_of(
    name: str, says: str, kinds: type[Role] | type[State], status: Mapping[str, object]
) -> Metric:
    label = name.removeprefix("netphone_")
    family = GaugeMetricFamily(name, says, labels=[label])
    for kind in kinds:
        if label in status:
            family.add_metric([kind.value], float(status[label] == kind.value))
    return family


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=value)


_Reading = Callable[[object], float | None]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _named(value: object) -> float | None:
    """1 where something is said to be wrong."""
    return float(value is not None)


def _count(value: object) -> float | None:
    return float(len(value)) if isinstance(value, list) else None


def _is_active(value: object) -> float | None:
    return None if value is None else float(value == State.ACTIVE)


@attrs.frozen
class _Told:
    """One metric, and from where in a status it comes."""

    name: str
    says: str
    path: str
    reading: _Reading = _number

    def family(self, status: Mapping[str, object]) -> Metric:
        value: object = status
        known = True
        for part in self.path.split("."):
            known = isinstance(value, Mapping) and part in value
            value = value[part] if isinstance(value, Mapping) and known else None
        found = self.reading(value) if known else None
        if self.name.endswith("_total"):
            return CounterMetricFamily(self.name, self.says, value=found)
        return GaugeMetricFamily(self.name, self.says, value=found)


_TOLD = (
    _Told("netphone_active", "Whether it serves calls.", "state", _is_active),
    _Told("netphone_ready", "Whether it can serve and take changes.", "ready"),
    _Told(
        "netphone_not_ready_reasons", "How many reasons why not.", "not_ready", _count
    ),
    _Told("netphone_entries", "Entries of the configuration.", "entries"),
    _Told("netphone_calls", "Calls in progress here.", "calls"),
    _Told(
        "netphone_recovery_pending",
        "Whether lost events must come back before it takes changes.",
        "recovery",
        _named,
    ),
    _Told(
        "netphone_hand_over_problem",
        "Whether it is active, cannot serve, and does not hand over.",
        "hand_over_problem",
        _named,
    ),
    # The peer.
    _Told(
        "netphone_peer_connected",
        "Whether both directions of the link stand and the peer was heard lately.",
        "peer.connected",
    ),
    _Told(
        "netphone_peer_heard_age_seconds",
        "How long ago the peer was heard.",
        "peer.heard_ago_s",
    ),
    _Told(
        "netphone_peer_hears_us",
        "Whether the peer acknowledges what this node sends.",
        "peer.hears_us",
    ),
    _Told(
        "netphone_peer_active",
        "Whether the peer said that it is active when it was heard last.",
        "peer.state",
        _is_active,
    ),
    _Told(
        "netphone_peer_problem",
        "Whether the node behind the peer's address is not accepted.",
        "peer.problem",
        _named,
    ),
    # Replication into this node.
    _Told(
        "netphone_replication_enabled",
        "Whether replication is on for the pair.",
        "replication.enabled",
    ),
    _Told(
        "netphone_replication_connected",
        "Whether this node reads the peer's Redis.",
        "replication.connected",
    ),
    _Told(
        "netphone_replication_lag_events",
        "Events of the peer that are not here.",
        "replication.lag_events",
    ),
    _Told(
        "netphone_replication_lag_seconds",
        "Since when the copy is not complete.",
        "replication.lag_s",
    ),
    _Told(
        "netphone_replication_conflicts",
        "Entries that overrode a concurrent change and were not changed since.",
        "replication.conflicts",
    ),
    _Told(
        "netphone_replication_unknown_events",
        "Events of a later version, kept and not understood.",
        "replication.unknown_events",
    ),
    _Told(
        "netphone_replication_divergence",
        "Whether the data of the nodes differ although they must not.",
        "replication.divergence",
        _named,
    ),
    _Told(
        "netphone_replication_problem",
        "Whether replication stands still although it is on.",
        "replication.problem",
        _named,
    ),
    # Takeover.
    _Told(
        "netphone_takeovers_last_hour",
        "How often it took a failed peer over within the last hour.",
        "takeover.last_hour",
    ),
    _Told(
        "netphone_takeover_paused",
        "Whether automatic takeover is paused.",
        "takeover.paused",
    ),
    _Told(
        "netphone_takeover_held",
        "Whether it does not take over although its peer seems lost.",
        "takeover.held",
        _named,
    ),
    _Told(
        "netphone_both_active",
        "How often both nodes were active, as far as it is remembered.",
        "both_active.count",
    ),
    # Licences.
    _Told(
        "netphone_licences_valid",
        "Whether licences are valid, so that users may log on.",
        "licences.valid",
    ),
    _Told(
        "netphone_licences_ends_in_days",
        "Whole days until the first valid licence ends.",
        "licences.ends_in_days",
    ),
    _Told("netphone_licence_seats", "Users that may be logged on.", "licences.seats"),
    _Told(
        "netphone_licence_seats_in_use",
        "Users that are logged on here.",
        "licences.in_use",
    ),
    _Told(
        "netphone_licences_grace_over",
        "Whether licences are invalid here because the master was away for too long.",
        "licences.grace_over",
    ),
    _Told(
        "netphone_licences_grace_days_left",
        "How long licences hold on the standby if the master stays away.",
        "licences.grace_days_left",
    ),
    # Callbacks and hooks.
    _Told(
        "netphone_callbacks_failed_total",
        "Callbacks and hooks that failed since the start.",
        "callbacks.failed",
    ),
    _Told(
        "netphone_callbacks_timed_out_total",
        "Callbacks and hooks that were not done in time since the start.",
        "callbacks.timed_out",
    ),
    _Told(
        "netphone_callbacks_dropped_total",
        "Callbacks that were not called since the start.",
        "callbacks.dropped",
    ),
)
