"""Cut GitHub's published API description down to the operations that the bot uses.

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    scripts/trim_openapi.py package/generated/api.github.com.json > tests/forges/github.openapi.json

The description is MIT licensed, (c) Octokit contributors. What is cut: other operations, prose and
examples. What stays, stays as it was published: the tests hold the adapter and the double to it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

OPERATIONS = (
    "GET /user",
    "GET /user/repos",
    "GET /orgs/{org}/repos",
    "GET /users/{username}/repos",
    "GET /repos/{owner}/{repo}",
    "GET /repos/{owner}/{repo}/branches/{branch}",
    "POST /repos/{owner}/{repo}/forks",
    "GET /repos/{owner}/{repo}/pulls",
    "POST /repos/{owner}/{repo}/pulls",
    "PATCH /repos/{owner}/{repo}/pulls/{pull_number}",
    "POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
    "GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/labels",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/assignees",
    "DELETE /repos/{owner}/{repo}/git/refs/{ref}",
    "GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
    "GET /repos/{owner}/{repo}/commits/{ref}/status",
    "GET /orgs/{org}/installation",
    "GET /users/{username}/installation",
    "POST /app/installations/{installation_id}/access_tokens",
)
PROSE = frozenset({"description", "summary", "title", "example", "examples", "externalDocs", "x-github"})


def trim(description: dict[str, Any]) -> dict[str, Any]:
    """The same description with ``OPERATIONS`` and what they refer to."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        method, path = operation.split()
        paths.setdefault(path, {})[method.lower()] = _without_prose(description["paths"][path][method.lower()])
    kept: dict[str, Any] = {
        "openapi": description["openapi"],
        "info": {
            "title": description["info"]["title"],
            "version": description["info"]["version"],
            "license": {"name": "MIT, (c) Octokit contributors", "url": "https://spdx.org/licenses/MIT"},
        },
        "servers": description["servers"],
        "paths": paths,
        "components": {},
    }
    waiting = list(_references(paths))
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        shelf = kept["components"].setdefault(kind, {})
        if name not in shelf:
            shelf[name] = _without_prose(description["components"][kind][name])
            waiting += _references(shelf[name])
    return kept


def _without_prose(node: Any, *, names: bool = False) -> Any:
    """``names``: the keys of this mapping are somebody's property names, not the format's words."""
    if isinstance(node, dict):
        return {
            key: "" if key == "description" and not names else _without_prose(value, names=key == "properties")
            for key, value in node.items()
            if names or key not in PROSE or _required(key, node)
        }
    if isinstance(node, list):
        return [_without_prose(each) for each in node]
    return node


def _required(key: str, node: dict[str, Any]) -> bool:
    """A response must have a description; it alone has these neighbours."""
    return key == "description" and not node.keys() & {"type", "$ref", "in", "properties", "allOf", "anyOf", "oneOf"}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as source:
        json.dump(trim(json.load(source)), sys.stdout, separators=(",", ":"), sort_keys=True)
    print()
