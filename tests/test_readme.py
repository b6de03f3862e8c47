"""The README keeps its word: its example is run as it stands, and prints what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.processes import PATIENCE_SECONDS, PROJECT
from tests.serving import serving

README = (PROJECT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
OPERATOR_KEY = "operator-key-of-at-least-32-characters"


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return next(text for text in blocks if containing in text)


def commands() -> list[str]:
    lines = "\n".join(re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)).splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.strip()]


def test_the_worked_example_prints_what_the_readme_says(tmp_path: Path) -> None:
    example = block("python", "call(")
    with serving(clock_start="2026-01-05T09:00:00Z", operator_key=OPERATOR_KEY) as server:
        env = {**os.environ, "LEDGER_URL": server.url, "LEDGER_OPERATOR_KEY": OPERATOR_KEY}
        run = subprocess.run(
            [sys.executable, "-c", example],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout == block("text", "4 days later")

        replays = [command for command in commands() if command.startswith("replay ")]
        assert len(replays) == 2
        for command in replays:
            program = [str(Path(sys.executable).parent / "replay"), *command.split()[1:]]
            answer = subprocess.run(
                program,
                env=server.env,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
            assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"


def test_make_soak_runs_every_test_that_has_a_second_number() -> None:
    named = re.findall(r"^SOAKED := (.*)$", MAKEFILE, flags=re.MULTILINE)[0].split()
    assert all((PROJECT / path).exists() for path in named)
    for file in sorted((PROJECT / "tests").rglob("test_*.py")):
        path = file.relative_to(PROJECT).as_posix()
        if re.search(r"\brounds\(", file.read_text(encoding="utf-8")) and file != Path(__file__):
            assert any(path == one or path.startswith(f"{one}/") for one in named), f"{path} is not soaked"


def test_every_make_target_that_the_readme_names_is_there() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    there = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    assert {"demo", "test", "serve", "check", "bench"} <= named <= there
