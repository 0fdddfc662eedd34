"""The page that is generated from the state machine."""

from __future__ import annotations

from pathlib import Path

import attrs

from node import supervision_table
from node.roles import Role
from node.situation import Observation, Phase, Switch

PAGE = Path(__file__).parents[2] / "docs" / "supervision.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == supervision_table.page(), "run: make docs"


def test_the_page_asks_about_every_kind_of_observation() -> None:
    for role in Role:
        seen = supervision_table.observations(role, supervision_table.switch_of(role))
        kinds = {type(one.observation) for one in seen}
        assert kinds == set(Observation.__args__)


def test_the_page_has_every_phase() -> None:
    shown = {
        type(now.phase) for _, all_of in supervision_table.sections() for now in all_of
    }
    assert shown == set(Phase.__args__)


def test_the_page_shows_every_observation_in_every_phase() -> None:
    switch = supervision_table.switch_of(Role.MASTER)
    names = [
        one.name
        for one in supervision_table.observations(Role.MASTER, switch)
        if not one.like
    ]
    for section in PAGE.read_text().split("\n## ")[1:]:
        title = section.splitlines()[0]
        missing = [name for name in names if name not in section]
        assert not missing, f"{title}: {missing}"


def test_a_switch_is_named_by_everything_it_has() -> None:
    assert {field.name for field in attrs.fields(Switch)} == {
        "id", "giver_instance", "taker_instance", "giver", "actor", "reason",
        "urgent",
    }  # fmt: skip
