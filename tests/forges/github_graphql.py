"""The two GraphQL operations that the bot sends, checked against GitHub's schema by graphql-core."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from graphql import ExecutionResult, GraphQLError, build_schema, graphql_sync

from tests.forges.house import House
from tests.forges.server import Reply, Request


class GraphQL:
    """One schema over one house."""

    schema = build_schema(Path(__file__).with_name("github.graphql").read_text(encoding="utf-8"))

    def __init__(self, house: House) -> None:
        self.house = house

    def answer(self, request: Request, account: str) -> Reply:
        """What GitHub answers: 200, whether it went well or not."""
        root = {"viewer": {"login": account}, "createCommitOnBranch": lambda info, input: self._commit(account, input)}
        body = request.body
        done = graphql_sync(self.schema, body["query"], root, variable_values=body.get("variables"))
        return Reply(200, _told(done))

    def _commit(self, account: str, given: dict[str, Any]) -> dict[str, Any]:
        branch = given["branch"]
        repo = self.house.repos.get(branch["repositoryNameWithOwner"])
        if repo is None or branch["branchName"] not in repo.heads():
            raise _problem("NOT_FOUND", "Could not resolve to a Ref")
        if account not in repo.writers or repo.archived or branch["branchName"] in repo.protected:
            raise _problem("FORBIDDEN", f"{account} does not have permission to push to {branch['branchName']}")
        stands = repo.heads()[branch["branchName"]]
        if stands != given["expectedHeadOid"]:
            raise _problem("STALE_DATA", f"Expected branch to point to {given['expectedHeadOid']} but it did not.")
        changes = given["fileChanges"]
        files: dict[str, str | None] = {each["path"]: None for each in changes["deletions"]}
        for each in changes["additions"]:
            files[each["path"]] = base64.b64decode(each["contents"], validate=True).decode()
        message = given["message"]
        text = f"{message['headline']}\n\n{message.get('body') or ''}".strip()
        return {"commit": {"oid": repo.write(branch["branchName"], files, text)}}


def _problem(kind: str, message: str) -> GraphQLError:
    # GitHub puts the type beside the message, where graphql-core has its extensions.
    return GraphQLError(message, extensions={"type": kind})


def _told(done: ExecutionResult) -> dict[str, Any]:
    answer: dict[str, Any] = {"data": done.data}
    if done.errors:
        answer["errors"] = [{"message": error.message, **(error.extensions or {})} for error in done.errors]
    return answer
