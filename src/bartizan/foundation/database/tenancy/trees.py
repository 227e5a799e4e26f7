"""Reads the parts of a parsed statement that a proof is made of."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from sqlglot import Expr

    Tree = Expr
else:
    Tree = exp.Expression  # the name that every version has at run time

Source = str
"""What a column must equal: a parameter (``:name``) or a literal text (``'text``), by its first character."""


@dataclass(slots=True)
class Scope:
    """What one SELECT, UPDATE or DELETE draws from."""

    tables: dict[str, list[exp.Table]] = field(default_factory=dict[str, list[exp.Table]])
    aliases: set[str] = field(default_factory=set[str])
    derived: dict[str, exp.Subquery] = field(default_factory=dict[str, exp.Subquery])
    facts: list[tuple[Tree, set[str]]] = field(default_factory=list[tuple[Tree, set[str]]])
    """A conjunct, and the aliases that it restricts."""

    def add(self, source: Tree | None) -> set[str]:
        """Take in one item of FROM, with the joins that hang on it; give its aliases."""
        if source is None:
            return set()
        if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Table):  # (a JOIN b ON …)
            own = self.add(source.this)
        else:
            own = {source.alias_or_name.lower()}
            if isinstance(source, exp.Table):
                self.tables.setdefault(source.alias_or_name.lower(), []).append(source)
            elif isinstance(source, exp.Subquery):
                self.derived[source.alias_or_name.lower()] = source
        self.aliases |= own
        self.join(own, source.args.get("joins"))
        return own

    def join(self, left: set[str], joins: Iterable[exp.Join] | None) -> None:
        """Add joined tables; ``left`` grows by them."""
        for join in joins or ():
            right = self.add(join.this)
            side = (join.side or "").upper()
            restricts = {"": left | right, "LEFT": right, "RIGHT": set(left)}.get(side, set())
            if not join.method:
                self.facts += [(fact, set(restricts)) for fact in conjuncts(join.args.get("on"))]
            left |= right


def inner(node: Tree) -> Iterator[Tree]:
    """Give the statements directly inside a statement."""
    kinds = (exp.Select, exp.Insert, exp.Update, exp.Delete)
    for item in node.walk(prune=lambda found: found is not node and isinstance(found, kinds)):
        if item is not node and isinstance(item, kinds):
            yield item


def conjuncts(condition: Tree | None) -> Iterator[Tree]:
    """Give what must all be true."""
    if isinstance(condition, exp.Paren):
        yield from conjuncts(condition.this)
    elif isinstance(condition, exp.And):
        yield from conjuncts(condition.this)
        yield from conjuncts(condition.expression)
    elif condition is not None:
        yield condition


def source_of(value: Tree | None) -> Source | None:
    """Read a parameter or a literal text, through casts and parentheses."""
    while isinstance(value, exp.Cast | exp.Paren):
        value = value.this
    if isinstance(value, exp.Placeholder) and isinstance(value.this, str):
        return f":{value.this}"
    if isinstance(value, exp.Literal) and value.is_string:
        return f"'{value.this}"
    return None


def rows(expression: Tree | None) -> Iterator[list[Tree]]:
    """Give the rows of VALUES, or the projections of each SELECT that feeds an INSERT."""
    if isinstance(expression, exp.Values):
        for row in expression.expressions:
            yield row.expressions if isinstance(row, exp.Tuple) else []
    elif isinstance(expression, exp.Union | exp.Except | exp.Intersect):
        yield from rows(expression.this)
        yield from rows(expression.expression)
    elif isinstance(expression, exp.Subquery):
        yield from rows(expression.this)
    elif isinstance(expression, exp.Select):
        yield [item.unalias() for item in expression.expressions]
    else:
        yield []


def columns(node: Tree) -> Iterator[exp.Column]:
    """Give every column in a tree."""
    yield from node.find_all(exp.Column)


def plain_name(key: Tree) -> str:
    """Read the column that ON CONFLICT names; an expression over one is none."""
    while isinstance(key, exp.Ordered):
        key = key.this
    return key.name.lower() if isinstance(key, exp.Column | exp.Identifier) else ""


def is_excluded(value: Tree, column: str) -> bool:
    """Tell whether a value is the column of the row that ON CONFLICT left out."""
    return (
        isinstance(value, exp.Column) and value.table.lower() == "excluded" and value.name.lower() == column
    )


def branches(derived: Tree) -> Iterator[exp.Select]:
    """Give each SELECT of which a table in FROM consists, where each of them filters rows and no more."""
    if isinstance(derived, exp.Union):
        whole = not any(derived.args.get(part) for part in ("limit", "offset", "with_", "with"))
        if whole and (derived.args.get("distinct") is False or not derived.args.get("distinct")):
            yield from branches(derived.this)
            yield from branches(derived.expression)
    elif isinstance(derived, exp.Subquery):
        yield from branches(derived.this)
    elif isinstance(derived, exp.Select):
        more = ("limit", "offset", "distinct", "group", "having", "qualify", "with_", "with")
        if not any(derived.args.get(part) for part in more) and not any(
            item.find(exp.AggFunc, exp.Window) for item in derived.expressions
        ):
            yield derived


def sole_table(select: Tree | None, column: str) -> exp.Table | None:
    """Give the one table of a subquery that reads nothing but that column."""
    if not isinstance(select, exp.Select) or [item.name.lower() for item in select.expressions] != [column]:
        return None
    start = select.args.get("from_") or select.args.get("from")
    source = start.this if start else None
    return source if isinstance(source, exp.Table) and not select.args.get("joins") else None
