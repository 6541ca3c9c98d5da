"""Takes single terms out of a module's functions: does any test notice?

A *term* is found in the syntax tree, wherever something is added up, subtracted, booked or told:

    total += x          the statement goes
    a + b - c           each operand goes, one at a time
    book.add(x)         a call that stands alone and whose name is one of `BOOKING` goes
    session.counts = x  an assignment to an attribute outside of `__init__` goes
    Accounts(a=x, y)    each argument of a call whose name is one of `ACCOUNTS` becomes 0
    {"ring": x}         each value of a dict with constant keys becomes 0

The mutated function is compiled with its whole module, and its code takes the place of the living one's, so that
whoever has imported it meets the mutation; nothing is reloaded.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

BOOKING = ("add", "book", "record", "count", "update", "take", "touch", "_settle", "_count", "count_refused", "close")
ACCOUNTS = ("Accounts", "SessionAccounts", "SessionCounts", "Refused", "Frame", "SessionClose")
Replace = Callable[[ast.AST], ast.AST | None]


@dataclass(frozen=True)
class Site:
    """One term: where it is, and what becomes of it. `index` counts the nodes of the function's tree."""

    module: ModuleType
    function: str
    index: int
    what: str
    line: int
    mutate: Replace = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.module.__name__.removeprefix('obsagent.')}:{self.line} {self.function}: {self.what}"


def sites(module: ModuleType) -> list[Site]:
    """Every term of a module's functions."""
    found = []
    for name, function in _functions(_tree(module)):
        for index, node in enumerate(ast.walk(function)):
            for what, mutate in _mutations(node, function.name):
                found.append(Site(module, name, index, what, getattr(node, "lineno", 0), mutate))
    return found


def _tree(module: ModuleType) -> ast.Module:
    assert module.__file__ is not None
    with open(module.__file__, encoding="utf-8") as source:  # noqa: PTH123
        return ast.parse(source.read())


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods by their qualified names, without those inside of others."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    yield f"{node.name}.{member.name}", member


def _mutations(node: ast.AST, function: str) -> Iterator[tuple[str, Replace]]:
    shown = ast.unparse(node) if isinstance(node, ast.stmt | ast.expr) else ""
    if _may_go(node, function):
        yield f"without {shown}", lambda _node: ast.Pass()
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield f"{shown} without {ast.unparse(node.right)}", lambda found: found.left  # type: ignore[attr-defined]
        yield f"{shown} without {ast.unparse(node.left)}", _without_left
    elif isinstance(node, ast.Call) and _called(node) in ACCOUNTS:
        yield from _arguments(node, shown)
    elif isinstance(node, ast.Dict):
        yield from _values(node)


def _may_go(node: ast.AST, function: str) -> bool:
    """True for a statement that counts something."""
    if isinstance(node, ast.AugAssign):
        return isinstance(node.op, ast.Add | ast.Sub)
    if isinstance(node, ast.Expr):
        return _called(node.value) in BOOKING
    return isinstance(node, ast.Assign) and function != "__init__" and isinstance(node.targets[0], ast.Attribute)


def _called(node: ast.expr) -> str:
    """The last name of what is called."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _without_left(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BinOp)
    return ast.UnaryOp(ast.USub(), node.right) if isinstance(node.op, ast.Sub) else node.right


def _arguments(call: ast.Call, shown: str) -> Iterator[tuple[str, Replace]]:
    for number, value in enumerate(call.args):
        if _is_counted(value):
            yield f"{shown} with 0 for {ast.unparse(value)}", _with_zero("args", number)
    for number, keyword in enumerate(call.keywords):
        if keyword.arg is not None and _is_counted(keyword.value):
            yield f"{shown} with {keyword.arg}=0", _with_zero("keywords", number)


def _values(node: ast.Dict) -> Iterator[tuple[str, Replace]]:
    for number, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
        if isinstance(key, ast.Constant) and _is_counted(value):
            yield f"{{{ast.unparse(key)}: 0}}", _with_zero("values", number)


def _is_counted(value: ast.expr) -> bool:
    return not isinstance(value, ast.Constant | ast.Starred | ast.Dict)


def _with_zero(part: str, number: int) -> Replace:
    def mutate(node: ast.AST) -> ast.AST:
        found = getattr(node, part)
        if part == "keywords":
            found[number].value = ast.Constant(0)
        else:
            found[number] = ast.Constant(0)
        return node

    return mutate


class _Swap(ast.NodeTransformer):
    """Puts what a mutation makes of one node into its place."""

    def __init__(self, node: ast.AST, mutate: Replace) -> None:
        self.node = node
        self.mutate = mutate

    def visit(self, node: ast.AST) -> Any:
        if node is self.node:
            return self.mutate(node)
        return self.generic_visit(node)


def _mutated_code(site: Site) -> CodeType:
    tree = copy.deepcopy(_tree(site.module))
    function = dict(_functions(tree))[site.function]
    node = [*ast.walk(function)][site.index]
    swapped = ast.fix_missing_locations(_Swap(node, site.mutate).visit(tree))
    code = compile(swapped, site.module.__file__ or "", "exec", dont_inherit=True)
    return next(each for each in _codes(code) if each.co_qualname == site.function)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _living(site: Site) -> FunctionType:
    found: Any = site.module
    for name in site.function.split("."):
        found = vars(found)[name]
    found = getattr(found, "fget", None) or getattr(found, "__func__", None) or found
    assert isinstance(found, FunctionType)
    return found


@contextmanager
def mutated(site: Site) -> Iterator[None]:
    """Within it the term is gone."""
    function = _living(site)
    before = function.__code__
    function.__code__ = _mutated_code(site)
    try:
        yield
    finally:
        function.__code__ = before
