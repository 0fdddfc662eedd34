"""`NodeConfig`: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.addresses import Address
from node.config import NodeConfig
from node.errors import ConfigError
from node.roles import Role

SECRET = "correct horse battery"
READ = "read-token-0123456789"
CHANGE = "change-token-0123456789"

FIELDS: dict[str, Any] = {
    "pair": "office",
    "role": Role.MASTER,
    "listen": "127.0.0.1:7400",
    "peer": "127.0.0.1:7401",
    "secret": SECRET,
    "redis_url": "redis://127.0.0.1:6379/0",
    "peer_redis_url": "redis://127.0.0.1:6380/0",
}
PATHS = [
    "node.pair",
    "node.role",
    "node.listen",
    "node.peer",
    "node.secret_file",
    "node.next_secret_file",
    "redis.url",
    "redis.peer_url",
    "redis.password_file",
    "hooks.on_active",
    "hooks.deadline_s",
    "supervision.heartbeat_interval_s",
    "supervision.peer_lost_after_s",
    "telephony.realm",
    "http.listen",
    "http.read_token_file",
]
HTTP = {"http_listen": "127.0.0.1:7480", "read_token": READ, "change_token": CHANGE}


def refusal(**fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        NodeConfig(**{**FIELDS, **fields})
    return str(caught.value)


def secret_file(directory: Path, name: str, text: str | bytes = SECRET) -> Path:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path


@pytest.fixture
def mapping(tmp_path: Path) -> dict[str, Any]:
    """What the TOML file of a node with an HTTP interface holds."""
    secret_file(tmp_path, "pair.secret", SECRET + "\n")
    secret_file(tmp_path, "read.token", READ + "\n")
    secret_file(tmp_path, "change.token", CHANGE)
    return {
        "node": {
            "pair": "office",
            "role": "master",
            "listen": "10.0.0.1:7400",
            "peer": "10.0.0.2:7400",
            "secret_file": "pair.secret",
        },
        "redis": {
            "url": "redis://127.0.0.1:6379/0",
            "peer_url": "redis://10.0.0.2:6379/0",
        },
        "http": {
            "listen": "127.0.0.1:7480",
            "read_token_file": "read.token",
            "change_token_file": "change.token",
        },
    }


def mapping_refusal(mapping: Any, directory: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        NodeConfig.from_mapping(mapping, directory)
    return str(caught.value)


class TestFields:
    def test_the_example_of_the_design_is_accepted(self) -> None:
        config = NodeConfig(**FIELDS)
        assert config.peer_lost_after_s == 3.0
        assert config.http_listen is None

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            (
                {"peer_lost_after_s": 1.5},
                "peer_lost_after_s is 1.5, below 2 x heartbeat_interval_s (1.0)",
            ),
            (
                {"start_window_s": 0.5},
                "start_window_s is 0.5, below heartbeat_interval_s (1.0)",
            ),
            (
                {"switch_step_s": 3.0},
                "switch_step_s is 3.0, not below peer_lost_after_s (3.0)",
            ),
            (
                {"switch_step_s": 2.0, "switch_timeout_s": 1.9, "hook_deadline_s": 1},
                "switch_step_s is 2.0, above switch_timeout_s (1.9)",
            ),
            (
                {"hook_deadline_s": 5.0},
                "hook_deadline_s is 5.0, not below switch_timeout_s (5.0)",
            ),
            (
                {"peer": "127.0.0.1:7400"},
                "peer is 127.0.0.1:7400, the same as listen: a node is not its own "
                "peer",
            ),
            (
                {"peer": "0.0.0.0:7400"},
                "peer is 0.0.0.0:7400, an address that cannot be dialled",
            ),
            (
                {**HTTP, "http_listen": "127.0.0.1:7400"},
                "http_listen is 127.0.0.1:7400, the same as listen",
            ),
            (
                {"peer_redis_url": FIELDS["redis_url"]},
                "peer_redis_url is the same as redis_url: each node has its own Redis",
            ),
            (
                {**HTTP, "read_token": None, "change_token": None},
                "read_token and change_token must be given where http_listen is",
            ),
            (
                {**HTTP, "change_token": None},
                "change_token must be given where http_listen is",
            ),
            (
                {"read_token": READ},
                "http_listen must be given where read_token or change_token is",
            ),
            (
                {**HTTP, "read_token": CHANGE},
                "read_token is the same as change_token, so readers could change",
            ),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
    )
    def test_fields_at_odds_are_refused(
        self, fields: dict[str, Any], message: str
    ) -> None:
        assert refusal(**fields) == message

    @pytest.mark.parametrize(
        "fields",
        [
            {"peer_lost_after_s": 2.0},
            {"start_window_s": 1.0},
            {"switch_step_s": 2.9},
            {"hook_deadline_s": 4.9},
            {"switch_step_s": 2, "switch_timeout_s": 2, "hook_deadline_s": 1},
        ],
    )
    def test_relations_hold_at_their_limits(self, fields: dict[str, Any]) -> None:
        NodeConfig(**{**FIELDS, **fields})

    @pytest.mark.parametrize(
        "seconds",
        [True, "3", None, 0, -1.0, 0.001, 3601, math.nan, math.inf, 10**5000],
        ids=lambda seconds: type(seconds).__name__,
    )
    def test_a_time_is_a_finite_number_of_seconds(self, seconds: object) -> None:
        message = refusal(heartbeat_interval_s=seconds)
        assert message.startswith("heartbeat_interval_s is ")
        assert "seconds" in message

    @pytest.mark.parametrize("name", ["a", "A-b_c.9", "x" * 64])
    def test_a_pair_has_a_plain_name(self, name: str) -> None:
        assert NodeConfig(**{**FIELDS, "pair": name}).pair == name

    @pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a{b}", "büro", "a\n", 7])
    def test_another_name_for_a_pair_is_refused(self, name: object) -> None:
        assert refusal(pair=name).startswith("pair is ")

    def test_a_role_is_a_role(self) -> None:
        assert refusal(role="master") == 'role is \'master\', not "master" or "standby"'

    @pytest.mark.parametrize(
        "text", ["10.0.0.1:1", "pbx-a.example:65535", "[::1]:7400", "[fe80::1%eth0]:7"]
    )
    def test_an_address_reads_back(self, text: str) -> None:
        assert str(Address.parse(text)) == text

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("10.0.0.1", "not host:port"),
            ("10.0.0.1:", "not host:port"),
            ("10.0.0.1:http", "not host:port"),
            ("10.0.0.1:٣", "not host:port"),
            (":7400", "neither a name nor an address"),
            ("10.0.0.1:0", "from 1 to 65535"),
            ("10.0.0.1:65536", "from 1 to 65535"),
            ("10.0.0.256:7400", "no IPv4 address"),
            ("::1:7400", "in brackets"),
            ("[::g]:7400", "no IPv6 address"),
            ("a b:7400", "neither a name nor an address"),
            ("a:7400\n", "not host:port"),
        ],
    )
    def test_what_is_no_address_is_refused(self, text: str, why: str) -> None:
        assert why in refusal(listen=text)

    def test_two_ways_to_write_one_address_are_the_same(self) -> None:
        assert "same as listen" in refusal(listen="[::1]:7400", peer="[0::1]:7400")

    @pytest.mark.parametrize(
        "url",
        [
            "redis://127.0.0.1:6379/3",
            "redis://redis.example",
            "rediss://user@[::1]:6380?ssl_ca_certs=/etc/ca.pem",
            "unix:///run/redis.sock?db=2",
        ],
    )
    def test_urls_of_redis_are_accepted(self, url: str) -> None:
        NodeConfig(**{**FIELDS, "redis_url": url})

    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("127.0.0.1:6379", "no known scheme"),
            ("http://127.0.0.1:6379", "no known scheme"),
            ("redis://", "does not say where"),
            ("unix://", "does not say where"),
            ("redis://host:0", "does not say where"),
            ("redis://host:port", "not a URL"),
            ("redis://[::1", "not a URL"),
            ("redis://ho\nst", "not a URL"),
            ("redis://host/zero", "no number"),
            ("redis://host?decode_responses=1", "other than db and ssl_"),
            (6379, "not a string"),
        ],
    )
    def test_what_is_no_url_of_redis_is_refused(self, url: object, why: str) -> None:
        assert why in refusal(redis_url=url)

    @pytest.mark.parametrize(
        "url",
        [
            "redis://user:hunter2@host",
            "redis://:hunter2@host:6379/0",
            "redis://host?password=hunter2",
            "unix:///run/redis.sock?password=hunter2",
            "redis://:hunter2/x@host",
        ],
    )
    def test_a_password_in_a_url_is_refused_and_not_shown(self, url: str) -> None:
        message = refusal(peer_redis_url=url)
        assert "hunter2" not in message
        if "/x@" not in url:
            assert message.endswith("named by peer_password_file")

    def test_a_short_secret_is_refused_and_not_shown(self) -> None:
        message = refusal(secret="hunter2")
        assert message == "secret has 7 characters, below the limit of 16"

    def test_a_token_must_fit_a_header(self) -> None:
        assert "Authorization header" in refusal(**{**HTTP, "read_token": "é" * 16})

    @pytest.mark.parametrize("command", ["/bin/true", ["/bin/true", 1], [""], 5])
    def test_a_command_is_a_list_of_words(self, command: object) -> None:
        assert refusal(on_active=command).startswith("on_active ")

    def test_a_command_becomes_a_tuple(self) -> None:
        config = NodeConfig(**{**FIELDS, "on_active": ["/bin/take", "10.0.0.9"]})
        assert config.on_active == ("/bin/take", "10.0.0.9")

    @pytest.mark.parametrize("days", [0, -1, 28.5, float("nan"), "28", True, None])
    def test_the_grace_is_28_days_at_most(self, days: object) -> None:
        assert refusal(grace_days=days).startswith("grace_days is ")

    def test_the_grace_may_be_a_part_of_a_day(self) -> None:
        assert NodeConfig(**FIELDS, grace_days=0.5).grace_s == 12 * 3600.0
        assert NodeConfig(**FIELDS).grace_s == 28 * 24 * 3600.0

    @pytest.mark.parametrize("realm", ["", 'a"b', "a\\b", "a\n", "x" * 129, 7])
    def test_a_realm_fits_in_quotes(self, realm: object) -> None:
        assert refusal(realm=realm).startswith("realm is ")

    def test_no_secret_is_in_the_repr(self) -> None:
        secrets = {
            "secret": "S3cret-number-one",
            "next_secret": "S3cret-number-two",
            "redis_password": "S3cret-3",
            "peer_redis_password": "S3cret-4",
            "http_listen": "127.0.0.1:7480",
            "read_token": "S3cret-number-five",
            "change_token": "S3cret-number-six",
        }
        assert "S3cret" not in repr(NodeConfig(**{**FIELDS, **secrets}))


class TestMapping:
    def test_a_whole_file_is_read(
        self, mapping: dict[str, Any], tmp_path: Path
    ) -> None:
        mapping["supervision"] = {"peer_lost_after_s": 4}
        mapping["hooks"] = {"on_active": ["/bin/true"], "deadline_s": 2.5}
        mapping["telephony"] = {"realm": "example"}
        config = NodeConfig.from_mapping(mapping, tmp_path)
        assert (config.secret, config.read_token) == (SECRET, READ)
        assert config.change_token == CHANGE
        assert config.role is Role.MASTER
        assert (config.peer_lost_after_s, config.hook_deadline_s) == (4, 2.5)
        assert config.on_active == ("/bin/true",)
        assert config.realm == "example"

    @pytest.mark.parametrize(
        ("section", "key", "message"),
        [
            (
                "supervision",
                "peer_lost_afters",
                "unknown key supervision.peer_lost_afters; did you mean "
                "supervision.peer_lost_after_s?",
            ),
            (
                "node",
                "secret",
                "unknown key node.secret; did you mean node.secret_file?",
            ),
            (
                "http",
                "on_active",
                "unknown key http.on_active; did you mean hooks.on_active?",
            ),
            (
                "supervisor",
                "start_window_s",
                "unknown section supervisor; did you mean supervision?",
            ),
            ("node", "zzzzzzzz", "unknown key node.zzzzzzzz"),
            ("no.de", "x", "unknown section 'no.de'; did you mean node?"),
        ],
    )
    def test_an_unknown_key_is_named_with_the_nearest_known_one(
        self,
        mapping: dict[str, Any],
        tmp_path: Path,
        section: str,
        key: str,
        message: str,
    ) -> None:
        mapping.setdefault(section, {})[key] = "hunter2"
        assert mapping_refusal(mapping, tmp_path) == message

    def test_a_key_outside_its_section_is_named(
        self, mapping: dict[str, Any], tmp_path: Path
    ) -> None:
        mapping["pair"] = "office"
        message = mapping_refusal(mapping, tmp_path)
        assert message == "unknown key pair; did you mean node.pair?"

    def test_many_unknown_keys_make_one_short_line(self, tmp_path: Path) -> None:
        mapping: dict[str, Any] = {f"section-{i}\n": {} for i in range(1000)}
        message = mapping_refusal(mapping, tmp_path)
        assert message.endswith("; and 995 more")
        assert "\n" not in message

    @pytest.mark.parametrize(
        ("section", "key", "value", "message"),
        [
            (
                "node",
                "listen",
                7400,
                'node.listen is 7400 (int), not a string like "10.0.0.1:7400"',
            ),
            (
                "supervision",
                "peer_lost_after_s",
                "3",
                "supervision.peer_lost_after_s is '3' (str), not a number of seconds "
                "like 3.0",
            ),
            (
                "supervision",
                "start_window_s",
                True,
                "supervision.start_window_s is True (bool), not a number of seconds "
                "like 3.0",
            ),
            (
                "hooks",
                "on_active",
                "/bin/take",
                "hooks.on_active is '/bin/take' (str), not a list of strings like "
                '["/etc/take-address"]',
            ),
            (
                "node",
                "secret_file",
                1234567812345678,
                'node.secret_file is int, not the name of a file like "pair.secret"',
            ),
            (
                "node",
                "role",
                "slave",
                'node.role is \'slave\', not "master" or "standby"',
            ),
        ],
    )
    def test_a_wrong_type_is_named_with_an_example(
        self,
        mapping: dict[str, Any],
        tmp_path: Path,
        section: str,
        key: str,
        value: object,
        message: str,
    ) -> None:
        mapping.setdefault(section, {})[key] = value
        assert mapping_refusal(mapping, tmp_path) == message

    def test_a_section_is_a_table(
        self, mapping: dict[str, Any], tmp_path: Path
    ) -> None:
        mapping["hooks"] = 5
        message = mapping_refusal(mapping, tmp_path)
        assert message == "hooks is 5 (int), not a section [hooks]"

    def test_all_missing_keys_are_listed_at_once(self, tmp_path: Path) -> None:
        message = mapping_refusal({"node": {"pair": "office"}}, tmp_path)
        assert message == (
            "missing: node.role, node.listen, node.peer, node.secret_file, redis.url, "
            "redis.peer_url"
        )

    @pytest.mark.parametrize(
        ("section", "key", "value", "start"),
        [
            ("http", "listen", "nowhere", "http.listen is 'nowhere', not host:port"),
            ("hooks", "deadline_s", 9.0, "hooks.deadline_s is 9.0, not below switch"),
            ("redis", "peer_url", "x", "redis.peer_url has no known scheme"),
        ],
    )
    def test_a_refused_value_is_named_as_in_the_file(
        self,
        mapping: dict[str, Any],
        tmp_path: Path,
        section: str,
        key: str,
        value: object,
        start: str,
    ) -> None:
        mapping.setdefault(section, {})[key] = value
        assert mapping_refusal(mapping, tmp_path).startswith(start)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.dates()
    | st.binary(max_size=5)
    | st.sampled_from([*FIELDS.values(), "pair.secret", "\0", "\ud800", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = st.sampled_from(sorted({path.partition(".")[2] for path in PATHS}))
SECTION_NAMES = st.sampled_from(sorted({path.partition(".")[0] for path in PATHS}))


class TestAnyInput:
    @given(
        patch=st.lists(
            st.tuples(SECTION_NAMES | st.text(), KEYS | st.text(), ANYTHING), max_size=3
        )
    )
    @settings(
        deadline=None,
        max_examples=150,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_any_change_of_a_good_mapping_gives_a_config_or_a_clear_refusal(
        self,
        mapping: dict[str, Any],
        tmp_path: Path,
        patch: list[tuple[str, str, Any]],
    ) -> None:
        changed = {section: dict(table) for section, table in mapping.items()}
        for section, key, value in patch:
            changed.setdefault(section, {})[key] = value
        try:
            NodeConfig.from_mapping(changed, tmp_path)
        except ConfigError as error:
            assert len(str(error).splitlines()) == 1
            assert SECRET not in str(error)

    @given(mapping=st.dictionaries(SECTION_NAMES | st.text(), ANYTHING, max_size=4))
    @settings(
        deadline=None,
        max_examples=100,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_any_mapping_gives_a_config_or_a_clear_refusal(
        self, tmp_path: Path, mapping: dict[str, Any]
    ) -> None:
        with pytest.raises(ConfigError):
            NodeConfig.from_mapping(mapping, tmp_path)


class TestFiles:
    def write(self, directory: Path, text: str | bytes) -> Path:
        path = directory / "master.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def refusal(self, path: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            NodeConfig.from_file(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    GOOD = """
[node]
pair = "office"
role = "standby"
listen = "10.0.0.2:7400"
peer = "10.0.0.1:7400"
secret_file = "pair.secret"
[redis]
url = "redis://127.0.0.1:6379/0"
peer_url = "redis://10.0.0.1:6379/0"
"""

    def test_secrets_are_read_from_the_directory_of_the_file(
        self, tmp_path: Path
    ) -> None:
        secret_file(tmp_path, "pair.secret", "  spaces are kept, here \r\n")
        config = NodeConfig.from_file(str(self.write(tmp_path, self.GOOD)))
        assert config.secret == "  spaces are kept, here "

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("[node]\npair = \n", "is not TOML: Invalid value (at line 2, column 8)"),
            (b"\xff", "is not UTF-8 at byte 0"),
            ("a = " + "[" * 5000, "is nested too deeply"),
            ("a = " + "1" * 5000, "is not TOML: Exceeds the limit (4300 digits)"),
            (b"#" * (1024 * 1024 + 1), "is larger than the limit of 1048576 bytes"),
        ],
        ids=["syntax", "utf-8", "depth", "digits", "size"],
    )
    def test_a_file_that_is_no_toml_is_refused(
        self, tmp_path: Path, text: str | bytes, why: str
    ) -> None:
        path = self.write(tmp_path, text)
        assert self.refusal(path).startswith(f"{path} {why}")

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "none.toml"
        assert self.refusal(path) == f"{path}: No such file or directory"
        assert self.refusal(tmp_path) == f"{tmp_path} is not a regular file"

    def test_a_refused_value_is_named_with_its_file(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "[node]\nlisten = 5\nport = 6")
        assert self.refusal(path) == f"{path}: unknown key node.port; did you mean " + (
            "node.peer?"
        )

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
    def test_a_secret_open_to_others_is_refused(
        self, tmp_path: Path, mode: int
    ) -> None:
        path = self.write(tmp_path, self.GOOD)
        secret = secret_file(tmp_path, "pair.secret")
        secret.chmod(mode)
        assert self.refusal(path) == (
            f"{path}: node.secret_file: {secret} has mode {mode:04o}, open to others "
            f"than its owner; run: chmod 600 {secret}"
        )

    @pytest.mark.parametrize("mode", [0o600, 0o400])
    def test_a_secret_of_its_owner_alone_is_read(
        self, tmp_path: Path, mode: int
    ) -> None:
        secret_file(tmp_path, "pair.secret").chmod(mode)
        assert NodeConfig.from_file(self.write(tmp_path, self.GOOD)).secret == SECRET

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"hunter2hunter2hunter2\xff", "is not UTF-8 at byte 21"),
            (b"x" * 4097, "is larger than the limit of 4096 bytes"),
            (b"hunter2\n", "has 7 characters, below the limit of 16"),
        ],
        ids=["empty", "newline", "utf-8", "size", "short"],
    )
    def test_an_unusable_secret_is_refused_and_not_shown(
        self, tmp_path: Path, text: bytes, why: str
    ) -> None:
        secret_file(tmp_path, "pair.secret", text)
        message = self.refusal(self.write(tmp_path, self.GOOD))
        assert "node.secret_file" in message
        assert why in message
        assert "hunter2" not in message

    def test_a_missing_secret_is_named_with_its_knob(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self.GOOD)
        secret = tmp_path / "pair.secret"
        assert self.refusal(path) == (
            f"{path}: node.secret_file: {secret}: No such file or directory"
        )
