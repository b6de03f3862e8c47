"""Schemathesis, in all its phases and in every role: no 5xx, and no answer that the OpenAPI document does not describe.

It reads the document as anybody would, and runs in a process of its own. Half of the ids in paths are of objects that exist.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from replay.verify.live import verify
from tests.api.test_openapi import ROLES, existing
from tests.api.world import World
from tests.faults.rounds import SOAK, rounds

EXAMPLES = rounds(ci=1, soak=25)
"""Requests that are made up for an operation, of each kind."""
AT_LEAST = rounds(ci=50, soak=20_000)
PHASES = "examples,coverage,fuzzing,stateful" if SOAK else "examples,fuzzing,stateful"
"""Coverage alone is four thousand requests for a role."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
NOT_ASKED = "/v1/test-clock/advance"
"""Years of Mondays would be played."""


def test_whatever_is_asked_by_whomever_gets_an_answer_that_the_document_describes(world: World, tmp_path: Path) -> None:
    known = existing(world)
    known |= {"contract_id": [one["id"] for one in world.contracts.values()]}  # type: ignore[dict-item]
    (tmp_path / "schemathesis.toml").write_text(configuration(known), encoding="utf-8")
    before = requests(world)
    for role in ROLES if SOAK else ROLES[:1]:
        done = subprocess.run(program(world, role), cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"as {role}:\n{done.stdout[-8000:]}{done.stderr[-2000:]}"
    assert requests(world) - before >= AT_LEAST
    world.web.ledger.worker.drain()
    report = verify(world.web.ledger.database)
    assert report.ok, report.findings


def program(world: World, role: str) -> list[str]:
    return [
        str(Path(sys.executable).with_name("st")),
        *("run", f"{world.web.url}/openapi.json", "--phases", PHASES, "--checks", ",".join(CHECKS)),
        *("--header", f"Authorization: Bearer {world.key(role)}", "--exclude-path", NOT_ASKED),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--generation-database", "none"),
        *("--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off", "--no-color"),
    ]


def configuration(known: dict[str, str]) -> str:
    """The ids that half of the paths are made of."""
    lines = ["[dictionaries]"]
    for name, values in known.items():
        listed = values if isinstance(values, list) else [values]
        lines.append(f"{name} = {{ values = {json.dumps(listed)} }}")
    lines.append("[parameters]")
    lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = 0.5 }}' for name in known]
    return "\n".join(lines) + "\n"


def requests(world: World) -> int:
    """How many the server has answered."""
    counted = re.findall(r"^ledger_http_requests_total\{.*\} (\S+)$", world.web.http.get("/metrics").text, re.MULTILINE)
    return int(sum(map(float, counted)))
