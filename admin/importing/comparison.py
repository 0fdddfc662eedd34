"""What an import would change: the file's entries against the node's. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from admin.json_text import JsonValue, same_json, written_json

BATCH_CHANGE_COUNT_MAX = 500
BATCH_BYTES_MAX = 2 * 1024 * 1024
"""Half of what a node takes as one body, so that no batch is refused for its size."""


@attrs.frozen
class Comparison:
    """The keys of a file, by what the node has under them."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]

    @property
    def to_send(self) -> tuple[str, ...]:
        """What has to be stored, in the order of the file's kind of change."""
        return self.new + self.changed


def compare(
    wanted: Mapping[str, JsonValue], present: Mapping[str, JsonValue]
) -> Comparison:
    """Sort the keys of `wanted` by what `present` holds; keys only there are left alone."""
    new, changed, unchanged = [], [], []
    for key, value in wanted.items():
        if key not in present:
            new.append(key)
        elif same_json(value, present[key]):
            unchanged.append(key)
        else:
            changed.append(key)
    return Comparison(tuple(new), tuple(changed), tuple(unchanged))


def batches(
    keys: tuple[str, ...], entries: Mapping[str, JsonValue]
) -> Iterator[dict[str, JsonValue]]:
    """The entries `keys` in parts that a node takes in one request each."""
    batch: dict[str, JsonValue] = {}
    batch_bytes = 0
    for key in keys:
        size = len(written_json({key: entries[key]}).encode())
        if len(batch) == BATCH_CHANGE_COUNT_MAX or batch_bytes + size > BATCH_BYTES_MAX:
            yield batch
            batch, batch_bytes = {}, 0
        batch[key] = entries[key]
        batch_bytes += size
    if batch:
        yield batch
