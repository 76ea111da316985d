"""Text of strangers inside of Markdown: it is shown, and it does nothing.

Paths, names and messages come out of the scanned code. In a pull request they must not mention people,
close issues, run quick actions, make links, or end the table they stand in.
"""

from __future__ import annotations

import re
import unicodedata

_JOINER = "\u2060"
"""A word joiner: takes no room, and keeps forges from reading what stands around it as a reference."""

_HARMLESS = " ./:,;()=+-" + _JOINER
_PLAIN = re.compile(r"[^\w./ +,:()=-]")


def prose(text: str) -> str:
    """A sentence for Markdown, on one line; what stands in backticks becomes code."""
    pieces = _one_line(text).split("`")
    if len(pieces) % 2 == 0:  # a backtick too many belongs to the text
        pieces[-2:] = ["`".join(pieces[-2:])]
    return "".join(_inert(piece) if number % 2 == 0 else code(piece) for number, piece in enumerate(pieces))


def code(text: str) -> str:
    """Text as it stands in the source, on one line, anywhere in Markdown."""
    line = _one_line(text)
    if line and not re.search(r"[`|<>]", line):
        return f"`{line}`"
    return f"<code>{_entities(line)}</code>"


def fence(text: str, language: str = "") -> str:
    """A block that nothing in the text can end."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    bars = "`" * (longest + 1)
    shown = "".join(char if char in "\n\t" else _visible(char) for char in text.replace("\r\n", "\n"))
    return f"{bars}{language}\n{shown.rstrip()}\n{bars}"


def plain(text: str) -> str:
    """For titles and commit messages: letters, digits and what paths are made of, nothing that refers."""
    return re.sub(r"(?i)GH-(?=\d)", "GH?", _PLAIN.sub("?", _one_line(text)))


def visible(text: str) -> str:
    """Text for a terminal: on one line, and nothing in it moves the cursor."""
    return _one_line(text)


def _inert(text: str) -> str:
    text = re.sub(r"[@#!$~%&](?=\w)|(?i:\bGH(?=-\d))", lambda match: match[0] + _JOINER, text)
    return _entities(text, "'\"")


def _entities(text: str, also: str = "") -> str:
    """Everything that could be markup, or a link, as numbered entities."""
    text = re.sub(r":(?=//)|(?<=www)\.", "\0", text)  # what makes a link out of the text around it
    shown = (char if char.isalnum() or char in _HARMLESS or char in also else f"&#{ord(char)};" for char in text)
    return "".join(shown).replace("&#0;//", "&#58;//").replace("&#0;", "&#46;")


def _one_line(text: str) -> str:
    return "".join(_visible(char) for char in " ".join(text.split()))


def _visible(char: str) -> str:
    """Control characters, among them those that turn the direction of text, as escapes."""
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return char.encode("unicode-escape").decode()
    return char
