"""Proves of a SQL statement, once, that it can touch the rows of one organization only.

A statement is proven when *every* place in it that names a walled table is accounted for:

- a table that is read, updated or deleted from: a top-level conjunct binds its organization column to
  a parameter, directly or through equalities (``tag.org_id = link.org_id AND link.org_id = :p``), in a
  clause that really restricts the table (an outer join's ON restricts its inner side alone);
- an INSERT: each row, or the SELECT that feeds it, gives the column as a parameter, and a conflict
  cannot overwrite a foreign row;
- an assignment to the column: a parameter too;
- a table of the same rows as another (a joined subclass, a side table, the pairs of a relationship) is
  held with that one, where they are joined by what makes them the same: see ``Kin``;
- a table that the database itself stamps may be inserted into without the column.

What is not understood stays unaccounted for, so it is refused. The proof names the parameters; the
guard compares their values with the current organization each time. Importing sqlglot takes some 0.1 s
and a proof about 1 ms, so this module is loaded at the first statement that needs it, and each proof kept.

Not seen here: what views and functions of the database hide. Row-level security sees those.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from .trees import (
    Scope,
    Source,
    Tree,
    branches,
    columns,
    conjuncts,
    inner,
    is_excluded,
    plain_name,
    rows,
    sole_table,
    source_of,
)

Node = tuple[str, str]
"""An alias and a column."""
Alternatives = frozenset[Source]
Kin = tuple[str, tuple[tuple[str, str], ...]]
"""Another table, and pairs of columns: where all are equal, a row belongs to whom the other's row does."""

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot parse is refused, not logged


@dataclass(frozen=True, slots=True)
class Proof:
    """What holds of a statement whose parameters are named ``p0``, ``p1``, and so on."""

    refused: frozenset[str] = frozenset()
    """Walled tables for which there is no proof."""
    required: tuple[Alternatives, ...] = ()
    """Of each of these, one must equal the organization."""
    by_key: tuple[str, tuple[tuple[str, Source], ...]] | None = None
    """An UPDATE or DELETE of one row by its primary key: the table, its columns, their parameters."""
    stamped: frozenset[str] = frozenset()
    """Tables whose new rows the database has to stamp, and side-tabled ones that lose rows."""


def prove(
    sql: str,
    dialect: str,
    keys: Mapping[str, tuple[str, ...]],
    column: str,
    *,
    kin: Mapping[str, tuple[Kin, ...]] | None = None,
    stamped: Collection[str] = (),
) -> Proof:
    """Prove ``sql``. ``keys`` gives each walled table (in lower case) and the columns of its primary key."""
    try:
        trees = sqlglot.parse(sql, read=dialect)
    except SqlglotError:
        trees = []
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Query | exp.Insert | exp.Update | exp.Delete):
        return Proof(refused=frozenset(keys))
    if any(cte.alias.lower() in keys for cte in tree.find_all(exp.CTE)):  # it would pass for the table
        return Proof(refused=frozenset(keys))
    return _Prover(keys, column.lower(), kin or {}, stamped).prove(tree)


class _Prover:
    def __init__(
        self,
        keys: Mapping[str, tuple[str, ...]],
        column: str,
        kin: Mapping[str, tuple[Kin, ...]],
        stamped: Collection[str],
    ) -> None:
        self._keys = keys
        self._column = column
        self._kin = kin
        self._by_database = stamped
        self._stamped: set[str] = set()
        self._given: dict[int, dict[int, Alternatives]] = {}
        """Of a SELECT in FROM: what the statement around it holds its projections to, by their place."""
        self._open: dict[int, str] = {}
        self._required: list[Alternatives] = []
        self._by_key: tuple[str, tuple[tuple[str, Source], ...]] | None = None

    def prove(self, tree: Tree) -> Proof:
        for table in tree.find_all(exp.Table):
            if table.name.lower() in self._keys:
                self._open[id(table)] = table.name.lower()
        self._visit(tree, {})
        by_key = self._by_key if len(self._open) == 1 else None
        required = tuple(dict.fromkeys(self._required))
        return Proof(frozenset(self._open.values()), required, by_key, frozenset(self._stamped))

    def _visit(self, node: Tree, outer: Mapping[Node, Alternatives]) -> None:
        """Prove a statement and the statements inside it; ``outer`` is what is known around it."""
        known = outer
        if isinstance(node, exp.Select):
            known = self._select(node, outer)
        elif isinstance(node, exp.Update):
            known = self._update(node, outer)
        elif isinstance(node, exp.Delete):
            known = self._delete(node, outer)
        elif isinstance(node, exp.Insert):
            self._insert(node)
        for statement in inner(node):
            self._visit(statement, known)

    def _select(self, node: exp.Select, outer: Mapping[Node, Alternatives]) -> Mapping[Node, Alternatives]:
        scope = Scope()
        start = node.args.get("from_") or node.args.get("from")
        left = scope.add(start.this) if start else set[str]()
        scope.join(left, node.args.get("joins"))
        for lock in node.args.get("locks") or ():  # FOR UPDATE OF alias
            for table in lock.expressions:
                if table.name.lower() in scope.aliases:
                    self._open.pop(id(table), None)
        given: dict[Node, Alternatives] = {}
        for place, alternatives in self._given.get(id(node), {}).items():
            if (item := self._item(node.expressions[place].unalias(), scope)) is not None:
                given[item] = alternatives
        return self._settle(scope, node, outer, given)

    def _give(self, derived: Tree, names: Mapping[str, Alternatives]) -> None:
        """Pass on to a SELECT in FROM what its projections are held to, if that filters rows and no more."""
        if isinstance(derived, exp.Union):
            first = derived
            while isinstance(first, exp.Union):
                first = first.this
            places = {item.alias_or_name.lower(): n for n, item in enumerate(first.expressions)}
        else:
            places = {item.alias_or_name.lower(): n for n, item in enumerate(derived.expressions)}
        given = {places[name]: alternatives for name, alternatives in names.items() if name in places}
        for select in branches(derived):
            self._given[id(select)] = given

    def _update(self, node: exp.Update, outer: Mapping[Node, Alternatives]) -> Mapping[Node, Alternatives]:
        scope = Scope()
        left = scope.add(node.this)
        start = node.args.get("from_") or node.args.get("from")
        if start:
            left |= scope.add(start.this)
        scope.join(left, node.args.get("joins"))
        if not self._assigns_well(node.expressions, node.this):
            return outer
        known = self._settle(scope, node, outer)
        self._note_key(node, scope)
        return known

    def _delete(self, node: exp.Delete, outer: Mapping[Node, Alternatives]) -> Mapping[Node, Alternatives]:
        scope = Scope()
        using = node.args.get("using") or ()
        for source in (node.this, *([using] if isinstance(using, Tree) else using)):
            scope.add(source)
        known = self._settle(scope, node, outer)
        self._note_key(node, scope)
        if (name := node.this.name.lower()) in self._by_database:
            self._stamped.add(name)
        return known

    def _settle(
        self,
        scope: Scope,
        node: Tree,
        outer: Mapping[Node, Alternatives],
        given: Mapping[Node, Alternatives] | None = None,
    ) -> Mapping[Node, Alternatives]:
        """Work out what each column must equal, and strike off the tables that are held to a value."""
        where = node.args.get("where")
        facts = [*scope.facts, *((fact, scope.aliases) for fact in conjuncts(where.this if where else None))]
        known = {item: value for item, value in outer.items() if item[0] not in scope.aliases}
        known.update(given or {})
        links = self._learn(known, facts, scope, outer)
        known |= self._asides(facts, scope)
        for alias, tables in scope.tables.items():
            if len(tables) == 1 and (alternatives := known.get((alias, self._column))):
                self._strike(tables[0], alternatives)
        if self._kin:
            self._strike_kin(scope, known, links)
        for alias, derived in scope.derived.items():
            self._give(derived.this, {name: held for (of, name), held in known.items() if of == alias})
        return known

    def _learn(
        self,
        known: dict[Node, Alternatives],
        facts: Iterable[tuple[Tree, set[str]]],
        scope: Scope,
        outer: Mapping[Node, Alternatives],
    ) -> set[tuple[Node, Node]]:
        """Add what the conditions say of each column; give which columns they hold to each other."""
        links: list[tuple[Node, Node]] = []
        for item, other in self._equalities(facts, scope):
            if (source := source_of(other)) is not None:
                known[item] = known.get(item, frozenset()) | {source}
            elif (to := self._item(other, scope, outer)) is not None:
                links.append((item, to))
        for _ in links:  # each round carries values over at least one more link
            for item, to in links:
                if values := known.get(to):
                    known[item] = known.get(item, frozenset()) | values
        return set(links)

    def _strike_kin(
        self, scope: Scope, known: dict[Node, Alternatives], links: set[tuple[Node, Node]]
    ) -> None:
        """Strike off the tables that are joined to a held one whose owner they share."""
        named = {alias: tables[0].name.lower() for alias, tables in scope.tables.items() if len(tables) == 1}
        for _ in named:  # each round reaches at least one more
            for alias, name in named.items():
                for other, pairs in self._kin.get(name, ()) if (alias, self._column) not in known else ():
                    for to, of in named.items():
                        held = known.get((to, self._column)) if of == other else None
                        if held and all(((alias, own), (to, its)) in links for own, its in pairs):
                            self._strike(scope.tables[alias][0], held)
                            known[alias, self._column] = held

    def _asides(self, facts: Iterable[tuple[Tree, set[str]]], scope: Scope) -> dict[Node, Alternatives]:
        """Read ``(SELECT owner FROM side WHERE side.id = main.id) = :p``: it holds both tables."""
        found: dict[Node, Alternatives] = {}
        for fact, restricts in facts:
            sides = (fact.this, fact.expression) if isinstance(fact, exp.EQ) else (None, None)
            for one, other in (sides, sides[::-1]):
                source, select = source_of(other), one.this if isinstance(one, exp.Subquery) else None
                side = sole_table(select, self._column)
                if source is None or select is None or side is None:
                    continue
                self._strike(side, frozenset({source}))  # it tells no more than whether a row is ours
                equal = self._ties(select, side, scope)
                for alias in restricts & scope.tables.keys():
                    for of, pairs in self._kin.get(scope.tables[alias][0].name.lower(), ()):
                        ties = {((side.alias_or_name.lower(), its), (alias, own)) for own, its in pairs}
                        if of == side.name.lower() != alias and ties <= equal:
                            found[alias, self._column] = frozenset({source})
        return found

    def _ties(self, select: Tree, side: exp.Table, scope: Scope) -> set[tuple[Node | None, Node | None]]:
        """Give what a subquery holds equal between its own table and those around it; all names in full."""
        aside = Scope()
        aside.add(side)
        where = select.args.get("where")
        return {
            (self._item(a, aside), self._item(b, scope))
            for eq in conjuncts(where.this if where else None)
            if isinstance(eq, exp.EQ) and eq.this.args.get("table") and eq.expression.args.get("table")
            for a, b in ((eq.this, eq.expression), (eq.expression, eq.this))
            if a.args["table"].name.lower() not in scope.aliases
        }

    def _equalities(
        self, facts: Iterable[tuple[Tree, set[str]]], scope: Scope
    ) -> Iterator[tuple[Node, Tree]]:
        """Give each column that a condition holds to something, where it restricts the column's table."""
        for fact, restricts in facts:
            if isinstance(fact, exp.EQ):
                for one, other in ((fact.this, fact.expression), (fact.expression, fact.this)):
                    item = self._item(one, scope)
                    if item is not None and item[0] in restricts:
                        yield item, other

    def _item(
        self, side: Tree, scope: Scope, outer: Mapping[Node, Alternatives] | None = None
    ) -> Node | None:
        """Read a column of this scope or, if allowed, of one around it."""
        if not isinstance(side, exp.Column):
            return None
        alias, name = side.table.lower(), side.name.lower()
        if not alias:
            alias = next(iter(scope.aliases)) if len(scope.aliases) == 1 else ""
        if alias in scope.aliases or (outer and (alias, name) in outer):
            return alias, name
        return None

    def _note_key(self, node: Tree, scope: Scope) -> None:
        """Remember an UPDATE or DELETE of one row by its primary key."""
        table = node.this
        where = node.args.get("where")
        if not isinstance(table, exp.Table) or len(scope.aliases) != 1 or where is None:
            return
        values: dict[str, Source] = {}
        for fact in conjuncts(where.this):
            if isinstance(fact, exp.EQ) and (item := self._item(fact.this, scope)):
                source = source_of(fact.expression)
                if source is not None:
                    values[item[1]] = source
        key = self._keys.get(table.name.lower(), ())
        if key and all(name.lower() in values for name in key):
            self._by_key = table.name.lower(), tuple((name, values[name.lower()]) for name in key)

    def _insert(self, node: exp.Insert) -> None:
        schema, table = node.this, node.this
        if isinstance(schema, exp.Schema):
            table = schema.this
        if not isinstance(table, exp.Table) or id(table) not in self._open:
            return
        names = [name.name.lower() for name in schema.expressions] if schema is not table else []
        if not names or str(node.args.get("alternative") or "").upper() == "REPLACE":
            return
        if not self._overwrites_well(node.args.get("conflict"), table):
            return
        if self._column not in names:
            if (name := table.name.lower()) in self._by_database:
                self._stamped.add(name)
                self._open.pop(id(table))
            return
        at = names.index(self._column)
        needs: list[Alternatives] = []
        for row in rows(node.args.get("expression")):
            source = source_of(row[at]) if len(row) == len(names) else None
            if source is None:
                return
            needs.append(frozenset({source}))
        if needs:
            self._required += needs
            self._open.pop(id(table))

    def _overwrites_well(self, conflict: Tree | None, table: exp.Table) -> bool:
        """Tell whether ON CONFLICT leaves foreign rows alone."""
        if conflict is None or "UPDATE" not in str(conflict.args.get("action") or "").upper():
            return True
        named = {plain_name(key) for key in conflict.args.get("conflict_keys") or ()}
        if not self._assigns_well(conflict.expressions, table, excluded=True):
            return False
        if self._column in named:
            return True
        scope = Scope()
        scope.add(table.copy())
        where = conflict.args.get("where")
        for fact in conjuncts(where.this if where else None):
            if isinstance(fact, exp.EQ) and self._item(fact.this, scope) == (
                table.alias_or_name.lower(),
                self._column,
            ):
                if (source := source_of(fact.expression)) is not None:
                    self._required.append(frozenset({source}))
                    return True
                if is_excluded(fact.expression, self._column):
                    return True
        return False

    def _assigns_well(self, assignments: Iterable[Tree], table: Tree, *, excluded: bool = False) -> bool:
        """Tell whether the organization column is assigned, if at all, the organization."""
        if table.name.lower() not in self._keys:
            return True
        for assignment in assignments:
            targets = {column.name.lower() for column in columns(assignment.this)}
            if not isinstance(assignment, exp.EQ):
                return False
            if self._column not in targets:
                continue
            source = source_of(assignment.expression)
            if source is not None and isinstance(assignment.this, exp.Column):
                self._required.append(frozenset({source}))
            elif not (excluded and is_excluded(assignment.expression, self._column)):
                return False
        return True

    def _strike(self, table: exp.Table, alternatives: Alternatives) -> None:
        if self._open.pop(id(table), None) is not None:
            self._required.append(alternatives)
