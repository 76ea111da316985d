"""What a pull request says: why, what changes in each place, what was left, and how to say no."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from codemods.bot import marker as markers
from codemods.bot.escape import code, fence, plain, prose
from codemods.bot.marker import Marker
from codemods.bot.policy import GroupBy, Policy
from codemods.bot.proposal import Proposal, reason
from codemods.bot.verify import Verified
from codemods.engine.results import Entry
from codemods.model import Safety
from codemods.rules.registry import find, page

LIMIT = 60_000
"""GitHub takes 65,536 characters, the others more."""
_MANY_IDS = 8
_MANY_LEFT = 25
_MUCH = 2000
"""Characters of paths in a command that somebody may want to copy."""


def title(proposal: Proposal) -> str:
    """One line: which rule, how much, and where."""
    places, files = count(len(proposal.mended), "place"), count(len(proposal.changes), "file")
    scope = proposal.scope
    if scope.by is GroupBy.RULE:
        rule = find(scope.name)
        return f"{scope.name} {rule.name if rule else ''}: mend {places} in {files}"
    where = plain(scope.name or "the top folder") if scope.by is GroupBy.DIRECTORY else "the code of one team"
    return f"Event loop hygiene in {where}: mend {places} in {files}"


def message(proposal: Proposal, tree: str) -> str:
    """The commit message. Its last line lets the bot know its own commit again, whatever became of the branch."""
    rows = "".join(f"- {_where(entry)}: {_title(entry)}\n" for entry in proposal.mended[:50])
    why = " ".join(_why(entry.finding.code) for entry in _first_of_each_rule(proposal.mended))
    return f"{title(proposal)}\n\n{_wrapped(why)}\n\n{rows}\nLoopmend-Tree: {tree}\n"


def made_by_us(tree: str, commit_message: str) -> bool:
    """Whether a commit is one of the bot's, as it made it: its message names its own tree."""
    return commit_message.rstrip().endswith(f"Loopmend-Tree: {tree}")


def body(proposal: Proposal, head: str, policy: Policy, verified: Verified | None = None) -> str:
    """The description, no longer than a forge takes."""
    files = frozenset(markers.short(entry.finding.path) for entry in proposal.mended)
    mark = Marker(proposal.scope, proposal.ids, files, head, proposal.digest, markers.short(title(proposal))).render()
    rules = _first_of_each_rule(proposal.mended)
    before = [mark, *(_reasoning(entry, policy) for entry in rules)]
    after = [_by_hand(proposal), _how_to_say_no(rules), *(_page(entry) for entry in rules if not policy.pages)]
    if verified:
        after.insert(0, _verification(verified))
    if proposal.choice.waiting:
        after.insert(0, f"{count(proposal.choice.waiting, 'more finding')} in other files will follow, lest this"
                        " becomes too much to read.")  # fmt: skip
    room = LIMIT - sum(len(part) + 2 for part in [*before, *after])
    table = _table(proposal.mended, policy, room * 2 // 3)
    left = _left(proposal.others, room - len(table) - 4)
    return "\n\n".join(part for part in [*before, table, left, *after] if part) + "\n"


def comment(proposal: Proposal) -> str:
    """What is said on a pull request that somebody else has committed to."""
    command = _apply_command(proposal)
    head = (
        f"{markers.told(proposal.ids)}\n\nSomebody has committed to this branch, so the bot keeps its hands off it."
        " Since then something new was found; this is what would be mended now, from the base branch:\n\n"
    )
    tail = f"\n\nBy hand:\n\n{fence(command, 'console')}\n"
    room = LIMIT - len(head) - len(tail) - 100
    patch = proposal.patch
    if len(fence(patch, "diff")) > room:
        return head + "(the patch is too long to be shown here)" + tail
    return head + fence(patch, "diff") + tail


def closing(why: str) -> str:
    """What is said when the bot closes its own pull request."""
    return f"Closed by the bot: {why}."


def count(number: int, noun: str) -> str:
    """``1 place``, ``2 places``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


# -- parts ------------------------------------------------------------------------------------


def _reasoning(entry: Entry, policy: Policy) -> str:
    finding = entry.finding
    rule = find(finding.code)
    if rule is None:
        return ""
    name = f"{rule.code} {rule.name}"
    linked = f"[{name}]({policy.pages.rstrip('/')}/{rule.code}.md)" if policy.pages else name
    return f"**{linked}** {page(rule).summary}\n\n{_why(rule.code)}"


def _why(rule_code: str) -> str:
    """The first two sentences of what a rule says of its reasons."""
    rule = find(rule_code)
    text = " ".join(page(rule).sections["Why it breaks"].split()) if rule else ""
    return " ".join(re.split(r"(?<=[.!?])\s+(?=[A-Z`])", text)[:2])


def _table(entries: Sequence[Entry], policy: Policy, room: int) -> str:
    head = "| where | at run time today | what changes | safety |\n|---|---|---|---|\n"
    rows: list[str] = []
    for number, entry in enumerate(entries):
        row = "| " + " | ".join(_cells(entry, policy)) + " |\n"
        if len(head) + sum(map(len, rows)) + len(row) > room:
            return head + "".join(rows) + f"\n... and {count(len(entries) - number, 'more place')}."
        rows.append(row)
    return (head + "".join(rows)).rstrip()


def _cells(entry: Entry, policy: Policy) -> tuple[str, str, str, str]:
    finding, rewrite = entry.finding, entry.finding.rewrite
    rule = f"[{finding.code}]({policy.pages.rstrip('/')}/{finding.code}.md)" if policy.pages else finding.code
    safety = "safe"
    if rewrite and rewrite.safety is Safety.UNSAFE:
        safety = "**unsafe**" + (f": {prose(rewrite.why_unsafe)}" if rewrite.why_unsafe else "")
    return f"{code(_place(entry))} {rule}", prose(finding.message), prose(rewrite.title if rewrite else ""), safety


def _left(entries: Sequence[Entry], room: int) -> str:
    if not entries:
        return ""
    head = f"<details><summary>Found and left alone: {len(entries)}</summary>\n\n"
    tail = "\n</details>"
    rows: list[str] = []
    for number, entry in enumerate(entries):
        row = f"- {code(_place(entry))} {entry.finding.code}: {prose(reason(entry))}\n"
        if number == _MANY_LEFT or len(head) + len(tail) + sum(map(len, rows)) + len(row) + 40 > room:
            rows.append(f"- and {len(entries) - number} more\n")
            break
        rows.append(row)
    return head + "".join(rows) + tail


def _by_hand(proposal: Proposal) -> str:
    who = "Made by loopmend, which looks for the causes of `RuntimeError: Event loop is closed`. The same by hand:"
    return f"### By hand\n\n{who}\n\n" + fence(f"pip install loopmend\n{_apply_command(proposal)}", "console")


def _apply_command(proposal: Proposal) -> str:
    unsafe = ["--unsafe-fixes"] if proposal.scope.unsafe else []
    ids = sorted(proposal.ids)
    if len(ids) <= _MANY_IDS:
        chosen = [f"--fix={id_}" for id_ in ids]
    else:
        codes = ",".join(sorted({entry.finding.code for entry in proposal.mended}))
        chosen = [f"--select={codes}"]
        if sum(map(len, proposal.changes)) < _MUCH:
            chosen += ["--", *sorted(proposal.changes)]
    return shlex.join(["loopmend", "apply", *unsafe, *chosen])


def _how_to_say_no(rules: Sequence[Entry]) -> str:
    codes = [entry.finding.code for entry in rules]
    listed = ", ".join(f'"{each}"' for each in codes)
    return (
        "### How to say no\n\n"
        "- To all of this: close the pull request. These findings are not proposed again; reopening takes it back.\n"
        f"- To one place: a comment on the line, `# loopmend: ignore[{codes[0]}] the reason`.\n"
        f"- To the rule: `ignore = [{listed}]` below `[tool.loopmend]` in `pyproject.toml`.\n"
        "- To the way it is done: commit to this branch. From then on the bot keeps its hands off it."
    )


def _page(entry: Entry) -> str:
    rule = find(entry.finding.code)
    if rule is None:
        return ""
    parts = [f"#### {name}\n\n{text}" for name, text in page(rule).sections.items()]
    return f"<details><summary>The page of {rule.code} {rule.name}</summary>\n\n" + "\n\n".join(parts) + "\n</details>"


def _verification(verified: Verified) -> str:
    parts = [f"### Verified\n\n{fence(verified.command, 'console')}"]
    for when, result in (("Before", verified.before), ("After", verified.after)):
        shown = f"<details><summary>{when}: {result.summary}</summary>\n\n{fence(result.output)}\n</details>"
        parts.append(shown)
    return "\n\n".join(parts)


def _place(entry: Entry) -> str:
    return f"{entry.finding.path}:{entry.finding.span.first}"


def _where(entry: Entry) -> str:
    return f"{entry.finding.code} {plain(_place(entry))}"


def _title(entry: Entry) -> str:
    return plain(entry.finding.rewrite.title.replace("`", "")) if entry.finding.rewrite else ""


def _first_of_each_rule(entries: Sequence[Entry]) -> list[Entry]:
    return list({entry.finding.code: entry for entry in reversed(entries)}.values())[::-1]


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 76, break_long_words=False, break_on_hyphens=False)
