"""What speaks against a copy although its chain is whole: who knows that more was there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventstore import codec
from eventstore.comparing import Accusation, stored_at
from eventstore.event import START, Origin
from eventstore.source import Source
from eventstore.verification import Fault
from eventstore.verified import ORIGINS, Verification, Witness


def accusations(
    progress: Verification, sources: Sequence[Source], remembered: Sequence[Witness]
) -> list[Accusation]:
    """What `remembered` says against copies that do not have it.

    Raises:
        StoreUnavailable: a Redis did not answer.
    """
    found = []
    for witness in remembered:
        stored = [stored_at(s, witness.origin, witness.head.id) for s in sources]
        digests = [None if s is None else codec.digest_of(s[1]) for s in stored]
        found += accused_by(progress, witness, digests)
    return found


def accused_by(
    progress: Verification, witness: Witness, digests: Sequence[bytes | None]
) -> list[Accusation]:
    """What `witness` says, given the digest of the event in each copy; None: not there."""
    compared = progress.compared[ORIGINS.index(witness.origin)]
    wanted = witness.head.id
    if wanted == START:
        return []  # That a stream was empty says nothing of it now.
    if wanted.n < progress.archived_n(witness.origin):
        return []  # It is in a file.
    there = [digest == witness.head.digest for digest in digests]
    found = []
    for copy, digest in enumerate(digests):
        if there[copy] or witness.copy not in (None, copy):
            continue
        ends_before = digest is None and compared.walked[copy].head.id.n < wanted.n
        if ends_before and (any(there) or compared.walked[copy].fault):
            continue  # It is behind, or its fault is told already.
        if digest is not None:
            what = f"{witness.who} has it with another digest: it or one before was changed"
        elif ends_before:
            what = f"the stream ends before {wanted}, which {witness.who} has"
        else:
            what = f"{witness.who} has {wanted}, and here is another one in its place"
        place = None if ends_before else wanted
        found.append(Accusation(witness.origin, copy, Fault(place, what)))
    return found


def known_and_gone(
    progress: Verification, sources: Sequence[Source]
) -> list[Accusation]:
    """Each event that one stream's events knew of the other stream must be there."""
    found = []
    for compared, knowing, foreign in zip(
        progress.compared, ORIGINS, reversed(ORIGINS), strict=True
    ):
        there = progress.compared[ORIGINS.index(foreign)]
        for copy, walked in enumerate(compared.walked):
            if walked.named == START or there.walked[copy].fault is not None:
                continue
            if walked.named.n < progress.archived_n(foreign):
                continue  # It is in a file.
            if stored_at(sources[copy], foreign, walked.named) is None:
                what = (
                    f"event {walked.named_by} of stream {knowing!r} knew {walked.named}, "
                    "which is not there: lost, removed, or made anew"
                )
                found.append(Accusation(foreign, copy, Fault(None, what)))
    return found


def shorter_originals(
    progress: Verification, sources: Sequence[Source], originals: Mapping[Origin, int]
) -> list[Accusation]:
    """A copy may be behind its original, but not the other way round."""
    found = []
    for origin, original in originals.items():
        compared = progress.compared[ORIGINS.index(origin)]
        if len(compared.walked) < 2 or compared.parted is not None:
            continue
        own, copy = compared.walked[original], compared.walked[1 - original]
        if own.fault is not None or own.event_count >= copy.event_count:
            continue
        # Again, for it may have grown meanwhile.
        if stored_at(sources[original], origin, copy.head.id) is None:
            what = (
                f"the stream ends with {own.head.id}, and the copy of it goes on to "
                f"{copy.head.id}: events were lost or removed from its end"
            )
            found.append(Accusation(origin, original, Fault(None, what)))
    return found
