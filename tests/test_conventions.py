"""Where words without meaning depend: one convention is found, if one is enough."""

from dataclasses import replace

import numpy as np
from learners import lexicon_of, modules_of

from nsr.learning.config import Config
from nsr.learning.deduction import candidates, execute
from nsr.learning.pruning import convention
from nsr.semantics.lexicon import Key, Signature
from nsr.syntax.signatures import DependencyGrammar

SYMBOLS = ("a", "b", "g", "h", "(", ")")
WORDS = """
    "(" = empty
    ")" = empty
    "a" = (cons "A" nil)
    "b" = (cons "B" nil)
"""
# By their heads' own parentheses, and by those of the head above them.
OWN, ABOVE = ["_ x0 {} x1 _"], ["x0 {} _ x1 _", "_ x0 _ {} x1"]
PROGRAMS = {"g": "(append x0 (append x1 x0))", "h": "(append x1 x0)"}
MEANINGS = {
    "a g b": "ABA",
    "( a g b ) h b": "BABA",
    "a h ( b g a )": "BABA",
    "b g ( a h b )": "BBAB",
    "( b h a ) g a": "ABAAB",
}


def machine(patterns: list[str]):
    """A machine whose heads stand between their arguments, or in these patterns."""
    uses = [each.format(f'"{head}"') + f" = {PROGRAMS[head]}" for head in PROGRAMS for each in ["x0 {} x1", *patterns]]
    modules = modules_of(lexicon_of("\n".join([WORDS, *uses]), SYMBOLS))
    modules.parser.license(DependencyGrammar.of(modules.lexicon))
    return modules


def agreed(modules, meanings):
    """What is found from the first right tree of each input."""
    inputs, config = [tuple(words.split()) for words in meanings], Config.of(between=False)
    wanted = modules.executor.values.ids([tuple(value) for value in meanings.values()])
    trees = candidates(modules, inputs, trees=200)
    trees = trees.take(np.flatnonzero(execute(modules, trees).results == wanted[trees.sentence]))
    _, first = np.unique(trees.sentence, return_index=True)
    assert len(first) == len(inputs)
    return convention(modules, wanted, trees.take(first), config), wanted


def test_of_several_patterns_the_one_that_suffices_is_found():
    modules = machine(OWN + ABOVE)
    (lexicon, trees), wanted = agreed(modules, MEANINGS)
    plain, own = Signature(1, 1), Signature(2, 2, (0, 3))
    for symbol in map(SYMBOLS.index, "gh"):
        assert lexicon.entries[Key(symbol, 2)].signatures == {plain, own}
    assert {key: entry.program for key, entry in lexicon.entries.items()} == {
        key: entry.program for key, entry in modules.lexicon.entries.items()
    }
    assert set(trees.sentence.tolist()) == {1, 2, 3, 4}  # those with words without meaning
    assert (execute(replace(modules, lexicon=lexicon), trees).results == wanted[trees.sentence]).all()


def test_a_pattern_need_not_have_been_seen():
    lexicon, _ = agreed(machine(ABOVE), MEANINGS)[0]
    assert all(Signature(2, 2, (0, 3)) in lexicon.entries[Key(SYMBOLS.index(head), 2)].signatures for head in "gh")


def test_one_pattern_is_left_alone():
    assert agreed(machine(OWN), MEANINGS)[0] is None


def test_patterns_that_are_all_needed_are_kept():
    assert agreed(machine(ABOVE), {"( a ) h b": "BA", "a h ( b )": "BA"})[0] is None
