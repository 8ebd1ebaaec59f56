"""Grammars as data: what lark does for input languages.

One file in ``grammars/`` is a whole input language. It checks what a user types (:func:`check`), and where
the language is finite it generates it, each sentence with its value (:func:`language`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from importlib import resources
from itertools import chain, product
from typing import Any

from lark import Lark, Token, Tree
from lark.common import ParserConf
from lark.exceptions import LarkError, UnexpectedToken
from lark.grammar import NonTerminal, Symbol
from lark.lexer import PatternStr, TerminalDef
from lark.parse_tree_builder import ParseTreeBuilder
from lark.parsers.lalr_analysis import LALR_Analyzer
from lark.parsers.lalr_interactive_parser import InteractiveParser

from nsr.errors import InputError
from nsr.syntax.patterns import PatternError, pattern

Tokens = tuple[str, ...]
END = "$END"  # lark's name for the end of the input


@cache
def load_grammar(name: str, start: str | tuple[str, ...] = "start") -> Lark:
    """The LALR(1) parser of ``grammars/NAME.lark``; its trees know the positions of their text."""
    text = (resources.files("nsr.grammars") / f"{name}.lark").read_text(encoding="utf-8")
    starts = [start] if isinstance(start, str) else list(start)
    return Lark(text, start=starts, parser="lalr", propagate_positions=True)


def check(grammar: Lark, tokens: Sequence[str]) -> Tree[Any]:
    """Parse a sentence given as tokens; each terminal of the grammar is one whole token.

    A ``Token`` of the tree has the index of its word, from 0, as ``start_pos``.

    Raises:
        InputError: the sentence is not in the language; the message names the word and its position, from 1.
    """
    if not tokens:
        raise InputError("empty sentence")
    parser = grammar.parse_interactive()
    for index, word in enumerate(tokens):
        here = f"{word!r} at position {index + 1}"
        if not readings(grammar, word):
            known = _spell(grammar, [terminal.name for terminal in _words(grammar)])
            raise InputError(f"unknown word {here}; known words: {known}")
        try:
            _feed(parser, grammar, index, word)
        except UnexpectedToken:
            expected = _expected(grammar, tokens[:index])
            raise InputError(f"{here} cannot stand here; expected one of: {expected}") from None
    try:
        return parser.feed_eof()
    except UnexpectedToken:
        expected = _expected(grammar, tokens)
        raise InputError(f"the sentence stops too early; expected one of: {expected}") from None


@lru_cache(maxsize=4096)
def readings(grammar: Lark, word: str) -> tuple[str, ...]:
    """Names of the terminals that a word can be, those with the highest priority first.

    Raises:
        InputError: a pattern takes too long to tell.
    """
    matching = [terminal for terminal in _words(grammar) if _reads(terminal, word)]
    return tuple(terminal.name for terminal in sorted(matching, key=lambda terminal: -terminal.priority))


def _reads(terminal: TerminalDef, word: str) -> bool:
    """Whether a word is one of a terminal; errors as of :func:`readings`."""
    if isinstance(terminal.pattern, PatternStr) and not terminal.pattern.flags:
        return terminal.pattern.value == word
    try:
        return pattern(terminal.pattern.to_regexp()).matches(word)
    except PatternError as error:
        raise InputError(f"{word[:40]!r} cannot be read: the pattern of {terminal.name} {error}") from None


def choice_left(grammar: Lark) -> str:
    """What an LALR(1) grammar leaves to its parser to choose, "" if nothing."""
    try:
        LALR_Analyzer(ParserConf(grammar.rules, {}, ["start"]), strict=True).compute_lalr()
    except LarkError as error:
        return summary(error).replace("[strict-mode] ", "")
    return ""


def summary(error: Exception) -> str:
    """What lark says is wrong, in one line."""
    return " ".join(str(error).partition("\n\n")[0].split())


def language(grammar: Lark, interpretation: Any) -> list[tuple[Tokens, Any]]:
    """Every sentence of a finite language with its value, in the order of the grammar's rules.

    The value of a constituent is what the method of ``interpretation`` named by its alias or rule makes of
    the values of its parts, called once for each combination of them. ``interpretation`` may be anything that
    lark takes as ``Lark(transformer=...)``. A sentence with several derivations comes several times.

    Raises:
        ValueError: the language is infinite: a rule contains itself, or a terminal is a pattern.
    """
    builder = ParseTreeBuilder(grammar.rules, Tree, maybe_placeholders=grammar.options.maybe_placeholders)
    interpret = builder.create_callback(interpretation)
    patterns = {terminal.name: terminal.pattern for terminal in grammar.terminals}
    phrases: dict[Symbol, list[tuple[Tokens, Any]] | None] = {}  # None while the symbol is being expanded

    def expand(symbol: Symbol) -> list[tuple[Tokens, Any]]:
        if symbol not in phrases:
            phrases[symbol] = None
            phrases[symbol] = [read(symbol.name)] if symbol.is_term else list(derive(symbol))
        found = phrases[symbol]
        if found is None:
            raise ValueError(f"the language is infinite: rule {symbol.name!r} contains itself")
        return found

    def read(terminal: str) -> tuple[Tokens, Any]:
        if not isinstance(patterns[terminal], PatternStr):
            raise ValueError(f"the language cannot be listed: terminal {terminal!r} is a pattern")
        word = patterns[terminal].value
        return (word,), getattr(interpretation, terminal, str)(Token(terminal, word))

    def derive(symbol: Symbol) -> Iterator[tuple[Tokens, Any]]:
        for rule in grammar.rules:
            if rule.origin == symbol:
                evaluate = interpret[rule]
                for parts in product(*map(expand, rule.expansion)):
                    words = tuple(chain.from_iterable(part for part, _ in parts))
                    yield words, evaluate([unshared(value) for _, value in parts])

    def unshared(value: Any) -> Any:
        # lark extends the children of an inlined rule in place, but here they serve many sentences
        return Tree(value.data, list(value.children)) if isinstance(value, Tree) else value

    (start,) = grammar.options.start
    return expand(NonTerminal(start))


def _feed(parser: InteractiveParser, grammar: Lark, index: int, word: str) -> None:
    """Move the parser on by a word; where a word can be several terminals, the parser's state chooses."""
    names = readings(grammar, word)
    terminal = next((name for name in names if name in parser.choices()), names[0])
    parser.feed_token(Token(terminal, word, start_pos=index, end_pos=index + 1))


def _expected(grammar: Lark, prefix: Sequence[str]) -> str:
    """What can follow this prefix of a sentence; parsed anew, since a parser that fails may first reduce."""
    parser = grammar.parse_interactive()
    for index, word in enumerate(prefix):
        _feed(parser, grammar, index, word)
    return _spell(grammar, parser.accepts())


@cache
def _words(grammar: Lark) -> tuple[TerminalDef, ...]:
    """The terminals that a sentence is made of."""
    return tuple(terminal for terminal in grammar.terminals if terminal.name not in grammar.ignore_tokens)


def _spell(grammar: Lark, names: Iterable[str]) -> str:
    """Terminals in the order of the grammar: a word as it is typed, a pattern by its name."""
    names = set(names)
    spelled = [
        terminal.pattern.value if isinstance(terminal.pattern, PatternStr) else terminal.name
        for terminal in _words(grammar)
        if terminal.name in names
    ]
    return ", ".join([*spelled, "the end of the sentence"] if END in names else spelled)
