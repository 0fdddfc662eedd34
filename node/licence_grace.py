"""How long the master was not reached, and whether licences still hold on the standby (L2). Pure.

The count is a number of seconds, not a date: nothing is ever worked out from when the last
contact *was*. It only grows, and only contact with the master makes it smaller. What makes
it grow, in the order of trust:

1. **The clock since boot** (`CLOCK_BOOTTIME`), within one boot of the machine, whichever process
   looks at it: the count carries the boot's id. It cannot be set, so while the machine runs the
   wall clock has no say at all, over any number of restarts of the node.
2. **Over a reboot, the wall clock, where the kernel says that it is synchronised** (NTP), at the
   end before and at any time after. Setting a clock by hand takes that word away. If it is not
   synchronised at once, the time off waits, unsettled, until it is; further reboots add to it.
3. **Else the wall clock, but for at most `OFF_S_MAX` a reboot**, and never less than what
   the machine has been up since. So a clock that leaps ahead while the machine is off takes a day
   of the 28 at most, and one that is set back gives nothing back.

What remains, because there is no evidence: a machine that is never synchronised and is off for
more than a day is believed that it was off for one, and one whose clock is set back while it is
off, for none. It served nobody in that time. Who may forge Redis, the kernel's clock state or a
whole virtual machine that is paused or rolled back is not stopped by this.

`Count` is stored every few minutes (see `must_save`); what is lost with a process that is killed
is contact since then: the count may be ahead by as much, never behind.
"""

from __future__ import annotations

from enum import StrEnum

import attrs

from eventstore import JsonValue

DAY_S = 86_400.0
OFF_S_MAX = DAY_S
"""So much of the time between two boots is believed to a clock that nobody vouches for."""
WARNED_AT = (14 / 28, 7 / 28, 3 / 28, 1 / 28)
"""Parts of the grace that are left at each warning: 14, 7, 3 and 1 of 28 days."""
SAVE_S_MAX = 300.0
_SAVES_PER_GRACE = 100
_BOOT_LENGTH_MAX = 64
_SECONDS_MAX = 1e11
_WALL_NS_MAX = 2**63 - 1


@attrs.frozen(kw_only=True)
class Reading:
    """All clocks of this machine at one moment."""

    now_s: float
    """Never goes back within one boot; goes on while suspended."""
    boot: str
    """Within which boot `now_s` can be compared; where that is not known, this process."""
    up_s: float
    """The machine has been up for at least so long."""
    wall_ns: int
    synchronised: bool
    """Whether the kernel vouches for `wall_ns`."""


@attrs.frozen
class Vouched:
    """What the count was when the wall clock could be believed last, before a reboot."""

    wall_ns: int
    counted_s: float


@attrs.frozen(kw_only=True)
class Count:
    """How long the master was not reached, as of `reading`."""

    counted_s: float
    reading: Reading
    unsettled: Vouched | None = None
    """Since then the machine was off for a time that is still to be found out."""
    warned_count: int = 0
    """How many of the warnings were given since the last contact."""

    @classmethod
    def begun(cls, reading: Reading) -> Count:
        """Nothing was counted yet: the first start of a standby."""
        return cls(counted_s=0.0, reading=reading)

    def at(self, now: Reading, contact_s: float | None = None) -> Count:
        """The count at `now`; `contact_s`, if any, is by the clock of `now`.

        Never less than before, but for contact.
        """
        counted_s, unsettled = self._gone_on(now)
        if unsettled is not None and now.synchronised:
            gone_s = (now.wall_ns - unsettled.wall_ns) / 1e9
            counted_s = max(counted_s, unsettled.counted_s + gone_s)
            unsettled = None
        if contact_s is not None:
            counted_s = min(counted_s, max(0.0, now.now_s - contact_s))
            unsettled = None
        return attrs.evolve(self, counted_s=counted_s, reading=now, unsettled=unsettled)

    def _gone_on(self, now: Reading) -> tuple[float, Vouched | None]:
        before = self.reading
        if now.boot == before.boot:
            gone_s = max(0.0, now.now_s - before.now_s)
            return self.counted_s + gone_s, self.unsettled
        if before.synchronised:
            vouched = Vouched(before.wall_ns, self.counted_s)
            return self.counted_s + now.up_s, vouched
        if self.unsettled is not None and now.synchronised:
            return self.counted_s + now.up_s, self.unsettled
        off_s = min((now.wall_ns - before.wall_ns) / 1e9, OFF_S_MAX)
        return self.counted_s + max(now.up_s, off_s), self.unsettled

    def at_most(self, counted_s: float) -> Count:
        """It, if there is evidence that the master was reached so long ago."""
        counted_s = min(self.counted_s, max(0.0, counted_s))
        return attrs.evolve(self, counted_s=counted_s)

    def is_over(self, grace_s: float) -> bool:
        """Whether licences are invalid on this standby."""
        return self.counted_s > grace_s

    def left_s(self, grace_s: float) -> float:
        """How long licences still hold, in seconds, if the master stays away."""
        return max(0.0, grace_s - self.counted_s)

    def must_save(self, saved: Count | None, grace_s: float) -> bool:
        """Whether what is `saved` must be replaced: it is old, or says too much."""
        if saved is None or saved.reading.boot != self.reading.boot:
            return True
        save_s = min(SAVE_S_MAX, grace_s / _SAVES_PER_GRACE)
        vouched = self.reading.synchronised and not saved.reading.synchronised
        return (
            vouched
            or self.reading.now_s - saved.reading.now_s >= save_s
            or saved.counted_s - self.counted_s >= save_s
            or saved.warned_count != self.warned_count
        )

    # As it is stored.

    def as_value(self) -> dict[str, JsonValue]:
        """For Redis and for events."""
        vouched = self.unsettled
        return {
            "counted_s": self.counted_s,
            "now_s": self.reading.now_s,
            "boot": self.reading.boot,
            "wall_ns": self.reading.wall_ns,
            "synchronised": self.reading.synchronised,
            "unsettled": None
            if vouched is None
            else {"wall_ns": vouched.wall_ns, "counted_s": vouched.counted_s},
            "warned": self.warned_count,
        }

    @classmethod
    def from_value(cls, value: JsonValue) -> Count | None:
        """What `as_value` gave; None: it is no such thing."""
        try:
            return cls._read(value)
        except (KeyError, TypeError, ValueError):
            return None

    @classmethod
    def _read(cls, value: JsonValue) -> Count:
        if not isinstance(value, dict):
            raise TypeError
        boot, synchronised = value["boot"], value["synchronised"]
        if not isinstance(boot, str) or type(synchronised) is not bool:
            raise TypeError
        if len(boot) > _BOOT_LENGTH_MAX:
            raise ValueError
        reading = Reading(
            now_s=_seconds(value["now_s"]),
            boot=boot,
            up_s=0.0,
            wall_ns=_whole(value["wall_ns"], _WALL_NS_MAX),
            synchronised=synchronised,
        )
        vouched = value["unsettled"]
        return cls(
            counted_s=_seconds(value["counted_s"]),
            reading=reading,
            unsettled=None if vouched is None else _vouched(vouched),
            warned_count=_whole(value["warned"], len(WARNED_AT)),
        )


def _vouched(value: JsonValue) -> Vouched:
    if not isinstance(value, dict):
        raise TypeError
    wall_ns = _whole(value["wall_ns"], _WALL_NS_MAX)
    return Vouched(wall_ns, _seconds(value["counted_s"]))


def _seconds(value: JsonValue) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not 0.0 <= value <= _SECONDS_MAX:  # Nor is anything that is no number.
        raise ValueError
    return float(value)


def _whole(value: JsonValue, limit: int) -> int:
    if type(value) is not int:
        raise TypeError
    if not 0 <= value <= limit:
        raise ValueError
    return value


class News(StrEnum):
    """What is to be told, once."""

    WARNING = "warning"
    LAPSED = "lapsed"
    RESTORED = "restored"


def told(count: Count, grace_s: float, *, lapsed: bool) -> tuple[Count, News | None]:
    """What is to be told now, and the count that remembers it.

    `lapsed` is what was told last. Of several warnings that are due only the last one is given.
    """
    left_s = count.left_s(grace_s)
    passed = sum(left_s <= part * grace_s for part in WARNED_AT)
    # Only contact lets nothing be passed again, and after it all begins anew.
    is_next = passed > count.warned_count
    if is_next or passed == 0:
        count = attrs.evolve(count, warned_count=passed)
    if count.is_over(grace_s) is not lapsed:
        return count, News.RESTORED if lapsed else News.LAPSED
    return count, News.WARNING if is_next and not lapsed else None
