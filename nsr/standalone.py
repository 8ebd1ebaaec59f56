"""Answers sentences by the grammar and the programs in the two files beside this script; needs only lark.

python run.py "a sentence" "another one"        # a line each: its value, None where it has none
python run.py < sentences.txt
"""

import json
import re
import sys
from functools import cache, reduce
from pathlib import Path

try:
    from lark import Lark, Token, Transformer
    from lark.exceptions import UnexpectedInput
except ImportError:
    sys.exit("run.py needs lark, which is not installed: pip install lark")

# What is typed is read with the first, a pattern, replaced by the second.
REWRITE = ()
LONGEST, LARGEST = 10_000, 10**18 - 1  # longer lists and larger numbers are no values
FUNCTIONS = {  # x(0), x(1), ... are the arguments
    "cons": lambda x: limited((x(0), *x(1))),
    "car": lambda x: x(0)[0],
    "cdr": lambda x: items[1:] if (items := x(0)) else items[0],
    "append": lambda x: limited(x(0) + x(1)),
    "reverse": lambda x: x(0)[::-1],
    "incr": lambda x: limited(x(0) + 1),
    "decr0": lambda x: max(x(0) - 1, 0),
    "if0": lambda x: x(2) if x(0) else x(1),
    "sum": lambda x: limited(x(0) + x(1)),  # this and what follows: in formulas of recursive programs
    "total": lambda x: min(x(0) + x(1), LARGEST + 1),
    "monus": lambda x: max(x(0) - x(1), 0),
    "product": lambda x: limited((times := x(0)) and times * x(1)),
    "over": lambda x: (number := x(0)) and -(-number // x(1)),
    "least": lambda x: min(x(0), x(1)),
    "less": lambda x: max(x(0) - ((times := x(1)) and times * x(2)), 0),
    "given": lambda x: (x(0), x(1))[0],
}


class Machine(Transformer):
    """Runs programs while lark parses: a phrase has one word and the values of the phrases that depend on it."""

    def __init__(self, grammar: str, programs: str) -> None:
        super().__init__()
        self.parse = Lark(grammar, parser="lalr", transformer=self).parse
        self.programs = dict(read(programs))

    def answer(self, sentence: str):
        """The value of a sentence, None if it has none."""
        try:
            return self.parse(sentence)
        except (UnexpectedInput, LookupError, ArithmeticError, RecursionError):
            return None

    def word(self, children: list, owner: str | None = None):
        """The value of a phrase, by the program of its word or of another owner."""
        (word,) = (str(each) for each in children if isinstance(each, Token))
        values = [each for each in children if not isinstance(each, Token)]
        return self.run(self.programs[owner or word, len(values)], arguments(values, self=word))

    def literal(self, children: list):
        """The value of a phrase whose word denotes itself."""
        return self.word(children, "<literal>")

    def run(self, term, scope: dict):
        """The value of a term in which names are worth what the scope says."""
        if isinstance(term, str):
            return () if term == "nil" else json.loads(term) if term[0] in '"0123456789' else scope[term]
        name, *parts = term
        if name in FUNCTIONS:
            return FUNCTIONS[name](lambda place: self.run(parts[place], scope))
        if name == "fold":
            items, start = self.run(parts[0], scope), self.run(parts[1], scope)
            return reduce(lambda rest, item: self.run(parts[2], {"item": item, "rest": rest}), reversed(items), start)
        if name == "fix":
            return self.recursion(parts[0])(*(value for name, value in scope.items() if name != "self"))
        program = parts.pop(0) if name == "apply" else name
        values = [self.run(part, scope) for part in parts]
        if name == "rec":
            return scope["rec"](*values)
        return self.run(self.programs[json.loads(name), len(values)] if name[0] == '"' else program, arguments(values))

    def recursion(self, body):
        """The function that is worth ``body``, in which ``rec`` calls it."""

        @cache
        def rec(*values):
            return self.run(body, arguments(values, rec=rec))

        return rec


def arguments(values, **others) -> dict:
    """Values by the names they have in programs."""
    return {**{f"x{index}": value for index, value in enumerate(values)}, **others}


def limited(value):
    """The value, if it is not too large."""
    if value > LARGEST if isinstance(value, int) else len(value) > LONGEST:
        raise OverflowError
    return value


def read(text: str):
    """The programs of a text by word and number of arguments; terms are nested lists of names."""
    tokens = (each for each in re.findall(r'#.*|"(?:[^"\\]|\\.)*"|[()]|[^\s()"#]+', text) if each[0] != "#")

    def term(token):
        return [term(each) for each in iter(lambda: next(tokens), ")")] if token == "(" else token

    for token in tokens:
        entry = [token, *iter(lambda: next(tokens), "=")]  # x0 "word" x1
        (name,) = (json.loads(each) for each in entry if each[0] == '"')
        yield (name, sum(each[0] == "x" for each in entry)), term(next(tokens))


def main() -> None:
    """Print the values of the sentences given as arguments or, without any, as lines of stdin."""
    sys.setrecursionlimit(10_000)  # for recursive programs that have no formula
    here = Path(__file__).parent
    machine = Machine((here / "grammar.lark").read_text("utf-8"), (here / "programs.nsr").read_text("utf-8"))
    for sentence in sys.argv[1:] or map(str.rstrip, sys.stdin):
        value = machine.answer(re.sub(*REWRITE, sentence) if REWRITE else sentence)
        print(" ".join(value) if isinstance(value, tuple) else value)


if __name__ == "__main__":
    main()
