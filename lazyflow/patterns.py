r"""Patterns of the operator `matches`: the part of RE2's language that every engine reads alike, written plainly.

DuckDB and Arrow have RE2 itself (https://github.com/google/re2/wiki/Syntax), DataFusion has Rust's `regex`, others have
what they have. They agree on much less than each reads, so a pattern is read here, what they disagree on is refused
with its place, and the rest is written in the form that they have in common: `\d`, `\w` and `\s` as the ASCII
characters that RE2 means, each literal character escaped where anything could take it for more.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from lazyflow.errors import InvalidPattern

MAX_REPEATS = 1000
"""RE2 repeats nothing more often than that, repetitions in repetitions multiplied."""

MAX_SIZE = 5000
"""Characters that a pattern may stand for, repetitions counted out: what the engines compile within their bounds."""

MAX_DEPTH = 100
"""Groups in groups."""

_META = frozenset("\\.+*?()|[]{}^$")
_META_IN_CLASS = frozenset("\\[]^-&~")
_ESCAPED = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\x09\x0a\x0c\x0d "}
_OUTSIDE = {
    "D": "\\x00-/:-\U0010ffff",
    "W": "\\x00-/:-@\\[-\\^`{-\U0010ffff",
    "S": "\\x00-\\x08\\x0b\\x0e-\\x1f!-\U0010ffff",
}
"""The characters that are not in a class, as a class within brackets needs them."""

_ASSERTIONS = frozenset("Abz")
_REPEAT = re.compile(r"[*+?]|\{(\d{1,9})(?:(,)(\d{0,9}))?\}")
_FLAGS = re.compile(r"\(\?([ims]*)(?:-([ims]+))?([:)])")
_NAMED = re.compile(r"\(\?P?<([A-Za-z_]\w*)>", re.ASCII)
_NOT_EVERYWHERE = (
    (re.compile(r"\(\?<?[=!]"), "not every engine can look ahead or behind"),
    (re.compile(r"\(\?P="), "not every engine has references to groups"),
    (re.compile(r"\(\?P?<"), "a group's name is of letters, digits and _, as in (?P<name>...)"),
    (re.compile(r"\(\?"), "expected (?:...), (?P<name>...), or flags of i, m and s as in (?i) or (?i-s:...)"),
)


class _Part(NamedTuple):
    """A part of a pattern as it is written for engines.

    `size` characters are what it stands for, repetitions counted out; `repeats` how often something in it is repeated.
    """

    written: str
    size: int
    repeats: int = 1


def plain_pattern(pattern: str, where: str) -> str:
    r"""The pattern as every engine reads it.

    Parameters
    ----------
    pattern
        In RE2's language.
    where
        How an error names the place.

    Raises
    ------
    InvalidPattern
        If it is none, or has what not every engine has; `position` says where.

    Examples
    --------
    >>> plain_pattern(r"^N\d{3,}[^\W_]$", "search")
    '^N[0-9]{3,}[^\\x00-/:-@\\[-\\^`{-\U0010ffff_]$'
    >>> plain_pattern("N(?=1)", "search")
    Traceback (most recent call last):
    lazyflow.errors.InvalidPattern: search: pattern 'N(?=1)', at '(?=1)': not every engine can look ahead or behind
    """
    return _Reader(pattern, where).whole().written


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str, where: str) -> None:
        self._pattern = pattern
        self._where = where
        self._at = 0
        self._depth = 0

    def whole(self) -> _Part:
        part = self._alternatives()
        if self._at < len(self._pattern):
            self._fail(r"this closes no group; the character itself is \)")
        return part

    def _fail(self, reason: str, at: int | None = None) -> NoReturn:
        raise InvalidPattern.at(self._where, self._pattern, self._at if at is None else at, reason)

    def _next_is(self, text: str) -> bool:
        return self._pattern.startswith(text, self._at)

    def _take(self) -> str:
        if self._at >= len(self._pattern):
            self._fail("expected more")
        self._at += 1
        return self._pattern[self._at - 1]

    def _alternatives(self) -> _Part:
        """What is between brackets, or all: sequences with | between them."""
        parts = [self._sequence()]
        while self._next_is("|"):
            self._at += 1
            parts.append(self._sequence())
        return _together(parts, "|")

    def _sequence(self) -> _Part:
        parts = [_Part("", 0)]
        while self._at < len(self._pattern) and not self._next_is("|") and not self._next_is(")"):
            start = self._at
            part, repeatable = self._item()
            part = self._repeated(part, repeatable)
            if part.size > MAX_SIZE:
                self._fail(f"it stands for more than {MAX_SIZE:,} characters", start)
            parts.append(part)
        whole = _together(parts, "")
        if whole.size > MAX_SIZE:
            self._fail(f"with this it stands for more than {MAX_SIZE:,} characters", self._at - 1)
        return whole

    def _item(self) -> tuple[_Part, bool]:
        """The next item, and whether it may be repeated."""
        if self._next_is("("):
            return self._group()
        if self._next_is("["):
            return _Part(self._bracketed(), 1), True
        if _REPEAT.match(self._pattern, self._at):
            self._fail("there is nothing here to repeat")
        if self._next_is("{"):
            self._fail(r"expected a repetition such as {2} or {2,3}; the character itself is \{")
        start = self._at
        character = self._take()
        if character == "\\":
            return self._escaped(start)
        if character in "^$":
            return _Part(character, 0), False
        return _Part("." if character == "." else _literal(character), 1), True

    def _escaped(self, start: int) -> tuple[_Part, bool]:
        kind = self._pattern[self._at : self._at + 1]
        if kind and kind in _ASSERTIONS:
            self._at += 1
            return _Part(f"\\{kind}", 0), False
        if kind and kind.lower() in _CLASSES:
            self._at += 1
            negated = "^" if kind.isupper() else ""
            return _Part(f"[{negated}{_CLASSES[kind.lower()]}]", 1), True
        return _Part(_literal(self._escaped_character(start)), 1), True

    def _escaped_character(self, start: int) -> str:
        """The character that follows a backslash, or that its number says."""
        kind = self._take()
        if kind in _ESCAPED:
            return _ESCAPED[kind]
        if kind == "x":
            number = re.compile(r"\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2})").match(self._pattern, self._at)
            if number is None:
                self._fail(r"expected two hexadecimal digits, or several as in \x{1F600}", start)
            self._at = number.end()
            code = int(number[1] or number[2], 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                self._fail("there is no character of this number", start)
            return chr(code)
        if kind.isascii() and not kind.isalnum():
            return kind
        reasons = {
            "B": r"only \b is the same on every engine",
            "Z": r"the end of the text is \z, or $ without the flag m",
            "p": "not every engine knows classes of Unicode",
            "P": "not every engine knows classes of Unicode",
            "u": r"a character by its number is \x{...}",
            "0": r"a character by its number is \x00",
        }
        referred = "not every engine has references to groups" if kind in "123456789kg" else "no such escape"
        self._fail(reasons.get(kind, referred), start)

    def _group(self) -> tuple[_Part, bool]:
        start = self._at
        flags = _FLAGS.match(self._pattern, self._at)
        named = _NAMED.match(self._pattern, self._at)
        opened = "(?:"
        if flags is not None:
            self._at = flags.end()
            on, off = flags[1], flags[2] or ""
            if len(set(on + off)) < len(on + off):
                self._fail("a flag is said twice", start)
            if flags[3] == ")":
                if not on + off:
                    self._fail("expected flags", start)
                return _Part(flags[0], 0), False
            opened = flags[0]
        elif named is not None:
            self._at = named.end()
        elif self._next_is("(?"):
            self._fail(next(reason for form, reason in _NOT_EVERYWHERE if form.match(self._pattern, self._at)))
        else:
            self._at += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"groups may be {MAX_DEPTH} deep", start)
        inner = self._alternatives()
        if not self._next_is(")"):
            self._fail("this group is not closed", start)
        self._at += 1
        self._depth -= 1
        return inner._replace(written=f"{opened}{inner.written})"), True

    def _repeated(self, part: _Part, repeatable: bool) -> _Part:
        """The part with the repetition that follows it, if one does."""
        found = _REPEAT.match(self._pattern, self._at)
        if found is None:
            return part
        if not repeatable:
            self._fail("a place in the text cannot be repeated")
        least, most = 0, 1
        if found[1] is not None:
            least = int(found[1])
            most = least if found[2] is None else int(found[3]) if found[3] else least
            if found[3] and most < least:
                self._fail("the second number is below the first")
        repeats = part.repeats * max(most, 1)
        if most > MAX_REPEATS or (repeats > MAX_REPEATS and most > 1):
            self._fail(f"it is repeated more than {MAX_REPEATS:,} times, repetitions in repetitions multiplied")
        self._at = found.end()
        if self._next_is("?"):  # which of several matches is found makes no difference here
            self._at += 1
        if _REPEAT.match(self._pattern, self._at):
            self._fail("a repetition of a repetition needs a group, as in (?:a*)*")
        return _Part(part.written + found[0], part.size * max(most, 1), repeats)

    def _bracketed(self) -> str:
        """A class of characters in brackets."""
        start = self._at
        self._at += 1
        written = "["
        if self._next_is("^"):
            self._at += 1
            written += "^"
        first = True
        while first or not self._next_is("]"):
            if self._at >= len(self._pattern):
                self._fail(r"these brackets are not closed; the character itself is \[", start)
            written += self._member()
            first = False
        self._at += 1
        return written + "]"

    def _member(self) -> str:
        """One character, a range of them, or a class within brackets."""
        start = self._at
        if self._next_is("[:"):
            self._fail(r"classes by name are not the same everywhere; write them as a-z, or the bracket as \[")
        character = self._take()
        if character == "\\":
            kind = self._pattern[self._at : self._at + 1]
            if kind in _CLASSES or kind in _OUTSIDE:
                self._at += 1
                return _CLASSES.get(kind) or _OUTSIDE[kind]
            character = self._escaped_character(start)
        last = self._pattern[self._at + 1 : self._at + 2]
        if not self._next_is("-") or last in ("]", ""):
            return _literal(character, _META_IN_CLASS)
        self._at += 1
        at = self._at
        end = self._take()
        if end == "\\":
            end = self._escaped_character(at)
        elif self._pattern.startswith("[:", at):
            self._fail("a range ends with a character", at)
        if end < character:
            self._fail(f"{end!r} comes before {character!r}", start)
        return f"{_literal(character, _META_IN_CLASS)}-{_literal(end, _META_IN_CLASS)}"


def _together(parts: list[_Part], between: str) -> _Part:
    written = between.join(part.written for part in parts)
    return _Part(written, sum(part.size for part in parts), max(part.repeats for part in parts))


def _literal(character: str, meta: frozenset[str] = _META) -> str:
    if character in meta:
        return f"\\{character}"
    return f"\\x{ord(character):02x}" if ord(character) < 0x20 or ord(character) == 0x7F else character
