"""The text of a condition: read by Python's own parser, with times in it, and where in it each part stands."""

import ast
import re
import warnings
from datetime import datetime

from replay.debug.condition_values import ConditionError
from replay.values import parse_instant

TIME = re.compile(r"\d{4}-\d{2}-\d{2}([Tt][\d:.]*([Zz]|[+-]\d{2}:\d{2})?)?", re.ASCII)
"""What is meant as a time; whether it is one, is said where it is read."""
_TEXT_OR_TIME = re.compile(rf"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b(?P<time>{TIME.pattern})""")


class ConditionText:
    """Raises ConditionError for what Python cannot read as an expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._times: dict[int, datetime] = {}
        line = _TEXT_OR_TIME.sub(self._without_time, re.sub(r"\s", " ", text))
        self._start = len(line) - len(line.lstrip())
        self._parsed = text[self._start :].encode(errors="surrogatepass")
        self.tree = self._tree(line.strip())

    def _without_time(self, match: re.Match[str]) -> str:
        """A name in the place of a time, as long as that, so that characters keep their numbers."""
        if match["time"] is None:
            return match[0]
        self._times[match.start()] = read_time(match["time"], match.start() + 1)
        return "_" * len(match[0])

    def _tree(self, line: str) -> ast.expr:
        if not line:
            raise ConditionError("it is empty: write one like `available < 0`")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(line, mode="eval").body
        except SyntaxError as error:
            at = self._start + min(max(error.offset or 1, 1), len(line))
            raise ConditionError(f"this is no condition: {error.msg}", at) from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise ConditionError("this is no text that can be read as a condition") from error

    def at(self, node: ast.expr) -> int:
        """The character at which a part begins, from 1. The parser counts bytes."""
        return self._start + len(self._parsed[: node.col_offset].decode(errors="replace")) + 1

    def written(self, node: ast.expr) -> str:
        """The part as it was written."""
        return self._parsed[node.col_offset : node.end_col_offset].decode(errors="replace")

    def time(self, name: ast.Name) -> datetime | None:
        """The time that stands where the parser found this name, if one does."""
        return self._times.get(self.at(name) - 1)


def read_time(text: str, at: int) -> datetime:
    """Raises ConditionError, naming the character."""
    try:
        return parse_instant(text)
    except ValueError as error:
        raise ConditionError(str(error), at) from error
