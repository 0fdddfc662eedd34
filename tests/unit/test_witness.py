"""The witness: any answer of any address, and a command that ends with 0."""

from __future__ import annotations

import socket
import sys

import pytest

from node.witness import Witness
from tests.support.ports import free_port

LIMIT_S = 5.0
OK = (sys.executable, "-c", "")


def command(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_an_address_that_answers_is_a_witness() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        assert Witness([place], (), LIMIT_S).problem() is None


def test_a_refusal_is_an_answer() -> None:
    assert Witness([f"127.0.0.1:{free_port()}"], (), LIMIT_S).problem() is None


def test_one_address_of_several_is_enough() -> None:
    there = f"127.0.0.1:{free_port()}"
    assert Witness(["no.such.host.invalid:1", there], (), LIMIT_S).problem() is None


def test_none_of_them_is_a_problem_that_names_them() -> None:
    problem = Witness(["no.such.host.invalid:1"], (), LIMIT_S).problem()
    assert problem is not None
    assert problem.startswith("not reached: no.such.host.invalid:1: ")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (OK, None),
        (
            command("print('no', 'route'); raise SystemExit(3)"),
            "ended with 3: no route",
        ),
        (("/no/such/command",), "cannot be run"),
    ],
)
def test_a_command_must_end_with_0(words: tuple[str, ...], problem: str | None) -> None:
    found = Witness((), words, LIMIT_S).problem()
    assert found is None if problem is None else found and problem in found


def test_a_command_that_does_not_end_is_killed_and_is_no_witness() -> None:
    words = command("import time; time.sleep(60)")
    found = Witness((), words, 0.2).problem()
    assert found is not None
    assert "did not end within 0.2 s" in found


def test_where_both_are_given_both_must_agree() -> None:
    there = [f"127.0.0.1:{free_port()}"]
    assert Witness(there, OK, LIMIT_S).problem() is None
    assert Witness(there, command("raise SystemExit(1)"), LIMIT_S).problem() is not None
