"""A user's own grammar as the syntax: lark's phrases, read as dependency trees.

The grammar is of the kind that :mod:`nsr.syntax.phrases` writes. An alternative that has a word of its own, its head,
is a ``word`` or a ``literal``; words whose terminals begin with ``_`` mean nothing and depend on the head. An
alternative without a word of its own is one phrase, perhaps among words that mean nothing, and has its head.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lark import Lark, Token
from lark.grammar import Rule
from lark.lexer import PatternStr

from nsr.errors import DataError, InputError
from nsr.files import read_given
from nsr.gss import ROOT
from nsr.semantics.lexicon import MAX_DEPENDENTS
from nsr.syntax.grammar import Tokens, check, choice_left, readings, summary
from nsr.syntax.patterns import MAX_STATES, PatternError, pattern

SUFFIX = ".lark"
HEADED = ("word", "literal")  # aliases of alternatives with a head
SECONDS, MEMORY = 20, 2**31  # of processor time and bytes: what reading a grammar may take
WAIT = 10  # times as long, at most: a machine may be busy

# Some small grammars are huge when they are spelled out, so they are tried where that does no harm.
_TRIAL = f"""
import resource, sys
sys.path[:] = sys.argv[2:]
from contextlib import suppress
from lark import Lark
for limit, most in ((resource.RLIMIT_AS, {MEMORY}), (resource.RLIMIT_CPU, int(sys.argv[1]))):
    with suppress(ValueError, OSError):
        resource.setrlimit(limit, (most, most))
text = sys.stdin.buffer.read().decode()
try:
    Lark(text, parser="lalr", maybe_placeholders=False)
except MemoryError:
    raise
except Exception:
    pass
print("done")
"""


@dataclass(frozen=True)
class OwnSyntax:
    """A grammar that gives sentences their trees.

    Attributes:
        name: of its file, for messages.
        text: of its file.
        grammar: that lark made of it.
    """

    name: str
    text: str
    grammar: Lark

    @classmethod
    def of(cls, text: str, name: str) -> OwnSyntax:
        """The grammar with this text.

        Raises:
            DataError: lark cannot read it, it leaves a choice, or a phrase has no head or several; the message says
                where, if lark does.
        """
        if found := re.search(r"%import\b(?!\s+common\b)", text):
            raise _fault(text, name, found.end(), "only common can be imported; write the other rules into this file")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # as of patterns that will mean something else one day
                grammar = Lark(text, parser="lalr", keep_all_tokens=True, maybe_placeholders=False)
        except Exception as error:  # besides its own ones, lark lets errors of Python through
            raise _unreadable(text, name, error) from None
        made = cls(name, text, grammar)
        made._require_heads()
        made._require_patterns()
        if choice := choice_left(grammar):
            raise DataError(f"{name} leaves a choice, so trees would be a matter of chance: {choice}")
        return made

    @classmethod
    def read(cls, path: str, sha256: str) -> OwnSyntax:
        """The grammar of a file that must have this sha256.

        Raises:
            DataError: as of :meth:`tried`; or the file cannot be read or is another one.
        """
        content = read_given(path)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataError(f"{path} is not the file of this run, its sha256 differs")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8 text") from None
        return cls.tried(text, path)

    @classmethod
    def tried(cls, text: str, name: str) -> OwnSyntax:
        """As :meth:`of`, of a text that nobody vouches for.

        Raises:
            DataError: as of :meth:`of`; or reading it takes too long.
        """
        _try(text, name)
        return cls.of(text, name)

    def heads(self, tokens: Tokens) -> tuple[int, ...]:
        """The head of each word of a sentence, ROOT for the root.

        Raises:
            InputError: the sentence is not in the language, or a word has too many dependents.
        """
        heads = [ROOT] * len(tokens)
        head_of: dict[int, int] = {}  # of each phrase
        for phrase in check(self.grammar, tokens).iter_subtrees():
            words = [each for each in phrase.children if isinstance(each, Token)]
            own = [_place(each) for each in words if not _idle(each.type)]
            phrases = [head_of[id(each)] for each in phrase.children if not isinstance(each, Token)]
            head = head_of[id(phrase)] = (own or phrases)[0]
            for place in [*phrases, *map(_place, words)]:
                if place != head:
                    heads[place] = head
        head, most = Counter(heads).most_common(1)[0]
        if most > MAX_DEPENDENTS:
            raise InputError(f"{tokens[head]!r} has more than {MAX_DEPENDENTS} dependents")
        return tuple(heads)

    def require(self, inputs: Iterable[tuple[Tokens, Tokens]], separators: Iterable[str]) -> None:
        """Refuse a grammar that does not fit what is to be learned from.

        Args:
            inputs: sentences, and the names of the symbols that their words are.
            separators: the words that were declared meaningless.

        Raises:
            InputError: it does not parse a sentence, or has a word that means nothing but was not declared.
        """
        declared = set(separators)
        words: set[str] = set()
        for sentence, symbols in inputs:
            try:
                self.heads(symbols)
            except InputError as error:
                shown = " ".join(sentence)
                raise InputError(f"{self.name} does not parse the training input {shown!r}: {error}") from None
            words.update(symbols)
        idle = {word for word in words if all(map(_idle, readings(self.grammar, word)))}
        if not idle <= declared:
            raise InputError(
                f"{min(idle - declared)!r} means nothing by {self.name}, as its terminal begins with _; add "
                f"--separators {' '.join(sorted(idle | declared))!r} --between false"
            )

    def _require_heads(self) -> None:
        """Refuse alternatives without a head, or with several."""
        for rule in self.grammar.rules:
            name = str(rule.origin.name)
            if reason := _headless(name, rule):
                shown = re.sub(r"^__(.+)_(star|plus)_\d+$", r"\1", name)  # what lark makes of repetitions
                reason = f"an alternative of {shown!r} {reason}"
                found = re.search(rf"^[ \t]*[?!]*{re.escape(shown)}\b", self.text, re.M)
                if not found:
                    raise DataError(f"{self.name}: {reason}")
                raise _fault(self.text, self.name, found.end() - len(shown), reason)

    def _require_patterns(self) -> None:
        """Refuse patterns that cannot be matched in bounded time."""
        states = 0
        for terminal in self.grammar.terminals:
            if isinstance(terminal.pattern, PatternStr):
                continue
            try:
                states += pattern(terminal.pattern.to_regexp()).states
                if states > MAX_STATES:
                    raise PatternError("is one pattern too many; together they repeat too much")
            except PatternError as error:
                reason = f"the pattern of {terminal.name} {error}"
                found = re.search(rf"^{re.escape(terminal.name)}\b", self.text, re.M)  # where it is defined
                if not found:
                    raise DataError(f"{self.name}: {reason}") from None
                raise _fault(self.text, self.name, found.start(), reason) from None


def _place(word: Token) -> int:
    """The index of a word in its sentence."""
    return word.start_pos or 0


def _idle(terminal: str) -> bool:
    """Whether the words of a terminal mean nothing."""
    return terminal.startswith("_") and not terminal.startswith("__ANON")  # lark's name for what has no name


def _headless(name: str, rule: Rule) -> str:
    """Why an alternative of a rule of this name has no head, "" if it has one."""
    own = [each.name for each in rule.expansion if each.is_term and not _idle(each.name)]
    phrases = [each.name for each in rule.expansion if not each.is_term]
    if name.startswith("_"):  # a part of others
        return f"has a word of its own, {own[0]}; only whole phrases can be optional, repeated or shared" if own else ""
    if len(own) > 1:
        return f"has {len(own)} words of its own, {' and '.join(own)}; all but its head must be phrases of their own"
    if own:
        return "" if rule.alias in HEADED else f"has a word of its own, {own[0]}, but no '-> word' behind it"
    if len(phrases) != 1 or phrases[0].startswith("_"):
        return "has no word of its own and is not one phrase"
    return ""


def _try(text: str, name: str) -> None:
    """Refuse a grammar that takes too much time or memory, after having it read by another process."""
    command = [sys.executable, "-I", "-c", _TRIAL, str(SECONDS), *sys.path]
    wait = WAIT * SECONDS
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=wait, check=False).stdout
    except subprocess.TimeoutExpired:
        done = b""
    if done != b"done\n":
        raise DataError(
            f"{name} takes more than {SECONDS} seconds or {MEMORY >> 30} GB to read; it is too large, or has too many "
            "optional parts"
        )


def _unreadable(text: str, name: str, error: Exception) -> DataError:
    """What is wrong with a grammar, and where."""
    reason = summary(error)
    if "collision" in reason:
        return DataError(f"{name} leaves a choice, so trees would be a matter of chance: {reason}")
    if "NonTerminal('start')" in reason:
        return DataError(f"{name}: there is no rule 'start', which all sentences begin with")
    if found := re.search(r" at line (\d+),? column (\d+)( in <string>:)?", reason):
        return DataError(f"{name}: line {found[1]}, column {found[2]}: {reason.replace(found[0], '')}")
    reason = re.sub(r"^\('(.*?)', SyntaxError.*", r"'\1' has a wrong escape", reason).replace("\\\\", "\\")
    for each in re.findall(r"token (\w+)", reason) + re.findall(r"'([^']+)'", reason):
        if found := re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text):
            return _fault(text, name, found.start(), reason)
    return DataError(f"{name}: {reason}")


def _fault(text: str, name: str, index: int, reason: str) -> DataError:
    """An error at a place of the text."""
    before = text[:index].split("\n")
    return DataError(f"{name}: line {len(before)}, column {len(before[-1]) + 1}: {reason}")
