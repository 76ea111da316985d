"""Write down as OpenAPI what Gitea's description of its API says of the operations that the bot uses.

    npm pack gitea-js@1.23.0 && tar xzf gitea-js-*.tgz
    scripts/trim_gitea.py package/dist/index.d.ts > tests/forges/gitea.openapi.json

The package carries no description, but the types that were generated from the one that Gitea publishes. Both
are MIT licensed, (c) The Gitea Authors and (c) Anbraten. What they leave out is left out here too: with which
status a success is answered.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

OPERATIONS = (
    "GET /user",
    "GET /users/{username}/repos",
    "GET /orgs/{org}/repos",
    "GET /repos/{owner}/{repo}",
    "GET /repos/{owner}/{repo}/forks",
    "POST /repos/{owner}/{repo}/forks",
    "GET /repos/{owner}/{repo}/labels",
    "GET /repos/{owner}/{repo}/pulls",
    "POST /repos/{owner}/{repo}/pulls",
    "GET /repos/{owner}/{repo}/pulls/{index}",
    "PATCH /repos/{owner}/{repo}/pulls/{index}",
    "POST /repos/{owner}/{repo}/pulls/{index}/requested_reviewers",
    "POST /repos/{owner}/{repo}/issues/{index}/labels",
    "GET /repos/{owner}/{repo}/issues/{index}/comments",
    "POST /repos/{owner}/{repo}/issues/{index}/comments",
    "DELETE /repos/{owner}/{repo}/branches/{branch}",
    "GET /repos/{owner}/{repo}/commits/{ref}/status",
)
_PROPERTY = re.compile(
    r"(?P<about>/\*\*(?:(?!\*/).)*\*/\s*)?(?P<name>[\w']+)(?P<optional>\??): (?P<type>[^;{]+);", re.DOTALL
)
_OPERATION = r"@request {method}:{path}\n(?:(?!\*/).)*\*/\s*\w+: \((?P<given>.*?)params\?: RequestParams\)" \
             r" => Promise<HttpResponse<(?P<made>[^,]+), "  # fmt: skip


def trim(types: str) -> dict[str, Any]:
    """The description: ``OPERATIONS``, and the types that they lead to."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        method, path = operation.split()
        paths.setdefault(path, {})[method.lower()] = _operation(types, method, path)
    schemas: dict[str, Any] = {}
    waiting = _references(paths)
    while waiting:
        name = waiting.pop()
        if name not in schemas:
            schemas[name] = _named(types, name)
            waiting |= _references(schemas[name])
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Gitea",
            "version": "1.23",
            "license": {
                "name": "MIT, (c) The Gitea Authors, Anbraten (gitea-js)",
                "url": "https://spdx.org/licenses/MIT",
            },
        },
        "servers": [{"url": "https://gitea.com/api/v1"}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(types: str, method: str, path: str) -> dict[str, Any]:
    pattern = _OPERATION.format(method=method, path=re.escape(path))
    found = re.search(pattern, types, re.DOTALL)
    if found is None:
        raise SystemExit(f"{method} {path} is not there any more")
    given, made = found["given"], found["made"].strip()
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if name == "index" else "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    if query := re.search(r"query\?: \{(.*?)\n\s*\}", given, re.DOTALL):
        fields = _fields(query[1])
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]
    operation: dict[str, Any] = {"parameters": parameters, "responses": {"2XX": {"description": ""}}}
    if body := re.search(r"body: (\w+)", given):
        operation["requestBody"] = {"content": {"application/json": {"schema": _type(body[1], "")}}}
    if made not in ("any", "void"):
        operation["responses"]["2XX"]["content"] = {"application/json": {"schema": _type(made, "")}}
    return operation


def _named(types: str, name: str) -> dict[str, Any]:
    if alias := re.search(rf"^type {name} = (.+);$", types, re.MULTILINE):
        return _type(alias[1], "")
    found = re.search(rf"^interface {name} \{{(.*?)^\}}", types, re.DOTALL | re.MULTILINE)
    if found is None:
        raise SystemExit(f"{name} is not there any more")
    required = [match["name"] for match in _PROPERTY.finditer(found[1]) if not match["optional"]]
    schema = {"type": "object", "properties": _fields(found[1])}
    return {**schema, "required": required} if required else schema


def _fields(text: str) -> dict[str, Any]:
    return {match["name"].strip("'"): _type(match["type"], match["about"] or "") for match in _PROPERTY.finditer(text)}


def _type(text: str, about: str) -> dict[str, Any]:
    """A schema out of a type, and of the comment in front of it, which knows the format of numbers and dates."""
    text = text.strip()
    if text.endswith("[]"):
        return {"type": "array", "items": _type(text[:-2].strip("()"), "")}
    if choices := re.findall(r"'([^']*)'", text):
        return {"type": "string", "enum": choices}
    if text == "number":
        return {"type": "integer" if "@format int" in about or "@min" in about or "Page size" in about else "number"}
    if text == "string" and "@format date-time" in about:
        return {"type": "string", "format": "date-time"}
    if text in ("string", "boolean"):
        return {"type": text}
    if text in ("any", "object", "File") or text.startswith("Record<"):
        return {}
    return {"$ref": f"#/components/schemas/{text}"}


def _references(node: Any) -> set[str]:
    return set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(node)))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as source:
        json.dump(trim(source.read()), sys.stdout, separators=(",", ":"), sort_keys=True)
    print()
