"""Cut GitHub's published GraphQL schema down to what the bot sends.

    npm pack @octokit/graphql-schema && tar xzf octokit-graphql-schema-*.tgz
    scripts/trim_graphql.py package/schema.graphql > tests/forges/github.graphql

The schema is MIT licensed, (c) GitHub. Inputs stay whole; of objects the fields in ``FIELDS`` stay.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from graphql import parse, print_ast
from graphql.language import Visitor, ast, visit

FIELDS = {
    "Query": {"viewer"},
    "Mutation": {"createCommitOnBranch"},
    "CreateCommitOnBranchPayload": {"clientMutationId", "commit"},
    "Commit": {"oid"},
    "User": {"login"},
}


class _Bare(Visitor):
    """Drops prose, and the interfaces of objects whose fields are cut."""

    def enter(self, node: Any, *_: Any) -> Any:
        changes: dict[str, Any] = {"description": None} if getattr(node, "description", None) else {}
        if isinstance(node, ast.ObjectTypeDefinitionNode):
            fields = tuple(field for field in node.fields or () if field.name.value in FIELDS[node.name.value])
            changes |= {"interfaces": (), "directives": (), "fields": fields}
        return replace(node, **changes) if changes else None


def trim(schema: str) -> str:
    """The definitions that ``FIELDS`` and their arguments lead to."""
    definitions = {
        definition.name.value: definition
        for definition in parse(schema, no_location=True).definitions
        if isinstance(definition, ast.TypeDefinitionNode)
    }
    kept: dict[str, ast.TypeDefinitionNode] = {}
    waiting = ["Query", "Mutation"]
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in kept:
            kept[name] = visit(definitions[name], _Bare())
            waiting += _named(kept[name])
    return "\n\n".join(print_ast(kept[name]) for name in sorted(kept)) + "\n"


def _named(definition: ast.TypeDefinitionNode) -> list[str]:
    found: list[str] = []

    class Names(Visitor):
        def enter_named_type(self, node: ast.NamedTypeNode, *_: Any) -> None:
            found.append(node.name.value)

    visit(definition, Names())
    return found


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as source:
        sys.stdout.write(trim(source.read()))
