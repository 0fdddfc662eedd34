"""`/metrics`: the status as numbers that Prometheus can read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import attrs
import httpx
import pytest
from prometheus_client import Metric, parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from eventstore import Progress
from node.http_api.metrics import StatusCollector
from node.http_api.served_node import ServedNode
from node.roles import State
from node.runtime import View
from node.takeover_pause import TakeoverPause
from tests.support.documents import Document
from tests.support.http_client import READ_TOKEN, Api, refusal_of
from tests.support.served_node import FakeNode
from tests.support.statuses import SOURCES, status

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode()
    node.told = status()
    return node


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(node)


def scraped(api: Api) -> Samples:
    reply = api("GET", "/metrics", token=READ_TOKEN)
    assert reply.status_code == 200
    return samples(parser.text_string_to_metric_families(reply.text))


def samples(families: Iterable[Metric]) -> Samples:
    found: Samples = {}
    for family in families:
        assert family.documentation, family.name
        for sample in family.samples:
            place = sample.name, tuple(sorted(sample.labels.items()))
            assert place not in found, "a sample twice"
            found[place] = sample.value
    return found


def plain(name: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, ()


WELL = {
    "netphone_live": 1,
    "netphone_status_readable": 1,
    "netphone_active": 1,
    "netphone_ready": 1,
    "netphone_not_ready_reasons": 0,
    "netphone_entries": 1042,
    "netphone_calls": 2,
    "netphone_recovery_pending": 0,
    "netphone_hand_over_problem": 0,
    "netphone_peer_connected": 1,
    "netphone_peer_heard_age_seconds": 0.4,
    "netphone_peer_hears_us": 1,
    "netphone_peer_active": 0,
    "netphone_peer_problem": 0,
    "netphone_replication_enabled": 1,
    "netphone_replication_connected": 1,
    "netphone_replication_lag_events": 2,
    "netphone_replication_lag_seconds": 1.75,
    "netphone_replication_conflicts": 3,
    "netphone_replication_unknown_events": 1,
    "netphone_replication_divergence": 0,
    "netphone_replication_problem": 0,
    "netphone_takeovers_last_hour": 0,
    "netphone_takeover_paused": 0,
    "netphone_takeover_held": 0,
    "netphone_both_active": 0,
    "netphone_licences_valid": 1,
    "netphone_licences_ends_in_days": 40,
    "netphone_licence_seats": 50,
    "netphone_licence_seats_in_use": 12,
    "netphone_licences_grace_over": 0,
    "netphone_licences_grace_days_left": 27.5,
    "netphone_callbacks_failed_total": 1,
    "netphone_callbacks_timed_out_total": 2,
    "netphone_callbacks_dropped_total": 3,
}


def test_a_status_is_told_whole(api: Api) -> None:
    told: Samples = {plain(name): value for name, value in WELL.items()}
    info = {"pair": "office", "role": "master", "version": "1.0.0"}
    told["netphone_node_info", tuple(sorted(info.items()))] = 1
    told["netphone_role", (("role", "master"),)] = 1
    told["netphone_role", (("role", "standby"),)] = 0
    told["netphone_state", (("state", "active"),)] = 1
    told["netphone_state", (("state", "passive"),)] = 0
    told["netphone_health", (("check", "redis"),)] = 1
    assert scraped(api) == told


def test_every_alarm_of_a_status_is_a_metric(api: Api, node: FakeNode) -> None:
    view = attrs.evolve(
        SOURCES.view,
        state=State.PASSIVE,
        connected=False,
        hears_us=False,
        problem="another secret",
        divergence="stream 'master' has forked",
        unserved="the peer is not connected",
        held="automatic takeover is paused",
        takeover_count=4,
    )
    node.live = False
    node.told = status(
        state=State.PASSIVE,
        view=view,
        progress=Progress(connected=False, problem="refused", complete_at_s=40.0),
        pause=TakeoverPause(1, True, 160.0, 60.0, "by jane"),
        health={"redis": "full", "sip": "ok"},
        recovery="stream 'master' lost events",
        not_ready=["redis: full", "stream 'master' lost events"],
    )
    node.told["both_active"] = {"count": 5, "last": None}
    found = scraped(api)
    for name, value in {
        "netphone_live": 0,
        "netphone_active": 0,
        "netphone_ready": 0,
        "netphone_not_ready_reasons": 2,
        "netphone_recovery_pending": 1,
        "netphone_hand_over_problem": 1,
        "netphone_peer_connected": 0,
        "netphone_peer_hears_us": 0,
        "netphone_peer_problem": 1,
        "netphone_replication_connected": 0,
        "netphone_replication_lag_seconds": 60,
        "netphone_replication_divergence": 1,
        "netphone_replication_problem": 1,
        "netphone_takeovers_last_hour": 4,
        "netphone_takeover_paused": 1,
        "netphone_takeover_held": 1,
        "netphone_both_active": 5,
    }.items():
        assert found[plain(name)] == value, name
    assert found["netphone_state", (("state", "passive"),)] == 1
    assert found["netphone_health", (("check", "redis"),)] == 0
    assert found["netphone_health", (("check", "sip"),)] == 1


def test_what_is_not_known_has_no_sample(api: Api, node: FakeNode) -> None:
    never = Progress(connected=False, problem=None, complete_at_s=None)
    node.told = status(view=View(state=State.PASSIVE), progress=never)
    found = scraped(api)
    unknown = {name for name in WELL if plain(name) not in found}
    assert unknown == {
        "netphone_peer_heard_age_seconds",
        "netphone_peer_active",
        "netphone_replication_lag_events",
        "netphone_replication_lag_seconds",
    }


def test_a_node_whose_status_cannot_be_read_still_answers(
    api: Api, node: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    node.told = None
    found = scraped(api)
    assert found[plain("netphone_replication_enabled")] == 1
    assert plain("netphone_entries") not in found, "a status that lacks a part"

    class Broken(FakeNode):
        def status(self) -> dict[str, object]:
            raise RuntimeError("no status")

        def is_live(self) -> bool:
            raise RuntimeError("not even that")

    assert scraped(Api(Broken())) == {
        plain("netphone_live"): 0,
        plain("netphone_status_readable"): 0,
    }
    assert "the status cannot be read" in caplog.text


def test_one_scrape_takes_one_status_and_waits_for_nothing(node: FakeNode) -> None:
    asked: list[str] = []

    class Counting:
        """Only what reads memory: anything else would fail here."""

        def status(self) -> dict[str, object]:
            asked.append("status")
            return status()

        def is_live(self) -> bool:
            return True

    api = Api(cast(Any, Counting()), limits=None)
    assert asked == [], "nothing is asked before a scrape"
    assert scraped(api)[plain("netphone_entries")] == 1042
    assert asked == ["status"]
    assert list(StatusCollector(cast(ServedNode, Counting())).describe()) == []


def test_a_scraper_that_asks_for_openmetrics_gets_it(api: Api) -> None:
    def ask(accept: str) -> httpx.Response:
        return api("GET", "/metrics", headers={"Accept": accept})

    reply = ask("application/openmetrics-text;version=1.0.0")
    media_type = reply.headers["content-type"]
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    families = openmetrics_parser.text_string_to_metric_families(reply.text)  # type: ignore[no-untyped-call]
    assert samples(families) == scraped(api)
    reply = ask("*/*")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("version", ["x", "..", "1.x.0", "-1"])
@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
def test_a_scraper_that_asks_for_no_version_gets_what_all_read(
    api: Api, kind: str, version: str
) -> None:
    reply = api("GET", "/metrics", headers={"Accept": f"{kind}; version={version}"})
    assert reply.status_code == 200
    assert "netphone_live 1.0" in reply.text


def test_it_needs_a_token_as_the_status_does(api: Api) -> None:
    assert refusal_of(api("GET", "/metrics", token=None)) == (401, "not-authorised")


@pytest.mark.parametrize("check", ['a"b\\c', "line\nbreak", "ü" * 32])
def test_a_check_may_have_any_name(api: Api, node: FakeNode, check: str) -> None:
    node.told = status(health={check: "ok"})
    assert scraped(api)["netphone_health", (("check", check),)] == 1


def test_every_metric_is_in_the_guide_and_no_other(api: Api) -> None:
    there = {name for name, _ in scraped(api)}
    guide = Document.read("docs/operators.md")
    rows = guide.rows("Metric")
    assert there == {name for row in rows for name in re.findall(r"`(\w+)", row[0])}
    assert there >= set(re.findall(r"netphone_\w+", guide.text))
