"""Holds requests and answers to a published OpenAPI description.

Stricter than the description in one way: it mostly allows properties and parameters that it does not
name, and a misspelt one would pass; here it does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from tests.forges.server import Reply, Request


class Breach(Exception):
    """A request or an answer that the description does not allow."""


class Contract:
    """One API. Paths are relative to its root."""

    def __init__(self, description: Path, *, null: Sequence[str] = ()) -> None:
        """``null`` names properties, ``schema/name/...``, that the forge sends null for, whatever it says."""
        self.spec = json.loads(description.read_text(encoding="utf-8"))
        for each in null:
            self._let_be_null(*each.split("/"))
        _let_nullable_be_null(self.spec)
        self._openapi = OpenAPI.from_dict(self.spec)
        server = urlsplit(self.spec["servers"][0]["url"])
        self._host, self._root = f"{server.scheme}://{server.netloc}", server.path
        self._patterns = {template: _pattern(template) for template in self.spec["paths"]}

    def _let_be_null(self, schema: str, *names: str) -> None:
        node = self.spec["components"]["schemas"][schema]
        for name in names[:-1]:
            node = self.resolve(node["properties"][name])
        properties = node["properties"]
        properties[names[-1]] = {**self.resolve(properties[names[-1]]), "nullable": True}

    def find(self, method: str, path: str) -> tuple[str, dict[str, str]]:
        """The template of a path and its parameters. Raises Breach."""
        for template, pattern in self._patterns.items():
            match = pattern.fullmatch(path)
            if match and method.lower() in self.spec["paths"][template]:
                return template, {name: unquote(value) for name, value in match.groupdict().items()}
        raise Breach(f"no such operation: {method} {path}")

    def check_request(self, request: Request) -> None:
        """Raises Breach."""
        template, parameters = self.find(request.method, request.path)
        operation = self.spec["paths"][template][request.method.lower()]
        known = {self.resolve(each)["name"] for each in operation.get("parameters", ())}
        if strange := request.query.keys() - known:
            raise Breach(f"{request.method} {template} knows no parameter {sorted(strange)}")
        if request.body is not None:
            content = self.resolve(operation.get("requestBody", {})).get("content", {})
            allowed = self._properties(content.get("application/json", {}).get("schema", {}))
            if isinstance(request.body, dict) and (strange := request.body.keys() - allowed):
                raise Breach(f"{request.method} {template} knows no property {sorted(strange)}")
        try:
            self._openapi.validate_request(self._mock(request, template, parameters))
        except Exception as error:
            raise Breach(f"{request.method} {request.path}: {error!r} {error.__cause__!r}") from error

    def check_reply(self, request: Request, reply: Reply) -> None:
        """Raises Breach. Statuses that the description leaves out have to say no in the basic shape."""
        template, parameters = self.find(request.method, request.path)
        described = self.spec["paths"][template][request.method.lower()]["responses"]
        if not {str(reply.status), f"{reply.status // 100}XX"} & described.keys():
            words = isinstance(reply.body, dict) and "message" in reply.body
            if not (words or (300 <= reply.status < 400 and "Location" in reply.headers)):
                raise Breach(f"{request.method} {template} does not answer {reply.status}")
            return
        data = b"" if reply.body is None else json.dumps(reply.body).encode()
        try:
            self._openapi.validate_response(
                self._mock(request, template, parameters), MockResponse(data, reply.status, reply.headers)
            )
        except Exception as error:
            raise Breach(f"{reply.status} to {request.method} {template}: {error!r} {error.__cause__!r}") from error

    def _mock(self, request: Request, template: str, parameters: dict[str, str]) -> MockRequest:
        path = re.sub(r"\{(\w+)\}", lambda found: quote(parameters[found[1]], safe=""), template)
        data = None if request.body is None else json.dumps(request.body).encode()
        path = self._root + path
        return MockRequest(self._host, request.method, path, view_args=parameters, args=request.query, data=data)

    def schema(self, method: str, template: str, status: int) -> dict[str, Any]:
        """Of the JSON that an operation answers with."""
        response = self.resolve(self.spec["paths"][template][method.lower()]["responses"][str(status)])
        schema: dict[str, Any] = response["content"]["application/json"]["schema"]
        return schema

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """What a reference refers to."""
        while "$ref" in node:
            _, _, kind, name = node["$ref"].split("/")
            node = self.spec["components"][kind][name]
        return node

    def _properties(self, schema: dict[str, Any]) -> set[str]:
        schema = self.resolve(schema)
        own = set(schema.get("properties", ()))
        return own.union(*(self._properties(part) for kind in _MIXED for part in schema.get(kind, ())))

    def filled(self, schema: dict[str, Any], given: Any = ...) -> Any:
        """An instance of a schema: ``given``, completed by the least that the schema requires."""
        schema = self.resolve(schema)
        if "allOf" in schema:
            merged: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
            for part in map(self.resolve, schema["allOf"]):
                merged["properties"].update(part.get("properties", {}))
                merged["required"] += part.get("required", [])
            schema = merged
        for kind in ("anyOf", "oneOf"):
            if kind in schema:
                schema = self.resolve(schema[kind][0])
        if given is None or (given is ... and schema.get("nullable")):
            return None
        if schema.get("type") == "object" or "properties" in schema:
            return self._object(schema, {} if given is ... else given)
        if schema.get("type") == "array":
            return [self.filled(schema["items"], each) for each in ([] if given is ... else given)]
        return _scalar(schema) if given is ... else given

    def _object(self, schema: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties", {})
        if strange := given.keys() - properties.keys():
            raise Breach(f"the double gives {sorted(strange)}, which the schema does not name")
        names = [*given, *(name for name in schema.get("required", ()) if name not in given)]
        return {name: self.filled(properties[name], given.get(name, ...)) for name in names}


def _let_nullable_be_null(node: Any) -> None:
    """OpenAPI 3.0.3 wants null in the enum as well; GitHub's description leaves it out and GitHub sends it."""
    if isinstance(node, dict):
        if node.get("nullable") is True and isinstance(node.get("enum"), list) and None not in node["enum"]:
            node["enum"].append(None)
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            _let_nullable_be_null(each)


_MIXED = ("allOf", "anyOf", "oneOf")


def _pattern(template: str) -> re.Pattern[str]:
    """A git reference at the end may hold slashes."""
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
    return re.compile(re.sub(r"\(\?P<(ref|branch)>\[\^/\]\+\)$", r"(?P<\1>.+)", pattern))


def _scalar(schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    formats = {"date-time": "2026-01-01T00:00:00Z", "uri": "https://example.org/x", "email": "a@example.org"}
    kinds = {"string": "x", "integer": 1, "number": 1, "boolean": False}
    return formats.get(schema.get("format", "")) or kinds[schema["type"]]
