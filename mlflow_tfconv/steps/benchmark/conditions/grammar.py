"""The grammar of conditions, read by recursive descent; nothing is ever evaluated as Python.

From the loosest to the tightest:

    condition   = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | comparison
    comparison  = sum [ ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum ]
    sum         = product { ( "+" | "-" ) product }
    product     = signed { ( "*" | "/" ) signed }
    signed      = ( "+" | "-" ) signed | atom
    atom        = number | "(" condition ")" | part [ "." part ]
    part        = name | quoted text

What is compared are numbers, what `and`, `or` and `not` join are comparisons: anything else is a
mistake. A name holds letters, digits and `_`, and between them `-`, `/`, `.`, `@` and `:` without
blanks; so a difference or quotient of metrics is written with blanks. Other names are quoted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.benchmark.conditions.tokens import COMPARISONS, Token, mistake, tokens

_DEEPEST = 50
_EXAMPLE = "new.latency/p50_ms > 1.05 * old.latency/p50_ms"


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it stands in the condition."""

    value: float
    at: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A metric of a variant.

    Attributes:
        parts: Variant and metric; or one text that holds both, joined by a dot.
        at: Where it stands.
    """

    parts: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Negative:
    """A number with a minus before it."""

    of: Node
    at: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a truth."""

    of: Node
    at: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands joined from left to right by operators of the same rank.

    Attributes:
        first: The leftmost operand.
        rest: Operator, its place, and the operand to its right.
        at: Where it starts.
    """

    first: Node
    rest: tuple[tuple[str, int, Node], ...]
    at: int


Node = Number | Reference | Negative | Not | Chain


def parsed(condition: str) -> Node:
    """The tree of a condition.

    Raises:
        ConfigError: It does not follow the grammar, or says no more than a number.
    """
    reader = _Reader(condition)
    tree = reader.disjunction()
    if reader.now.kind != "end":
        raise reader.surprised()
    reader.require_truth(tree)
    if not references(tree):
        fix = f"Compare a metric with something: {_EXAMPLE}"
        raise mistake("it names no metric.", condition, 0, fix)
    return tree


def references(tree: Node) -> list[Reference]:
    """All metrics that a condition names, from left to right."""
    if isinstance(tree, Reference):
        return [tree]
    if isinstance(tree, Negative | Not):
        return references(tree.of)
    if isinstance(tree, Chain):
        operands = [tree.first, *(operand for _, _, operand in tree.rest)]
        return [found for operand in operands for found in references(operand)]
    return []


class _Reader:
    """Reads the tokens from left to right, one method a rule."""

    def __init__(self, condition: str) -> None:
        self._condition = condition
        self._tokens = tokens(condition)
        self._position = 0
        self._depth = 0

    @property
    def now(self) -> Token:
        """The token that is next."""
        return self._tokens[self._position]

    def disjunction(self) -> Node:
        """A condition."""
        return self._chain(self._conjunction, ("or",), self.require_truth)

    def require_truth(self, node: Node) -> None:
        """Raises unless it is true or false.

        Raises:
            ConfigError: It is a number.
        """
        if not _is_truth(node):
            what = "this is a number, and not true or false."
            raise self._mistake(what, node.at, f"Compare it with another: {_EXAMPLE}")

    def surprised(self) -> ConfigError:
        """An error about the token that is next."""
        token = self.now
        if token.kind == "end":
            what = "a number or the name of a metric is missing here."
            return self._mistake(what, token.at, f"An example: {_EXAMPLE}")
        if token.kind == "operator" and token.text in COMPARISONS:
            what = "comparisons can't be chained."
            return self._mistake(what, token.at, "Join two of them: 1 < a.x and a.x < 2")
        return self._mistake(f"{token.text!r} is not expected here.", token.at)

    def _conjunction(self) -> Node:
        return self._chain(self._negation, ("and",), self.require_truth)

    def _negation(self) -> Node:
        token = self.now
        if not self._take("not"):
            return self._comparison()
        with_not = self._deeper(self._negation)
        self.require_truth(with_not)
        return Not(with_not, token.at)

    def _comparison(self) -> Node:
        left = self._sum()
        token = self.now
        if not self._take(*COMPARISONS):
            return left
        right = self._sum()
        for side in (left, right):
            self._require_number(side)
        return Chain(left, ((token.text, token.at, right),), left.at)

    def _sum(self) -> Node:
        return self._chain(self._product, ("+", "-"), self._require_number)

    def _product(self) -> Node:
        return self._chain(self._signed, ("*", "/"), self._require_number)

    def _signed(self) -> Node:
        token = self.now
        if not self._take("+", "-"):
            return self._atom()
        number = self._deeper(self._signed)
        self._require_number(number)
        return Negative(number, token.at) if token.text == "-" else number

    def _atom(self) -> Node:
        token = self.now
        if token.kind == "number":
            self._position += 1
            return Number(float(token.text), token.at)
        if token.kind in ("name", "quoted"):
            return self._reference()
        if not self._take("("):
            raise self.surprised()
        inner = self._deeper(self.disjunction)
        if not self._take(")"):
            if self.now.kind == "end":
                raise self._mistake("this parenthesis is never closed.", token.at)
            raise self.surprised()
        return inner

    def _reference(self) -> Reference:
        first = self.now
        self._position += 1
        parts = [first.text]
        if self._take("."):
            second = self.now
            if second.kind not in ("name", "quoted", "word"):
                raise self._mistake("the name of a metric is missing here.", second.at)
            self._position += 1
            parts.append(second.text)
        if len(parts) == 1 and "." not in parts[0]:
            what = f"{parts[0]!r} does not say which metric of which variant."
            raise self._mistake(
                what,
                first.at,
                'Write variant.metric, such as new.latency/p50_ms or "my new".sparsity',
            )
        return Reference(tuple(parts), first.at)

    def _chain(
        self, rule: Callable[[], Node], operators: tuple[str, ...], check: Callable[[Node], None]
    ) -> Node:
        first, rest = rule(), []
        while True:
            token = self.now
            if not self._take(*operators):
                break
            rest.append((token.text, token.at, rule()))
        if not rest:
            return first
        for node in (first, *(operand for _, _, operand in rest)):
            check(node)
        return Chain(first, tuple(rest), first.at)

    def _take(self, *texts: str) -> bool:
        """Goes on when the next token is one of these operators or words."""
        token = self.now
        taken = token.kind in ("operator", "word") and token.text in texts
        self._position += taken
        return taken

    def _deeper(self, rule: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._mistake("it is nested too deeply.", self.now.at)
        node = rule()
        self._depth -= 1
        return node

    def _require_number(self, node: Node) -> None:
        if _is_truth(node):
            what = "this is true or false, and not a number."
            raise self._mistake(what, node.at, "Join comparisons with `and`, `or`, `not`.")

    def _mistake(self, what: str, at: int, fix: str | None = None) -> ConfigError:
        return mistake(what, self._condition, at, fix)


def _is_truth(node: Node) -> bool:
    if isinstance(node, Chain):
        return node.rest[0][0] in (*COMPARISONS, "and", "or")
    return isinstance(node, Not)
