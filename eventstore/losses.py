"""Every change that lost against a concurrent one, settled ones among them (D7). Pure.

Only an event of the other origin can lose to a concurrent one: the prevailing origin's
newest event stands unless an event of the other knew it, and then it is overridden
knowingly. So a loser is what the other origin had made of an entry when it first heard of
a change that was made without knowing of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from eventstore.configuration import Configuration, Loss
from eventstore.event import Event, Origin


def losses(events: Iterable[Event], *, prevailing: Origin) -> Iterator[Loss]:
    """The losses in `events`: settled ones as they were settled, then the open ones.

    `events` is the whole history in the order in which the other origin knew it (see
    `history.second_as_it_knew`): only then is it the same for every node, and complete.
    """
    configuration = Configuration(prevailing=prevailing)
    for event in events:
        before = configuration.loss(event.key)
        configuration.fold(event)
        after = configuration.loss(event.key)
        if before and (after is None or after.loser is not before.loser):
            yield attrs.evolve(before, settled_by=event)
    yield from configuration.losses()
