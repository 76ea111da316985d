"""Which rules run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codemods.engine.settings import Settings, SettingsError, suggestion
from codemods.rules.index import Entry


def chosen(rules: Sequence[Entry], settings: Settings) -> tuple[Entry, ...]:
    """The rules that the settings select.

    A selector is a code, a prefix of codes such as ``LM2``, a name, or ``ALL``. The longer selector
    wins; of two that are equally long, the one that ignores.
    Raises SettingsError for a selector that fits no rule.
    """
    wanted = [*settings.select, *settings.extend_select]
    for selector in [*wanted, *settings.ignore]:
        if not any(weight(selector, rule) for rule in rules):
            known = ["ALL", *(rule.code for rule in rules), *(rule.name for rule in rules)]
            raise SettingsError(f"no rule is called {selector!r}{suggestion(selector, known)}")
    return tuple(rule for rule in rules if _best(wanted, rule) > _best(settings.ignore, rule))


def weight(selector: str, rule: Entry) -> int:
    """How exactly a selector names a rule; 0 when it does not."""
    selector = selector.strip()
    if selector.upper() == "ALL":
        return 1
    if selector.lower() == rule.name:
        return len(rule.code)
    return len(selector) if len(selector) > 1 and rule.code.startswith(selector.upper()) else 0


def _best(selectors: Iterable[str], rule: Entry) -> int:
    return max((weight(selector, rule) for selector in selectors), default=0)
