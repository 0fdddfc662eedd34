"""An operator moves 500 users from FreePBX to a real pair, and no password comes along."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import msgpack
import pytest

from node.roles import Role
from tests.support.admin_process import AdminRun, done, run_admin
from tests.support.processes import NodeProcess, PairProcesses
from tests.support.redis_servers import require_redis

pytestmark = pytest.mark.redis

SHARED = Path(__file__).parents[3] / "shared" / "data" / "extensions.csv"
EXCERPT = Path(__file__).parents[1] / "data" / "extensions-excerpt.csv"
FILE = SHARED if SHARED.exists() else EXCERPT
PASSWORD_COLUMNS = ("secret", "password", "voicemail_vmpwd")
TOLD_APART_LENGTH_MIN = 4
"""Shorter ones would be found by chance."""
REALM = "office"


@attrs.frozen
class Imported:
    """The pair after the import, and what the command said."""

    pair: PairProcesses
    run: AdminRun
    rows: list[dict[str, str]]

    @property
    def nodes(self) -> tuple[NodeProcess, NodeProcess]:
        return self.pair.master, self.pair.standby

    def passwords(self, *columns: str) -> set[str]:
        found = {row[column] for column in columns for row in self.rows}
        return {text for text in found if len(text) >= TOLD_APART_LENGTH_MIN}

    def vectors(self) -> list[object]:
        return [node.status()["vector"] for node in self.nodes]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    require_redis()
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with PairProcesses(tmp_path_factory.mktemp("import")) as pair:
        pair.start()
        run = done(pair, pair.master, "import", FILE)
        pair.wait_until_equal()
        yield Imported(pair, run, rows)


def users_of(node: NodeProcess) -> dict[str, dict[str, Any]]:
    listed = node.http.get("/entries", params={"prefix": "users/"}).json()
    assert listed["next"] is None
    return {key: entry["value"] for key, entry in listed["entries"].items()}


def whole_history(node: NodeProcess) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        after = {"after": cursor} if cursor else {}
        page = node.http.get("/history", params={"limit": "200", **after}).json()
        events += page["events"]
        cursor = page["next"]
    return events


def stored_bytes(pair: PairProcesses, role: Role) -> bytes:
    """Every event of both streams in the Redis of `role`, as it is stored."""
    found = []
    with pair.redis[role].client() as client:
        for origin in Role:
            entries = client.xrange(f"netphone:{{office}}:events:{origin}")
            assert entries
            found += [value for _, fields in entries for value in fields.values()]
    return b"".join(found)


def strings_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_in(inner)


def test_every_user_is_on_both_nodes_with_every_column(imported: Imported) -> None:
    if FILE is SHARED:
        assert len(imported.rows) == 500
    for node in imported.nodes:
        users = users_of(node)
        assert len(users) == len(imported.rows)
        for row in imported.rows:
            user = users[f"users/{row['extension']}"]
            kept = {
                **user["freepbx"],
                "extension": user["extension"],
                "name": user["display_name"],
            }
            left_out = dict.fromkeys(PASSWORD_COLUMNS, "")
            assert kept == {k: v for k, v in row.items() if k not in left_out}


def test_the_digests_are_those_that_phones_compute(imported: Imported) -> None:
    users = users_of(imported.pair.standby)
    for row in imported.rows:
        proof = f"{row['extension']}:{REALM}:{row['secret']}".encode()
        assert users[f"users/{row['extension']}"]["digests"] == {
            "realm": REALM,
            "md5": hashlib.md5(proof).hexdigest(),
            "sha256": hashlib.sha256(proof).hexdigest(),
        }


def test_the_summary_tells_what_was_stored_and_what_was_not(imported: Imported) -> None:
    out = imported.run.out
    assert f"{len(imported.rows)} new, 0 changed, 0 unchanged" in out
    assert "passwords are not stored" in out
    for column in PASSWORD_COLUMNS:
        filled = sum(bool(row[column]) for row in imported.rows)
        assert f"{column} ({filled} values)" in out


def test_no_password_is_in_what_a_node_tells(imported: Imported) -> None:
    secrets = imported.passwords("secret", "password")
    assert len(secrets) == len({row["secret"] for row in imported.rows})
    pins = imported.passwords("voicemail_vmpwd")
    assert pins
    for node in imported.nodes:
        for told in (users_of(node), whole_history(node), node.status()):
            text = json.dumps(told, ensure_ascii=False)
            assert not [secret for secret in secrets if secret in text]
            assert pins.isdisjoint(strings_in(told))


def test_no_password_is_in_redis(imported: Imported) -> None:
    secrets = imported.passwords("secret", "password")
    pins = imported.passwords("voicemail_vmpwd")
    for role in Role:
        events = stored_bytes(imported.pair, role)
        assert all(user.encode() in events for user in ("users/100", "freepbx"))
        files = imported.pair.redis[role].directory.rglob("*")
        written = b"".join(f.read_bytes() for f in files if f.is_file())
        assert b"users/100" in written
        for data in (events, written):
            assert not [secret for secret in secrets if secret.encode() in data]
        # A PIN of four digits is in the middle of many numbers: only a whole value tells.
        assert not [pin for pin in pins if msgpack.packb(pin) in events]


def test_no_password_is_in_outputs_and_logs(imported: Imported, tmp_path: Path) -> None:
    again = run_admin(imported.pair, imported.pair.master, "--json", "import", FILE)
    exported = tmp_path / "export.jsonl"
    more = done(imported.pair, imported.pair.standby, "export", exported)
    history = done(imported.pair, imported.pair.master, "history")
    printed = imported.run.printed + again.printed + more.printed + history.printed
    logs = "".join(node.log() for node in imported.nodes)
    everything = printed + logs + exported.read_text("utf-8")
    secrets = imported.passwords("secret", "password")
    assert not [secret for secret in secrets if secret in everything]
    values = [json.loads(line) for line in exported.read_text("utf-8").splitlines()]
    assert len(values) == len(imported.rows)
    assert imported.passwords("voicemail_vmpwd").isdisjoint(strings_in(values))


def test_a_second_import_stores_nothing(imported: Imported) -> None:
    before = imported.vectors()
    run = done(imported.pair, imported.pair.master, "--json", "import", FILE)
    (summary,) = run.records
    counts = summary["new"], summary["changed"], summary["unchanged"]
    assert counts == (0, 0, len(imported.rows))
    assert imported.vectors() == before


@pytest.mark.parametrize("role", Role)
def test_what_export_wrote_changes_nothing_when_imported(
    imported: Imported, tmp_path: Path, role: Role
) -> None:
    node, before = imported.pair.nodes[role], imported.vectors()
    done(imported.pair, node, "export", tmp_path / "all.jsonl")
    run = done(imported.pair, node, "--json", "import", tmp_path / "all.jsonl")
    (summary,) = run.records
    assert (summary["new"], summary["changed"]) == (0, 0)
    assert summary["unchanged"] == len(imported.rows)
    assert imported.vectors() == before


def test_a_broken_line_is_named_and_nothing_is_stored(
    imported: Imported, tmp_path: Path
) -> None:
    before = imported.vectors()
    with FILE.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    broken = tmp_path / "broken.csv"
    new = ["9001", *rows[0][1:]]
    with broken.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, new, rows[1][:-2], ["90 02", *new[1:]]])
    run = run_admin(imported.pair, imported.pair.master, "import", broken)
    assert (run.exit_code, run.out) == (2, "")
    said = run.err.splitlines()
    assert len(said) == 3
    assert f"error: {broken} has 2 broken lines; nothing was stored" in said
    assert f"broken.csv line 3: {len(header) - 2} columns" in run.err
    assert "broken.csv line 4: the extension has 5 characters" in run.err
    secret = header.index("secret")
    assert not any(row[secret] in run.printed for row in rows if row[secret])
    assert imported.vectors() == before
    assert imported.pair.master.value("users/9001") is None
