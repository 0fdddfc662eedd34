"""The licences of a running node, and the seats that its users hold."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from eventstore import (
    ACTOR_BYTES_MAX,
    Event,
    EventStore,
    InvalidEntry,
    JsonValue,
    PublicKey,
    check_text,
    read_licence,
)
from node.clock import Clock
from node.config import NodeConfig
from node.errors import NoSeat, NoSuchLicence, NotMaster
from node.licences import (
    Licences,
    Validity,
    check_install,
    check_seat,
    validity,
)
from node.roles import Role

_log = logging.getLogger("netphone.licences")

USER_BYTES_MAX = ACTOR_BYTES_MAX


class Licensing:
    """Installs and removes licences (L1), and says what they are worth. Thread-safe."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        store: EventStore,
        clock: Clock,
        grace_over: Callable[[], bool],
    ) -> None:
        """`grace_over`: whether this standby has not reached its master for too long."""
        self._config = config
        self._store = store
        self._clock = clock
        self._grace_over = grace_over
        pem = config.vendor_key
        self._vendor_key = None if pem is None else PublicKey.from_pem(pem.encode())
        self._changing = threading.Lock()
        """Held from the decision until it is stored, so that two cannot contradict."""
        self._read = list[Event](), Licences()
        self._noted: dict[str, str | None] = {}
        self.seats = Seats(self.validity)

    def licences(self) -> Licences:
        """Those that are installed; read again only when an event changed them."""
        events, (known, licences) = self._store.licences(), self._read
        if events != known:
            licences = Licences.of_events(events, self._vendor_key)
            self._read = events, licences
        return licences

    def validity(self) -> Validity:
        """What all are worth at this moment; costs nothing."""
        return validity(
            self.licences(),
            now_wall_ns=self._clock.wall_ns(),
            grace_over=self._grace_over(),
        )

    def install(self, document: JsonValue, *, actor: str, reason: str) -> Event:
        """Install a licence; see `NetPhoneNode.install_licence`."""
        self._check_master("installed")
        licence = read_licence(document)
        with self._changing:
            check_install(
                self.licences(),
                licence,
                self._vendor_key,
                now_wall_ns=self._clock.wall_ns(),
            )
            return self._change(licence.id, document, True, actor, reason)

    def remove(self, licence_id: str, *, actor: str, reason: str) -> Event:
        """Remove a licence; see `NetPhoneNode.remove_licence`."""
        self._check_master("removed")
        with self._changing:
            found = self.licences().get(licence_id)
            if found is None:
                raise NoSuchLicence(f"no licence {licence_id[:64]!r} is installed")
            return self._change(licence_id, found.event.value, False, actor, reason)

    def status(self) -> dict[str, object]:
        """The part of `/status` that tells of licences."""
        found = self.validity()
        return {
            "valid": found.valid,
            "reason": found.reason,
            "ends_in_days": found.ends_in_days(self._clock.wall_ns()),
            "seats": found.seats,
            "in_use": self.seats.in_use,
            "options": dict(found.options),
        }

    def note_changes(self) -> None:
        """One log line for each licence that is another than at the last call."""
        found = {s.installed.id: s.reason for s in self.validity().standings}
        noted, self._noted = self._noted, found
        for licence_id, reason in found.items():
            if licence_id in noted and noted[licence_id] == reason:
                continue
            if reason is None:
                _log.info("licence %s is valid", licence_id)
            else:
                _log.warning("licence %s is not valid: %s", licence_id, reason)
        for licence_id in noted.keys() - found.keys():
            _log.info("licence %s was removed", licence_id)

    def _check_master(self, what: str) -> None:
        if self._config.role is not Role.MASTER:
            raise NotMaster(
                f"this is the standby; a licence is {what} at the master, whose link is "
                f"{self._config.peer}, and reaches the standby from there"
            )

    def _change(
        self,
        licence_id: str,
        document: JsonValue,
        installed: bool,
        actor: str,
        reason: str,
    ) -> Event:
        event = self._store.change_licence(
            licence_id,
            document,
            installed=installed,
            actor=actor,
            reason=reason,
            frozen_limit_s=self._config.switch_timeout_s,
        )
        self.note_changes()
        return event


class Seats:
    """Which users are logged on (L3). Thread-safe; in memory, so a new process starts empty.

    A user holds one seat, however many phones. Nothing takes a seat away: when licences end,
    or their seats become fewer, who is logged on stays, and calls go on.
    """

    def __init__(self, validity: Callable[[], Validity]) -> None:
        self._validity = validity
        self._users: set[str] = set()
        self._lock = threading.Lock()

    @property
    def in_use(self) -> int:
        """How many users hold one."""
        return len(self._users)

    def take(self, user: str) -> None:
        """Let `user` log on; again for one who holds a seat already costs none.

        Raises:
            NoSeat: no licence is valid, or all seats are in use.
            InvalidEntry: `user` is no name of 1 to 256 bytes.
        """
        if not check_text("user", user, USER_BYTES_MAX):
            raise InvalidEntry("user is empty; say who logs on")
        with self._lock:
            reason = check_seat(self._validity(), self._users, user)
            if reason is not None:
                raise NoSeat(f"{user} cannot log on: {reason}")
            self._users.add(user)

    def release(self, user: str) -> None:
        """`user` has logged off; nothing happens if it holds no seat."""
        with self._lock:
            self._users.discard(user)
