"""Bundles as operators name them: opened for a command, with errors as exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from admin.errors import DataUnverified, UsageProblem
from admin.files import reason_of
from eventstore import (
    Bundle,
    DamagedEvent,
    InvalidEntry,
    PublicKey,
    StoreUnavailable,
    StreamForked,
)


@contextmanager
def opened_bundle(path: Path, trusted: PublicKey | None = None) -> Iterator[Bundle]:
    """The bundle at `path`, to be read; closed at the end. With `trusted`, signed by that key.

    Raises:
        UsageProblem: it cannot be read.
        DataUnverified: it was cut or altered, is no bundle, or is not signed by that key.
    """
    try:
        with Bundle(path) as bundle:
            _check_signer(bundle, trusted)
            yield bundle
    except StoreUnavailable as error:
        raise UsageProblem(str(error)) from error
    except (DamagedEvent, StreamForked) as error:
        raise DataUnverified(str(error)) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of writing the bundle `path` as exit codes.

    Raises:
        UsageProblem: it is there already, or cannot be written.
        DataUnverified: what was to be written is not one unbroken history.
    """
    try:
        yield
    except FileExistsError as error:
        raise UsageProblem(
            f"{error.filename} is there already; name another file, or remove it if no "
            "other export writes it"
        ) from error
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {reason_of(error)}") from error
    except InvalidEntry as error:
        raise UsageProblem(str(error)) from error
    except (DamagedEvent, StreamForked) as error:
        raise DataUnverified(
            f"{error}; nothing was written; `verify` says which copy is bad, and --redis "
            "exports the other"
        ) from error


def _check_signer(bundle: Bundle, trusted: PublicKey | None) -> None:
    if trusted is None:
        return
    if bundle.signer is None:
        raise DataUnverified(
            f"{bundle.path} is not signed; --public-key names the key {trusted.fingerprint}"
        )
    if bundle.signer.pem != trusted.pem:
        raise DataUnverified(
            f"{bundle.path} is signed with the key {bundle.signer.fingerprint}, not with "
            f"{trusted.fingerprint}, which --public-key names"
        )
