"""`python -m benchmarks [names] [--events N] [--json FILE] [--quick]`: ratios against the eventsourcing library, and figures.

Both sides run in turns, in one process, against one PostgreSQL that is started for it; a ratio is the median of the turns'.
"""

import argparse
import gc
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks import catch_up, columnar, past_balance, plain, plain_text, releases, verifying
from benchmarks.measure import Ratio, Report, timed
from benchmarks.server import running_server

NAMES = ("balances", "projections", "releases", "figures", "plain_text", "past_balance", "verify", "columnar")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the named benchmarks, or all, and prints what they found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios, measured in the same run.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; all without a name")
    parser.add_argument("--events", type=int, default=100_000, help="how long the history is that is caught up with")
    parser.add_argument("--payouts", type=int, default=10_000, help="how many payouts are released")
    parser.add_argument("--freelancers", type=int, default=100_000, help="among how many a past balance is asked for")
    parser.add_argument(
        "--archived", type=int, default=1_000_000, help="how many events are verified, and folded from an archive"
    )
    parser.add_argument("--largest", type=int, default=5_000_000, help="how many events the largest archive has")
    parser.add_argument("--repeat", type=int, default=3, help="how many turns each side has")
    parser.add_argument("--quick", action="store_true", help="very small, to see that it runs: its ratios say nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args(arguments)
    names = options.names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"there is no benchmark {', '.join(unknown)}: choose of {', '.join(NAMES)}")
    if options.quick:
        options.archived, options.largest = min(options.archived, 400), min(options.largest, 2_000)
        options.freelancers = min(options.freelancers, 40)
        options.events, options.payouts, options.repeat = min(options.events, 2_000), min(options.payouts, 100), 1
    report = Report()
    with timed() as clock, running_server() as server:
        machine = {
            "cores": os.cpu_count(), "processor": platform.machine(), "system": platform.system(),
            "python": platform.python_version(), "postgresql": server.version, "eventsourcing": version("eventsourcing"),
        }  # fmt: skip
        print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
        if "balances" in names or "projections" in names:
            stretch = min(3_000, options.events // 4)
            catch_up.run(server, report, names=names, events=options.events, stretch=stretch, repeat=options.repeat)
        if "releases" in names:
            few = min(500, options.payouts // 2)
            releases.run(server, report, payouts=options.payouts, library_payouts=few, repeat=options.repeat)
        if "figures" in names:
            plain.run(server, report, events=options.events // 5, commands=max(5, options.events // 1_000))
        if "plain_text" in names:
            plain_text.run(report, events=options.events // 5, repeat=options.repeat)
        if "past_balance" in names:
            past_balance.run(server, report, freelancers=options.freelancers, repeat=options.repeat)
        if "verify" in names:
            stretch = min(50_000, options.archived)
            verifying.run(server, report, events=options.archived, stretch=stretch, repeat=options.repeat)
        if "columnar" in names:
            sizes = {"events": options.archived, "largest": max(options.archived, options.largest)}
            stretch = min(100_000, options.archived)
            columnar.run(server, report, **sizes, stretch=stretch, repeat=options.repeat)
    gc.unfreeze()
    show(report)
    print(f"{clock.seconds:.0f} s in all")
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine, **figures(report)}, indent=2) + "\n", encoding="utf-8")


def show(report: Report) -> None:
    """Prints the ratios, then the figures."""
    for ratio in report.ratios:
        print(f"\n{ratio.name}: {ratio.ratio:.1f} times{_judged(ratio)}")
        print(f"  ours                       {ratio.ours:>12,.0f} {ratio.unit}")
        print(f"  the eventsourcing library  {ratio.theirs:>12,.0f} {ratio.unit}: {ratio.alternative}")
        print(f"  in turns                   {', '.join(f'{run:.1f}' for run in ratio.runs):>12}")
    print()
    for fact in report.facts:
        print(f"{fact.name:<36}{fact.value:>12,.{0 if fact.value >= 100 else 2}f} {fact.unit}")


def _judged(ratio: Ratio) -> str:
    if ratio.target is None:
        return ""
    return f" (target {ratio.target:g}: {'reached' if ratio.ratio >= ratio.target else 'missed'})"


def figures(report: Report) -> dict[str, object]:
    """The report as JSON has it."""
    return {
        "ratios": [{**asdict(ratio), "ratio": ratio.ratio} for ratio in report.ratios],
        "figures": [asdict(fact) for fact in report.facts],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
