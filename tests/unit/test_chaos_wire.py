"""What becomes of packets between two machines (tests/chaos)."""

from __future__ import annotations

import struct
from random import Random

import pytest

from node.roles import Role
from tests.chaos import packets
from tests.chaos.wire import Act, Delivery, Treatment, Wire

M, S = Role.MASTER, Role.STANDBY
A, B = bytes([10, 77, 0, 1]), bytes([10, 77, 0, 2])
REDIS = 6379


def packet(
    *,
    flags: int = packets.ACK,
    ends: tuple[bytes, bytes] = (A, B),
    ports: tuple[int, int] = (40000, REDIS),
    sequence: int = 1000,
    acknowledged: int = 2000,
    data: bytes = b"hello",
) -> bytes:
    tcp = struct.pack(
        "!HHIIBBHHH", *ports, sequence, acknowledged, 5 << 4, flags, 0, 0, 0
    )
    size = 20 + len(tcp) + len(data)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, packets.TCP, 0)
    return ip + b"".join(ends) + tcp + data


def wire(treatment: Treatment, sender: Role = M) -> Wire:
    made = Wire(Random(1))
    made.treat({sender: treatment})
    return made


def arrivals(made: Wire, sent: bytes, sender: Role = M) -> list[Delivery]:
    return made.carry(sent, sender, 5.0)


def test_by_default_everything_arrives_at_once() -> None:
    assert arrivals(wire(Treatment()), packet()) == [Delivery(5.0, S, packet())]


def test_a_cut_is_one_way() -> None:
    made = wire(Treatment(Act.DROP))
    assert arrivals(made, packet()) == []
    assert arrivals(made, packet(), S) == [Delivery(5.0, M, packet())]


@pytest.mark.parametrize(("port", "count"), [(REDIS, 0), (7400, 1)])
def test_a_treatment_of_one_port_leaves_the_others_alone(port: int, count: int) -> None:
    made = wire(Treatment(Act.DROP, port=REDIS))
    assert len(arrivals(made, packet(ports=(40000, port)))) == count


def test_what_is_no_tcp_has_no_port_and_arrives() -> None:
    ping = b"\x45" + bytes(8) + b"\x01" + bytes(30)
    assert len(arrivals(wire(Treatment(Act.DROP, port=REDIS)), ping)) == 1


def test_what_a_jam_holds_arrives_in_order_when_it_is_over() -> None:
    made = wire(Treatment(Act.HOLD))
    first, second = packet(data=b"1"), packet(data=b"2")
    assert arrivals(made, first) == arrivals(made, second) == []
    assert made.heal(9.0) == [Delivery(9.0, S, first), Delivery(9.0, S, second)]
    assert made.heal(9.0) == []


def test_a_share_of_the_packets_arrives_twice() -> None:
    made = wire(Treatment(doubled=0.5))
    counted = [len(arrivals(made, packet())) for _ in range(100)]
    assert set(counted) == {1, 2}
    assert 30 < counted.count(2) < 70


def test_delay_and_jitter_add_up() -> None:
    made = wire(Treatment(delay_s=0.5, jitter_s=0.2))
    due_s = [arrivals(made, packet())[0].due_s for _ in range(50)]
    assert 5.5 <= min(due_s) < max(due_s) <= 5.7


def test_about_the_share_is_lost() -> None:
    made = wire(Treatment(lost=0.25))
    arrived = sum(len(arrivals(made, packet())) for _ in range(1000))
    assert 700 < arrived < 800


def test_a_reset_ends_the_connection_for_both_with_the_numbers_each_expects() -> None:
    to_standby, to_master = arrivals(wire(Treatment(Act.RESET)), packet())
    assert (to_standby.to, to_master.to) == (S, M)
    told_standby = packets.parse(to_standby.packet)
    told_master = packets.parse(to_master.packet)
    sent = packets.parse(packet())
    assert sent is not None
    assert told_standby is not None
    assert told_master is not None
    assert told_standby.flow == sent.flow
    assert told_standby.sequence == 1000
    assert told_master.flow == sent.flow.reversed()
    assert told_master.sequence == 2000
    assert told_master.acknowledged == 1005
    assert told_standby.flags & told_master.flags & packets.RST


def test_half_open_tells_the_receiver_only() -> None:
    made = wire(Treatment(Act.HALF_OPEN))
    assert [found.to for found in arrivals(made, packet())] == [S]


def test_forgetting_tells_nobody() -> None:
    assert arrivals(wire(Treatment(Act.FORGET)), packet()) == []


@pytest.mark.parametrize("act", [Act.RESET, Act.HALF_OPEN, Act.FORGET])
@pytest.mark.parametrize("treated", [M, S])
def test_a_connection_that_begins_later_is_carried(act: Act, treated: Role) -> None:
    made = wire(Treatment(act), treated)
    for sent in (packet(flags=packets.SYN), packet()):
        assert arrivals(made, sent) == [Delivery(5.0, S, sent)]
    back = packet(flags=packets.SYN | packets.ACK, ends=(B, A), ports=(REDIS, 40000))
    assert arrivals(made, back, S) == [Delivery(5.0, M, back)]


def test_a_reset_has_right_checksums() -> None:
    forged = arrivals(wire(Treatment(Act.HALF_OPEN)), packet())[0].packet
    assert packets.checksum(forged[:20]) == 0
    pseudo = A + B + struct.pack("!BBH", 0, packets.TCP, len(forged) - 20)
    assert packets.checksum(pseudo + forged[20:]) == 0


@pytest.mark.parametrize("size", [0, 1, 19, 20, 39])
def test_half_a_packet_is_no_segment(size: int) -> None:
    assert packets.parse(packet()[:size]) is None
