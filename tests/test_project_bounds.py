"""What a demand leaves: PEP 440 and Poetry's own spellings."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet

from codemods.project.bounds import Bounds, of_poetry, of_specifiers


@pytest.mark.parametrize(
    ("specifiers", "at_least_024", "older_than_024"),
    [
        (">=0.24", True, False),
        ("<0.24", False, True),
        ("<=0.24", False, False),
        (">0.24", True, False),
        ("~=0.23.5", False, True),
        ("~=0.24", True, False),
        ("==0.23.*", False, True),
        (">=0.21,<0.24", False, True),
        (">=0.24,!=0.25.0,<1", True, False),
        (">=0.21", False, False),
        ("!=0.23", False, False),
        (">=1,<0.24", False, False),
        ("", False, False),
    ],
)
def test_bounds_of_specifiers(specifiers: str, at_least_024: bool, older_than_024: bool) -> None:
    bounds = of_specifiers(SpecifierSet(specifiers))
    assert (bounds.at_least("0.24.0"), bounds.older_than("0.24.0")) == (at_least_024, older_than_024)


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("^0.23.2", ">=0.23.2,<0.24"),
        ("^1.1", ">=1.1,<2"),
        ("^0", ">=0,<1"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("~0.24", ">=0.24,<0.25"),
        ("~0.24.3", ">=0.24.3,<0.25"),
        ("~1", ">=1,<2"),
        ("~=0.24", ">=0.24,<1"),
        ("0.24.0", "==0.24.0"),
        ("=0.24.0", "==0.24.0"),
        ("0.24.*", ">=0.24,<0.25"),
        (">= 0.24 , < 1", ">=0.24,<1"),
        (">=0.24 <1", ">=0.24,<1"),
        ("^0.23,!=0.23.5", ">=0.23,<0.24"),
        ("^0.24 || ^1.0", ">=0.24,<2"),
        ("^1.0.0a1", ">=1.0.0a1,<2"),
        ("*", ""),
    ],
)
def test_bounds_of_poetry(constraint: str, expected: str) -> None:
    assert of_poetry(constraint) == of_specifiers(SpecifierSet(expected))


@pytest.mark.parametrize("constraint", ["not a version", "^", "^0.24 || newest", "?"])
def test_what_is_no_constraint_of_poetry(constraint: str) -> None:
    assert of_poetry(constraint) is None
    assert of_poetry("*") == Bounds()
