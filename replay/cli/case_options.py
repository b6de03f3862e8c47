"""What the options of `replay case` say: which file to read and to write, whose key (of an archive too), what is taken out."""

from pathlib import Path
from typing import Annotated

import typer

from replay import output
from replay.case.file import KINDS, MAX_BYTES, CaseFile, TextKind
from replay.case.source import read
from replay.cli.common import DASH, UNUSABLE, fail
from replay.sources import SourceUnavailable

Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="FILE|HEX",
        help="The ledger's public key, which must have signed it: 64 hex digits, or their file.",
    ),
]


def kinds_named(text: str) -> tuple[TextKind, ...]:
    """What `names,messages` names."""
    wanted = [one.strip() for one in text.split(",")]
    if set(wanted) - {"names", "messages"}:
        raise typer.BadParameter(
            f"{text!r} names nothing that can be taken out: write names, messages or names,messages"
        )
    return tuple(kind for kind in KINDS if f"{kind}s" in wanted)


def read_or_fail(file: Path) -> CaseFile:
    """The case file; one that cannot be read ends the command."""
    try:
        return read(file)
    except SourceUnavailable as error:
        fail(str(error), UNUSABLE)


def key_named(given: str | None) -> str | None:
    """A public key: 64 hex digits, given as they are or in a file."""
    if given is None:
        return None
    text = given
    if len(given) != 64 or Path(given).exists():
        try:
            with Path(given).open(encoding="ascii") as file:
                text = file.read(100)
        except (OSError, ValueError) as error:
            raise typer.BadParameter(
                f"{given} is neither 64 hex digits nor a file that holds them ({error})"
            ) from error
    key = text.strip().lower()
    if len(key) != 64 or set(key) - set("0123456789abcdef"):
        raise typer.BadParameter(
            f"{given} holds no public key: it is 64 hex digits, as in `public-key` beside the checkpoints"
        )
    return key


def write_or_fail(target: Path | None, data: bytes) -> None:
    """To a new file, or to the standard output, which is `-` too."""
    if len(data) > MAX_BYTES:
        fail(f"the case would be larger than {MAX_BYTES // 2**20} MiB: narrow it with --as-of or --known-at", UNUSABLE)
    if target is None or target == DASH:
        output.write_bytes([data])
        return
    try:
        _write_new(target, data)
    except FileExistsError:
        fail(f"{target} is there already: name another file", UNUSABLE)
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror or error}", UNUSABLE)


def _write_new(target: Path, data: bytes) -> None:
    """All of it or nothing."""
    with target.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except OSError:
            target.unlink()
            raise
