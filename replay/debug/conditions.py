"""The language of conditions: what `replay step --until` stops at and `replay bisect --check` holds the ledger to.

Comparisons of names, numbers, texts and times, joined by `and`, `or` and `not`, with `+`, `-`, `*`, `in (…)` and calls of a few
functions. The text is read by Python's own parser and only the forms listed in `_Reader` are taken from it; nothing of it is
ever evaluated as Python.

What is not there (a payout before it is due, a deadline that is not set) makes a comparison neither true nor false, as in SQL;
`== null` and `!= null` ask whether it is there. `--until` stops where a condition is true, `--check` is broken where it is false.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from replay.debug.condition_text import TIME, ConditionText, read_time
from replay.debug.condition_values import (
    ConditionError,
    Names,
    Scope,
    Sign,
    Vocabulary,
    both,
    compare,
    kind_of,
    opposite,
)

LONGEST = 1_000
"""Characters of a condition."""
_DEEPEST = 40
"""Levels of nesting."""

_Evaluate = Callable[[Scope], Any]


@dataclass(frozen=True)
class Condition:
    """A condition that was read. `terms` are the names and calls in it, as they were written."""

    text: str
    terms: tuple[str, ...]
    roots: frozenset[str]
    """The first parts of its names, and its functions."""
    _whole: _Evaluate
    _parts: tuple[_Evaluate, ...]

    def holds(self, scope: Scope) -> bool:
        """Whether it is true there. Raises ConditionError where two things that do not compare are compared."""
        return self._whole(scope) is True

    def fails(self, scope: Scope) -> bool:
        """Whether it is false there: what is not there yet cannot break it. Raises ConditionError as `holds` does."""
        return self._whole(scope) is False

    def values(self, scope: Scope) -> tuple[Any, ...]:
        """What each of its terms is there."""
        return tuple(part(scope) for part in self._parts)


def parse(text: str, vocabulary: Vocabulary) -> Condition:
    """Reads a condition. Raises ConditionError, and nothing else, for any text that is none."""
    if len(text) > LONGEST:
        raise ConditionError(f"it is longer than {LONGEST} characters")
    return _Reader(text, vocabulary).condition()


_CURRENCY = re.compile("[A-Z]{3}")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.In: ("in", lambda one, many: one in many),
    ast.NotIn: ("not in", lambda one, many: one not in many),
}
_SUMS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


class _Reader:
    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self.text, self.vocabulary = ConditionText(text), vocabulary
        self.terms: dict[str, _Evaluate] = {}
        self.roots: set[str] = set()

    def condition(self) -> Condition:
        whole = self._truth(self.text.tree, 0)
        roots = frozenset(self.roots)
        return Condition(self.text.text, tuple(self.terms), roots, whole, tuple(self.terms.values()))

    def _truth(self, node: ast.expr, depth: int) -> Callable[[Scope], bool | None]:
        """Something that is true, false, or not there."""
        value, at = self._value(node, depth), self.text.at(node)

        def truth(scope: Scope) -> bool | None:
            found = value(scope)
            if found is not None and not isinstance(found, bool):
                raise ConditionError(f"{self.text.written(node)} is {kind_of(found)}: compare it with something", at)
            return found

        return truth

    def _value(self, node: ast.expr, depth: int) -> _Evaluate:
        if depth > _DEEPEST:
            raise ConditionError(f"it is nested more than {_DEEPEST} levels deep", self.text.at(node))
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = [self._truth(one, depth + 1) for one in values]
                if isinstance(op, ast.And):
                    return lambda scope: both(part(scope) for part in parts)
                return lambda scope: opposite(both(opposite(part(scope)) for part in parts))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                truth = self._truth(operand, depth + 1)
                return lambda scope: opposite(truth(scope))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._sum(operator.sub, ast.copy_location(ast.Constant(0), operand), operand, depth)
            case ast.BinOp(op=sign, left=left, right=right) if type(sign) in _SUMS:
                return self._sum(_SUMS[type(sign)], left, right, depth)
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                values_of = [self._value(item, depth + 1) for item in items]
                return lambda scope: tuple(value(scope) for value in values_of)
            case ast.Constant(value=str() as text) if TIME.fullmatch(text):
                instant = read_time(text, self.text.at(node))
                return lambda _: instant
            case ast.Constant(value=None | bool() | int() | str() as constant):
                return lambda _: constant
            case ast.Constant(value=float()):
                raise ConditionError("amounts are whole minor units: write 1250 for 12.50", self.text.at(node))
            case ast.Name() if (time := self.text.time(node)) is not None:
                return lambda _: time
            case ast.Name(id=word) if word in _WORDS:
                meant = _WORDS[word]
                return lambda _: meant
            case ast.Name() | ast.Attribute():
                return self._term(node, self._path(node))
            case ast.Call():
                return self._term(node, self._call(node, depth))
        raise ConditionError(f"{self.text.written(node)!r} is nothing that a condition is made of", self.text.at(node))

    def _term(self, node: ast.expr, value: _Evaluate) -> _Evaluate:
        self.terms.setdefault(self.text.written(node), value)
        return value

    def _sum(self, sign: Callable[[int, int], int], left: ast.expr, right: ast.expr, depth: int) -> _Evaluate:
        both, at = [self._value(left, depth + 1), self._value(right, depth + 1)], self.text.at(right)

        def summed(scope: Scope) -> int | None:
            one, other = (value(scope) for value in both)
            if one is None or other is None:
                return None
            if type(one) is not int or type(other) is not int:
                raise ConditionError(f"{kind_of(one)} and {kind_of(other)} have no sum", at)
            return sign(one, other)

        return summed

    def _comparison(self, node: ast.Compare, depth: int) -> _Evaluate:
        operands = [node.left, *node.comparators]
        values = [self._value(one, depth + 1) for one in operands]
        signs = []
        for left, sign, right in zip(operands, node.ops, node.comparators, strict=False):
            if type(sign) not in _COMPARISONS:
                raise ConditionError("compare by ==, !=, <, <=, >, >=, in or not in", self.text.at(right))
            text, is_so = _COMPARISONS[type(sign)]
            signs.append(Sign(text, is_so, self.text.at(right), _is_null(left) or _is_null(right)))

        def compared(scope: Scope) -> bool | None:
            found = [value(scope) for value in values]
            return both(compare(found[i], found[i + 1], sign) for i, sign in enumerate(signs))

        return compared

    def _path(self, node: ast.expr) -> _Evaluate:
        parts: list[str] = []
        names: Names | None = self.vocabulary.names
        for part in reversed(list(_steps(node))):
            written, word = part
            if not isinstance(names, Mapping) or word not in names:
                where = f"{'.'.join(parts)} has no field" if parts else "there is no"
                raise ConditionError(
                    f"{where} {word!r}{_instead(word, names or (), self.vocabulary)}", self.text.at(written)
                )
            names = names[word]
            parts.append(word)
        if isinstance(names, Mapping):
            raise ConditionError(f"{'.'.join(parts)} has fields: name one of {', '.join(names)}", self.text.at(node))
        self.roots.add(parts[0])

        def value(scope: Scope) -> Any:
            found: Any = scope.values
            for part in parts:
                found = None if found is None else found.get(part)
            return found

        return value

    def _call(self, node: ast.Call, depth: int) -> _Evaluate:
        at = self.text.at(node)
        if not isinstance(node.func, ast.Name) or node.func.id not in self.vocabulary.functions or node.keywords:
            known = ", ".join(f"{name}(…)" for name in self.vocabulary.functions)
            raise ConditionError(f"{self.text.written(node)!r} is no call of {known}", at)
        name = node.func.id
        least, most = self.vocabulary.functions[name]
        if not least <= len(node.args) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            raise ConditionError(f"{name}(…) takes {wanted} argument(s)", at)
        arguments = [self._argument(one, depth) for one in node.args]
        self.roots.add(name)

        def called(scope: Scope) -> Any:
            try:
                return scope.functions[name](*(argument(scope) for argument in arguments))
            except ConditionError as error:
                raise error if error.at else ConditionError(error.what, at) from error

        return called

    def _argument(self, node: ast.expr, depth: int) -> _Evaluate:
        """A currency needs no quotes."""
        match node:
            case ast.Name(id=code) if _CURRENCY.fullmatch(code):
                return lambda _: code
        return self._value(node, depth + 1)


def _is_null(node: ast.expr) -> bool:
    """The word, in either spelling."""
    match node:
        case ast.Name(id="null") | ast.Constant(value=None):
            return True
    return False


def _steps(node: ast.expr) -> Sequence[tuple[ast.expr, str]]:
    """The words of a dotted name, the last first."""
    found = []
    while isinstance(node, ast.Attribute):
        found.append((node, node.attr))
        node = node.value
    if not isinstance(node, ast.Name):
        raise ConditionError("only a name has fields")
    return [*found, (node, node.id)]


def _instead(word: str, names: Any, vocabulary: Vocabulary) -> str:
    near = get_close_matches(word, [*names], 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    functions = [f"{name}(…)" for name in vocabulary.functions] if names is vocabulary.names else []
    return f"{hint}; there are {', '.join([*names, *functions])}" if names else hint
