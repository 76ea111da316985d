"""The options of ``loopmend pr``, and the policy that they describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from codemods.bot.policy import Policy

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

WHERE = [
    click.option("--repo", metavar="URL", help="One repository: a URL, or owner/name. Default: where you are."),
    click.option("--repos", type=click.Path(path_type=Path), metavar="FILE", help="The repositories of a TOML file."),
    click.option("--org", metavar="NAME", help="Every repository of an organisation, a group or a user."),
    click.option(
        "--host",
        default="github.com",
        metavar="HOST",
        help="Where --org, and a plain owner/name, are.",
    ),
    click.option("--forge", metavar="KIND", help="What runs there: github, gitlab, gitea."),
    click.option(
        "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="The token, if not in the environment."
    ),
    click.option("--output-format", type=click.Choice(["text", "json"]), default="text", help="How rows are printed."),
    click.option("-q", "--quiet", is_flag=True, help="No summary."),
]

WHAT = [
    click.option("-n", "--dry-run", is_flag=True, help="Print the plan and all texts, touch nothing."),
    click.option("--select", multiple=True, metavar="CODES", help="Rules to run, whatever the repository selects."),
    click.option("--ignore", multiple=True, metavar="CODES", help="Rules not to run, besides those it ignores."),
    click.option(
        "--unsafe-fixes/--no-unsafe-fixes", default=None, help="Drafts for fixes that may change behaviour, too."
    ),
    click.option("--group-by", metavar="HOW", help="What shares a pull request: rule, directory[:N], codeowners."),
    click.option("--base", metavar="BRANCH", help="The branch to work against. Default: the default branch."),
    click.option("--max-open", type=click.IntRange(0), metavar="N", help="Open pull requests per repository (3)."),
    click.option("--max-files", type=click.IntRange(1), metavar="N", help="Files in one pull request (20)."),
    click.option("--per-hour", type=click.IntRange(0), metavar="N", help="Pull requests opened in an hour (10)."),
    click.option("--label", "labels", multiple=True, metavar="NAME", help="A label for each pull request."),
    click.option("--reviewer", "reviewers", multiple=True, metavar="NAME", help="Whom to ask for a review."),
    click.option("--assignee", "assignees", multiple=True, metavar="NAME", help="Whom to assign."),
    click.option("--draft", is_flag=True, default=None, help="Open all of them as drafts."),
    click.option("--fork", is_flag=True, default=None, help="Work in a fork even where the token may push."),
    click.option(
        "--verify", metavar="CMD", help="Run this before and after the change. It RUNS THE REPOSITORY'S CODE."
    ),
    click.option(
        "--verify-seconds", type=click.FloatRange(1), metavar="S", help="Time limit for each run of it (600)."
    ),
    click.option("--pages", metavar="URL", help="Where docs/rules is on the web, for links instead of quotes."),
    click.option(
        "--api-commits/--git-commits", default=None, help="Let the forge make the commits (GitHub: verified)."
    ),
    click.option("--seconds", type=click.FloatRange(1), metavar="S", help="Time limit for git, and for a look (300)."),
    click.option("--first", type=click.IntRange(0), default=0, metavar="N", help="N first; the rest when N are green."),
    click.option("--journal", type=click.Path(path_type=Path), metavar="FILE", help="Where a long run remembers."),
    click.option("-j", "--jobs", type=click.IntRange(1), default=4, metavar="N", help="Repositories at a time (4)."),
]


def with_options(*groups: list[Any]) -> Callable[[CommandT], CommandT]:
    """Decorates a command with all options of the groups."""

    def add(command: CommandT) -> CommandT:
        for group in groups:
            for option in reversed(group):
                command = option(command)
        return command

    return add


def policy_of(options: dict[str, Any]) -> Policy:
    """The policy that the options describe; what was not given keeps its default."""
    from codemods.bot.fleet_file import grouped
    from codemods.bot.policy import Policy

    for name in ("select", "ignore"):
        options[name] = tuple(word.strip() for text in options[name] for word in text.split(",") if word.strip())
    group_by = options.pop("group_by")
    policy = Policy(**{name: value for name, value in options.items() if value is not None})
    return grouped(policy, group_by) if group_by else policy
