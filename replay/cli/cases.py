"""Case files: `replay case CONTRACT`, and `open`, `redact` and `replay` of one."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from ledger import ids
from ledger.errors import LedgerError
from ledger.store.checkpoints import Checkpoints
from replay import output
from replay.case import tables as case_tables
from replay.case.as_test import write_test
from replay.case.file import KINDS, SUFFIX, CaseFile, render
from replay.case.file import redact as without
from replay.case.making import make_case
from replay.case.opening import Opening, reopen
from replay.case.result import UNFOLDABLE, recorded
from replay.case.source import read
from replay.cli.case_options import Key, key_named, kinds_named, read_or_fail, write_or_fail
from replay.cli.common import (
    DIVERGENCE,
    UNUSABLE,
    AsJson,
    AsOf,
    From,
    KnownAt,
    app,
    fail,
    fail_unknown,
    require_kind,
    settings,
    source,
)
from replay.sources import SourceUnavailable


class _CaseGroup(TyperGroup):
    """`replay case CONTRACT` is `replay case write CONTRACT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if (
            args
            and args[0] not in self.commands
            and args[0] != "--help"
            and ("_" in args[0] or args[0].startswith("-"))
        ):
            args = ["write", *args]
        return super().parse_args(ctx, args)


cases = typer.Typer(
    name="case",
    cls=_CaseGroup,
    help="One signed file with all that belongs to a contract: replays offline, for ever.\n\n"
    "`replay case CONTRACT` writes one; `replay case write --help` says how.",
    short_help="One signed file of a contract",
    epilog="Example: replay case con_k2v7q4mzt5xw3n6j2aq4 -o dispute.case.json",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(cases)

Target = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        allow_dash=True,
        help="The file to write; it must not be there. Without it, or `-`: the standard output.",
    ),
]
AsTest = Annotated[
    Path | None,
    typer.Option(
        "--as-test", metavar="FILE.py", help="Write it as a given/when/then test; the file must not be there."
    ),
]


@cases.command(
    "write",
    short_help="Write one (also without `write`)",
    epilog="Example: replay case con_k2v7q4mzt5xw3n6j2aq4 > it.case.json",
)
def write_case(
    contract: Annotated[str, typer.Argument(metavar="CONTRACT", help="The id of a contract.")],
    target: Target = None,
    redact: Annotated[
        str | None, typer.Option("--redact", metavar="WHAT", help="Leave out names, messages, or names,messages.")
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_test: AsTest = None,
    where: From = None,
) -> None:
    """The contract with its payouts, what is linked to them, what it comes to and the proof, signed by the ledger's key."""
    require_kind(contract, ids.CONTRACT)
    redacted = kinds_named(redact) if redact is not None else ()
    with source(where) as opened, output.progress("Gathering") as further:
        checkpoints = Checkpoints(settings().checkpoints)
        found = make_case(
            opened, contract, checkpoints, as_of=as_of, known_at=known_at, redacted=redacted, on_events=further
        )
    if found is None:
        fail_unknown("contract", contract, as_of, known_at)
    if as_test is not None:
        _write_test(as_test, found)
    if target is not None or as_test is None:
        write_or_fail(target, render(found))


@cases.command(
    "open", short_help="What one says today", epilog="Example: replay case open dispute.case.json --key public-key"
)
def open_case(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A case file.")],
    key: Key = None,
    as_test: AsTest = None,
    as_json: AsJson = False,
) -> None:
    """Verifies the file and folds it again, without a database: exit status 1 when it does not give the recorded result."""
    pinned = key_named(key)
    found = read_or_fail(file)
    try:
        opening = reopen(found, pinned)
    except LedgerError as error:
        fail(f"{file}: {error}", DIVERGENCE)
    if as_test is not None:
        _write_test(as_test, found)
    if as_json:
        output.write(output.as_json(_json(opening)))
    else:
        case_tables.show_opening(opening)
    if not opening.ok:
        raise typer.Exit(DIVERGENCE)


def _json(opening: Opening) -> dict[str, Any]:
    plain = {name: getattr(opening, name) for name in opening.__dataclass_fields__}
    return {**plain, "payouts": recorded(opening.payouts)}


@cases.command(
    "redact",
    short_help="Take names or messages out",
    epilog="Example: replay case redact dispute.case.json --names -o redacted.case.json",
)
def redact_case(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A case file.")],
    target: Target = None,
    names: Annotated[bool, typer.Option("--names", help="Names and e-mail addresses.")] = False,
    messages: Annotated[
        bool, typer.Option("--messages", help="Titles, messages, memos, reasons: all other texts.")
    ] = False,
) -> None:
    """The same file without them. Its signature stays good, and it shows that something was taken out."""
    wanted = tuple(kind for kind, is_wanted in zip(KINDS, (names, messages), strict=True) if is_wanted)
    if not wanted:
        raise typer.BadParameter("nothing was said to be taken out: give --names, --messages or both")
    found = read_or_fail(file)
    try:
        reopen(found)
    except LedgerError as error:
        fail(f"{file}: {error}", DIVERGENCE)
    write_or_fail(target, render(without(found, wanted)))


@cases.command("replay", short_help="Replay many, in CI", epilog="Example: replay case replay tests/replay/cases")
def replay_cases(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR|FILE...", help=f"Folders of *{SUFFIX}, and files.")],
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Every case file against the present code: exit status 1 when one does not give its result, 2 when one cannot be read."""
    pinned = key_named(key)
    replays = [_replayed(file, pinned) for file in _files(paths)]
    statuses = {one.status for one in replays} - {0}
    if as_json:
        data = [
            {"file": one.file, "contract_id": one.contract_id, "ok": not one.status, "result": one.result}
            for one in replays
        ]
        output.write(output.as_json({"object": "case_replays", "ok": not statuses, "data": data}))
    else:
        case_tables.show_replays([(one.file, one.contract_id or "-", one.result) for one in replays])
        output.show(f"{sum(not one.status for one in replays)} of {len(replays)} give their recorded result.")
    if statuses:
        raise typer.Exit(DIVERGENCE if DIVERGENCE in statuses else UNUSABLE)


class _Replayed(NamedTuple):
    file: str
    contract_id: str | None
    result: str
    status: int


def _files(paths: list[Path]) -> list[Path]:
    """Those of folders in the order of their names."""
    found = []
    for path in paths:
        inside = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not inside:
            fail(f"there is no case file (*{SUFFIX}) in {path}: name a folder that holds some", UNUSABLE)
        found += inside
    return found


def _replayed(file: Path, key: str | None) -> _Replayed:
    try:
        found = read(file)
    except SourceUnavailable as error:
        return _Replayed(str(file), None, str(error), UNUSABLE)
    try:
        opening = reopen(found, key)
    except LedgerError as error:
        return _Replayed(str(file), found.case.contract_id, f"BROKEN: {error}", DIVERGENCE)
    if opening.ok:
        return _Replayed(str(file), opening.contract_id, "the same", 0)
    return _Replayed(str(file), opening.contract_id, f"DIFFERENT: {opening.difference}", DIVERGENCE)


def _write_test(target: Path, found: CaseFile) -> None:
    try:
        text = write_test(found)
    except UNFOLDABLE as error:
        fail(f"no test can be written of it ({error}): make the case without --as-of", DIVERGENCE)
    write_or_fail(target, text.encode())
