"""How the demo speaks to the ledger: HTTP over one connection, as any client would."""

import json
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

TIMEOUT_SECONDS = 120.0


class Refusal(Exception):
    """The ledger did not accept a step of the demo: the message says which, and the problem's detail."""

    def __init__(self, method: str, path: str, status: int, problem: dict[str, Any]) -> None:
        self.status, self.code = status, problem.get("code")
        faults = "".join(f"; {one.get('field')}: {one.get('message')}" for one in problem.get("errors") or ())
        detail = problem.get("detail") or problem.get("title") or "no detail"
        super().__init__(f"{method} {path} was refused with {status} {self.code}: {detail}{faults}")


class Api:
    """The interface at one address. `position` is the log position that the last write reached.

    Every write carries an Idempotency-Key made of `name` and its number, so that one sent twice counts once.
    """

    def __init__(self, host: str, port: int, name: str) -> None:
        self._connection = HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        self._name = name
        self.calls = self.writes = self.position = 0

    def get(self, path: str, key: str) -> Any:
        return self.call("GET", path, key)

    def post(self, path: str, key: str, body: dict[str, Any] | None = None) -> Any:
        return self.call("POST", path, key, body or {})

    def call(self, method: str, path: str, key: str, body: dict[str, Any] | None = None) -> Any:
        """The answer's JSON; None for an empty one. Raises Refusal for every answer but a 2xx."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        if method != "GET":
            self.writes += 1
            headers["Idempotency-Key"] = f"{self._name}-{self.writes}"
        self.calls += 1
        answer, raw = self._exchange(method, path, None if body is None else json.dumps(body).encode(), headers)
        if answer.status >= 300:
            raise Refusal(method, path, answer.status, _problem(raw))
        self.position = int(answer.headers.get("Ledger-Position") or self.position)
        return json.loads(raw) if raw else None

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[HTTPResponse, bytes]:
        """One request and its answer. A kept connection that the server has closed meanwhile is opened again, once."""
        for last in (False, True):
            try:
                self._connection.request(method, path, body, headers)
                answer = self._connection.getresponse()
                return answer, answer.read()
            except (ConnectionError, HTTPException):
                self._connection.close()
                if last:
                    raise
        raise AssertionError("the second attempt answers or raises")

    def close(self) -> None:
        self._connection.close()


def _problem(raw: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(raw)
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"detail": raw[:200].decode("utf-8", "replace")}
