"""A node's status as lines for people. Pure."""

from __future__ import annotations

from rich.text import Text

from admin.cli.output import plain
from admin.licence_replies import LicenceTotals
from admin.replies import Peer, Replication, Status, SwitchProgress, Takeover

_LABEL_WIDTH = 13
_GOOD, _BAD = "green", "bold red"


def status_lines(status: Status) -> list[Text]:
    """One line per topic; what needs attention is marked `!` and red."""
    return [
        _line("pair", status.pair),
        _line("node", _node_text(status), good=status.state == "active"),
        _peer_line(status.peer),
        _replication_line(status.replication),
        *_data_lines(status.replication),
        *_switch_lines(status.switch),
        *_takeover_lines(status),
        _line("ready", _ready_text(status), bad=status.ready is False),
        *(_line(f"{k} health", v, bad=v != "ok") for k, v in status.health.items()),
        _line("durability", _durability_text(status), bad=status.appendonly is False),
        *_callback_lines(status),
        *_licence_lines(status.licences),
        _line("calls", str(status.call_count)),
        _entries_line(status),
        _line("realm", status.realm or "not known"),
        _line("version", status.version),
    ]


def _entries_line(status: Status) -> Text:
    # A new machine that reaches nobody serves with nothing (S2).
    alone = status.state == "active" and not status.peer.connected
    if status.entry_count == 0 and alone:
        return _line("entries", "0: this node serves without any entry", bad=True)
    return _line("entries", str(status.entry_count))


def _ready_text(status: Status) -> str:
    return ": ".join([_yes_no(status.ready), *status.not_ready])


def unreachable_line(text: str) -> Text:
    """Shown in place of the status while the node does not answer."""
    return _line("node", f"unreachable: {text}", bad=True)


def headline(status: Status) -> str:
    """What matters of a status in one line; equal lines mean that nothing happened."""
    peer, replication, switch = status.peer, status.replication, status.switch
    parts = [
        f"{status.role} {status.state} since {status.since} ({status.reason})",
        f"peer {_peer_headline(peer)}",
        f"replication {_replication_headline(replication)}",
        f"ready {_yes_no(status.ready)}",
        f"calls {status.call_count}",
    ]
    if replication.divergence:
        # Not in full: it names events, and would be another line at each change.
        parts.append("the data of the nodes differ, see status")
    parts += [f"{k}: {v}" for k, v in sorted(status.health.items()) if v != "ok"]
    if status.takeover is not None and status.takeover.paused:
        parts.append(f"takeover paused {status.takeover.pause or ''}")
    if status.takeover is not None and status.takeover.held:
        parts.append(f"takeover held: {status.takeover.held}")
    if status.hand_over_problem:
        parts.append(f"cannot serve: {status.hand_over_problem}")
    if switch is not None:
        parts.append(f"switch {_switch_text(switch)}")
    return "; ".join(plain(part) for part in parts)


def _line(label: str, text: str, *, good: bool = False, bad: bool = False) -> Text:
    style = _BAD if bad else _GOOD if good else ""
    mark = "! " if bad else ""
    return Text(f"{label:<{_LABEL_WIDTH}} ").append(plain(mark + text), style=style)


def _node_text(status: Status) -> str:
    reason = f" ({status.reason})" if status.reason else ""
    return f"{status.role}, {status.state} since {status.since or '?'}{reason}"


def _peer_line(peer: Peer) -> Text:
    if peer.problem:
        return _line("peer", peer.problem, bad=True)
    if not peer.connected:
        heard = (
            "" if peer.heard_ago_s is None else f", heard {peer.heard_ago_s:.1f} s ago"
        )
        return _line("peer", f"not connected{heard}", bad=True)
    text = f"{peer.role or 'role unknown'}, {peer.state or 'state unknown'}"
    if peer.heard_ago_s is not None:
        text += f", heard {peer.heard_ago_s:.1f} s ago"
    if peer.hears_us is False:
        return _line("peer", text + ", but it does not hear this node", bad=True)
    return _line("peer", text)


def _replication_line(replication: Replication) -> Text:
    if not replication.enabled:
        return _line("replication", "off", bad=True)
    lag = "lag unknown"
    if replication.lag_events is not None:
        lag = f"{replication.lag_events} events behind"
    if replication.lag_s:
        lag += f" ({replication.lag_s:.1f} s)"
    link = "connected" if replication.connected else "not connected"
    text = f"on, {link}, {lag}, {replication.conflict_count} conflicts"
    if replication.problem:
        return _line("replication", f"{text}: {replication.problem}", bad=True)
    return _line("replication", text, bad=not replication.connected)


def _data_lines(replication: Replication) -> list[Text]:
    texts = {
        "data": replication.divergence,
        "resync": replication.resync and f"under way, {replication.resync}",
        "resync due": replication.resync_due,
    }
    return [_line(name, text, bad=True) for name, text in texts.items() if text]


def _switch_lines(switch: SwitchProgress | None) -> list[Text]:
    return [] if switch is None else [_line("switch", _switch_text(switch))]


def _takeover_lines(status: Status) -> list[Text]:
    """What an operator must not forget; nothing while all is as usual."""
    found = []
    if status.takeover is not None:
        found += takeover_texts(status.takeover)
    if status.hand_over_problem:
        found.append(f"it cannot serve and goes on: {status.hand_over_problem}")
    if status.both_active_count:
        times = "once" if status.both_active_count == 1 else "times"
        count = "" if times == "once" else f"{status.both_active_count} "
        lost = status.both_active_loser_count
        found.append(
            f"both nodes were active {count}{times}; {lost} changes lost the last time; "
            "see the history and `conflicts`"
            if lost
            else f"both nodes were active {count}{times}; see the history"
        )
    return [_line("takeover", text, bad=True) for text in found]


def takeover_texts(takeover: Takeover) -> list[str]:
    """What holds takeovers back, if anything does."""
    found = []
    if takeover.paused:
        left_s = takeover.paused_for_s or 0.0
        found.append(
            f"paused for {left_s:.0f} s more, {takeover.pause or 'why unknown'}"
        )
    if takeover.held:
        found.append(f"held: {takeover.held}")
    return found


def _switch_text(switch: SwitchProgress) -> str:
    if switch.outcome is not None:
        return f"{switch.outcome}: {switch.text}" if switch.text else switch.outcome
    if switch.waiting_for_calls:
        return f"waiting for {calls_text(switch.waiting_for_calls)} to end"
    return switch.step or "under way"


def calls_text(count: int) -> str:
    """`1 call`, `2 calls`."""
    return f"{count} call" if count == 1 else f"{count} calls"


def _licence_lines(licences: LicenceTotals | None) -> list[Text]:
    if licences is None:
        return []
    return [_line("licences", licences.text, bad=not licences.valid)]


def _yes_no(flag: bool | None) -> str:
    return "not known" if flag is None else "yes" if flag else "no"


def _durability_text(status: Status) -> str:
    if status.appendonly is None:
        return "not known"
    if not status.appendonly:
        return "Redis keeps no append-only file: a crash of Redis loses changes"
    return f"appendonly yes, appendfsync {status.appendfsync or 'not known'}"


def _callback_lines(status: Status) -> list[Text]:
    counts = {
        "failed": status.callback_failed_count,
        "timed out": status.callback_timed_out_count,
        "dropped": status.callback_dropped_count,
    }
    text = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return [_line("callbacks", text, bad=True)] if text else []


def _peer_headline(peer: Peer) -> str:
    if peer.problem:
        return peer.problem
    if not peer.connected:
        return "not connected"
    deaf = "" if peer.hears_us is not False else ", does not hear this node"
    return f"{peer.role} {peer.state}{deaf}"


def _replication_headline(replication: Replication) -> str:
    if not replication.enabled:
        return "off"
    text = "on" if replication.connected else "on but not connected"
    conflicts = replication.conflict_count
    text += f", {conflicts} conflicts" if conflicts else ""
    return f"{text}, {replication.problem}" if replication.problem else text
