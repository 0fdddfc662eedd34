"""IPv4 packets with TCP in them, as far as a network that breaks things needs it. Pure.

RFC 791 and RFC 9293 §3.1 have the formats.
"""

from __future__ import annotations

import struct

import attrs

TCP = 6
SYN, RST, ACK = 0x02, 0x04, 0x10
_IP_BYTES = 20
_TCP_BYTES = 20
_TTL = 64


@attrs.frozen
class Flow:
    """One direction of a TCP connection."""

    source: bytes
    source_port: int
    target: bytes
    target_port: int

    def reversed(self) -> Flow:
        """The other direction."""
        return Flow(self.target, self.target_port, self.source, self.source_port)


@attrs.frozen
class Segment:
    """What is looked at in a TCP packet."""

    flow: Flow
    sequence: int
    acknowledged: int
    flags: int
    length: int
    """By how much it moves the sequence: its bytes, and one each for SYN and FIN."""

    @property
    def opens(self) -> bool:
        """Whether it begins a connection."""
        return bool(self.flags & SYN) and not self.flags & ACK

    @property
    def has_port(self) -> frozenset[int]:
        return frozenset((self.flow.source_port, self.flow.target_port))


def parse(packet: bytes) -> Segment | None:
    """The TCP segment in an IPv4 packet; None when it is anything else."""
    if len(packet) < _IP_BYTES or packet[0] >> 4 != 4 or packet[9] != TCP:
        return None
    start = (packet[0] & 15) * 4
    if len(packet) < start + _TCP_BYTES:
        return None
    source_port, target_port, sequence, acknowledged, words, flags = struct.unpack_from(
        "!HHIIBB", packet, start
    )
    carried = len(packet) - start - (words >> 4) * 4
    return Segment(
        Flow(packet[12:16], source_port, packet[16:20], target_port),
        sequence,
        acknowledged,
        flags,
        carried + bool(flags & SYN) + bool(flags & 1),
    )


def resets(segment: Segment) -> tuple[bytes, bytes]:
    """Packets that end the connection for the sender of `segment`, and for its receiver.

    Each comes in the name of the other end and with the very sequence number that is
    expected: nothing else is believed (RFC 9293 §3.5.3). The segment itself must not
    arrive.
    """
    to_receiver = _reset(segment.flow, segment.sequence, segment.acknowledged)
    to_sender = _reset(
        segment.flow.reversed(),
        segment.acknowledged,
        (segment.sequence + segment.length) % 2**32,
    )
    return to_sender, to_receiver


def _reset(flow: Flow, sequence: int, acknowledged: int) -> bytes:
    ports = (flow.source_port, flow.target_port)
    fields = (*ports, sequence, acknowledged, 5 << 4, RST | ACK, 0)
    tcp = struct.pack("!HHIIBBHHH", *fields, 0, 0)
    ends = flow.source + flow.target
    checked = checksum(ends + struct.pack("!BBH", 0, TCP, _TCP_BYTES) + tcp)
    tcp = struct.pack("!HHIIBBHHH", *fields, checked, 0)
    size = _IP_BYTES + _TCP_BYTES
    ip = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, _TTL, TCP, 0) + ends
    checked = checksum(ip)
    return ip[:10] + struct.pack("!H", checked) + ip[12:] + tcp


def checksum(data: bytes) -> int:
    """The Internet checksum of an even count of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
