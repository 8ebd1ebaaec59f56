"""Executing batches of trees, against a node-by-node evaluation."""

import numpy as np
import pytest
from terms import LISTS, REVERSING, interpret

from nsr.gss import ROOT, projective_trees
from nsr.semantics import execution
from nsr.semantics.execution import ABSENT, UNREVISED, Executor, Layout
from nsr.semantics.lexicon import Lexicon, parse_lexicon
from nsr.semantics.notation import parse_program, to_text
from nsr.semantics.values import EMPTY, EMPTY_ID, MISSING, MISSING_ID, ValueTable

LENGTH = 5
SYMBOLS = ("a", "b", "f", "g", "h", "e", "l", "k")
LEXICON = parse_lexicon(
    """
    "a" = (cons "A" nil)
    "b" = nil
    x0 "f" = (append x0 x0)
    x0 "g" = (cdr x0)
    x0 "g" x1 = (cons (car x1) x0)
    x0 "h" x1 = (append x1 x0)
    x0 "h" x1 x2 = (append x2 (append x0 (cdr x1)))
    "e" = empty
    "l" = (cons self nil)
    "l" x0 = (cons self (reverse x0))
    x0 "k" x1 = (append x0 (cons self (cdr x1)))
    x0 "k" x1 x2 x3 = (append (append x0 x1) (append x2 x3))
    """,
    SYMBOLS,
    REVERSING,
)


def all_trees() -> np.ndarray:
    """The heads of all projective trees of up to LENGTH nodes and of some others, padded."""
    trees = [heads for count in range(1, LENGTH + 1) for heads in projective_trees(count)]
    trees += [(2, 3, ROOT, 2), (2, 3, ROOT, 2, 0), (3, 4, 3, ROOT, 3)]
    return np.array([(*heads, *[ABSENT] * (LENGTH - len(heads))) for heads in trees])


def some_symbols(heads: np.ndarray, generator: np.random.Generator, told: bool = True) -> np.ndarray:
    """Random symbols, most of them with a program for their number of dependents, those that are EMPTY left out.

    If tokens are not told, there are few programs among them that ask for them.
    """
    entries = {key: entry for key, entry in LEXICON.entries.items() if told or "self" not in to_text(entry.program)}
    symbols = generator.integers(0, len(SYMBOLS), heads.shape)
    empty = SYMBOLS.index("e")
    nodes = [tuple(each) for each in np.argwhere((heads != ABSENT) & (generator.random(heads.shape) < 0.9))]
    for tree, node in sorted(nodes, key=lambda each: each[1] in heads[each[0]]):  # leaves first
        arity = np.count_nonzero((heads[tree] == node) & (symbols[tree] != empty))
        if fitting := [symbol for symbol, taken in entries if taken == arity]:
            symbols[tree, node] = generator.choice(fitting)
    return symbols


def some_grounds(heads: np.ndarray, generator: np.random.Generator, values: ValueTable) -> np.ndarray:
    """Random tokens, a few of them unknown."""
    ids = values.ids(["A", "B", "C", "D", MISSING])
    return np.where(heads == ABSENT, MISSING_ID, generator.choice(ids, heads.shape))


def evaluate(heads, symbols, lexicon: Lexicon, revised, tokens) -> tuple[list, list]:
    """The values and the arguments of the nodes of one tree."""
    children = [[node for node, head in enumerate(heads) if head == above] for above in range(len(heads))]

    def arguments(node):
        return tuple(each for each in map(value, children[node]) if each is not EMPTY)

    def value(node):
        if node in revised:
            return revised[node]
        given = arguments(node)
        program = lexicon.program((symbols[node], len(given)))
        if program is None or MISSING in given:
            return MISSING
        return interpret(program, (*given, tokens[node]))

    present = [head != ABSENT for head in heads]
    return (
        [value(node) if present[node] else MISSING for node in range(len(heads))],
        [arguments(node) if present[node] else () for node in range(len(heads))],
    )


@pytest.fixture
def executor():
    return Executor()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("revise", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_execution_is_what_node_by_node_evaluation_gives(executor, seed, revise, told):
    generator = np.random.default_rng(seed)
    heads = all_trees()
    symbols = some_symbols(heads, generator, told)
    revised = np.full(heads.shape, UNREVISED)
    if revise:
        ids = [MISSING_ID, EMPTY_ID, *executor.values.ids([(), ("B",), ("B", "C")])]
        chosen = (generator.random(heads.shape) < 0.2) & (heads != ABSENT)
        revised[chosen] = generator.choice(ids, chosen.sum())
    grounds = some_grounds(heads, generator, executor.values) if told else None
    found = executor.execute(symbols, heads, LEXICON, revised if revise else None, grounds)
    defined = dropped = grounded = 0
    for tree in range(len(heads)):
        revisions = {node: executor.values[value] for node, value in enumerate(revised[tree]) if value != UNREVISED}
        tokens = [executor.values[value] for value in grounds[tree]] if told else [MISSING] * LENGTH
        values, arguments = evaluate(heads[tree].tolist(), symbols[tree].tolist(), LEXICON, revisions, tokens)
        assert [executor.values[value] for value in found.values[tree]] == values
        assert found.arity[tree].tolist() == list(map(len, arguments))
        padded = [[*each, *[MISSING] * (found.arguments.shape[2] - len(each))] for each in arguments]
        assert [[executor.values[value] for value in row] for row in found.arguments[tree]] == padded
        root = heads[tree].tolist().index(ROOT)
        assert found.results[tree] == found.values[tree, root]
        defined += values[root] is not MISSING
        dropped += (found.arity[tree] < found.layout.arity[tree]).any()
        grounded += any({"C", "D"} & set(value) for value in values if isinstance(value, tuple))
    assert dropped > 20
    assert (grounded > 40) == told
    assert 40 < defined < len(heads) - 40, "the test says little unless many trees have a value and many have none"


def test_order_does_not_matter(executor):
    generator = np.random.default_rng(0)
    heads = all_trees()
    symbols = some_symbols(heads, generator)
    order = generator.permutation(len(heads))
    found = executor.execute(symbols, heads, LEXICON).values
    again = Executor().execute(symbols[order], heads[order], LEXICON).values
    same = executor.execute(symbols[order], heads[order], LEXICON).values
    assert np.array_equal(same, found[order])
    assert (again == MISSING_ID).tolist() == (found[order] == MISSING_ID).tolist()


def test_symbols_of_absent_tokens_do_not_matter(executor):
    heads = np.array([[ROOT, ABSENT]])
    for filler in (0, 4, -1):
        found = executor.execute(np.array([[0, filler]]), heads, LEXICON)
        assert [executor.values[value] for value in found.values[0]] == [("A",), MISSING]


def test_a_cycle_has_no_values(executor):
    found = executor.execute(np.array([[0, 2, 2]]), np.array([[ROOT, 2, 1]]), LEXICON)
    assert [executor.values[value] for value in found.values[0]] == [("A",), MISSING, MISSING]


def trees_of(executor, *words_and_heads, tokens=None):
    """The values of one tree, and how many arguments its nodes have."""
    symbols, heads = zip(*words_and_heads, strict=True)
    grounds = None if tokens is None else executor.values.ids(tokens)[None]
    rows = np.array([[SYMBOLS.index(symbol) for symbol in symbols]])
    found = executor.execute(rows, np.array([heads]), LEXICON, grounds=grounds)
    return [executor.values[value] for value in found.values[0]], found.arity[0].tolist()


def test_what_is_empty_is_no_argument(executor):
    infix = [("a", 2), ("e", 2), ("h", ROOT), ("b", 2)]
    assert trees_of(executor, *infix) == ([("A",), EMPTY, ("A",), ()], [0, 0, 2, 0])
    assert trees_of(executor, ("h", ROOT), ("e", 0), ("a", 0)) == ([MISSING, EMPTY, ("A",)], [1, 0, 0])
    assert trees_of(executor, ("a", ROOT), ("e", 0), ("e", 0)) == ([("A",), EMPTY, EMPTY], [0, 0, 0])
    assert trees_of(executor, ("e", ROOT), ("e", 0)) == ([EMPTY, EMPTY], [0, 0]), "it may have dependents that are too"
    assert trees_of(executor, ("e", ROOT), ("a", 0)) == ([MISSING, ("A",)], [1, 0])


def test_a_token_that_denotes_itself(executor):
    chain = [("l", ROOT), ("l", 0), ("l", 1)]
    assert trees_of(executor, *chain, tokens=("X", "Y", "Z"))[0] == [("X", "Z", "Y"), ("Y", "Z"), ("Z",)]
    assert trees_of(executor, *chain, tokens=("X", "Y", MISSING))[0] == [MISSING] * 3
    assert trees_of(executor, *chain)[0] == [MISSING] * 3, "it does not if it is not known"
    assert trees_of(executor, ("f", ROOT), ("l", 0), tokens=("X", "Y"))[0] == [("Y", "Y"), ("Y",)]


def test_what_asks_for_tokens(executor):
    assert executor.grounded(LEXICON)
    assert not executor.grounded(parse_lexicon('"a" = nil\n"e" = empty', SYMBOLS, LISTS))
    assert not executor.grounded(Lexicon(SYMBOLS))


def test_a_lexicon_may_have_larger_arities_than_the_trees(executor):
    found = executor.execute(np.array([[0]]), np.array([[ROOT]]), LEXICON)
    assert executor.values[found.results[0]] == ("A",)


@pytest.mark.parametrize("shape", [(0, 3), (0, 0)])
def test_nothing_to_execute(executor, shape):
    nothing = np.zeros(shape, np.int64)
    assert executor.execute(nothing, nothing, LEXICON).results.shape == (0,)


def test_layout_of_all_trees():
    heads = all_trees()
    layout = Layout.of(heads)
    for tree, row in enumerate(heads.tolist()):
        assert row[layout.root[tree]] == ROOT
        for node in range(LENGTH):
            dependents = [each for each, head in enumerate(row) if head == node]
            assert layout.arity[tree, node] == len(dependents)
            assert layout.left[tree, node] == sum(each < node for each in dependents)
            assert [layout.rank[tree, each] for each in dependents] == list(range(len(dependents)))
    assert layout.max_arity == LENGTH - 1


def test_levels_come_after_their_dependents():
    heads = all_trees()
    done = heads == ABSENT
    for tree, node in Layout.of(heads).levels():
        assert not done[tree, node].any(), "each node comes once"
        for row, above in zip(tree, node, strict=True):
            assert done[row][heads[row] == above].all()
        done[tree, node] = True
    assert done.all()


# Memory


@pytest.fixture
def runs(monkeypatch):
    """The calls of compiled programs so far."""
    calls = []

    def counted(term, max_length, compile_term=execution.compile_term):
        run = compile_term(term, max_length)
        return lambda arguments: calls.append((term, arguments)) or run(arguments)

    monkeypatch.setattr(execution, "compile_term", counted)
    return calls


def test_nothing_is_run_twice(executor, runs):
    heads = all_trees()
    symbols = some_symbols(heads, np.random.default_rng(0))
    grounds = some_grounds(heads, np.random.default_rng(0), executor.values)
    executor.execute(symbols, heads, LEXICON, None, grounds)
    assert len(runs) == len(set(runs)) > 0
    assert all("self" in to_text(term) for term, arguments in runs if arguments and isinstance(arguments[-1], str))
    runs.clear()
    executor.execute(symbols, heads, LEXICON, None, grounds)
    assert not runs, "a batch seen before runs no program"
    executor.run(LEXICON.program((0, 0)), [])
    executor.run(LEXICON.program((SYMBOLS.index("l"), 0)), [], "A")
    assert not runs, "nor does a single call"
    executor.run(LEXICON.program((2, 1)), [("never", "seen")])
    executor.run(LEXICON.program((SYMBOLS.index("l"), 0)), [], "never seen")
    assert len(runs) == 2
    executor.run(LEXICON.program((0, 0)), [], "never seen")
    assert len(runs) == 2, "the token counts only where it is asked for"


def test_equal_programs_share_their_results(executor, runs):
    for _ in range(2):
        executor.run(parse_program('(cons "A" x0)', LISTS, 1), [()])
    assert len(runs) == 1


def test_run(executor):
    program = parse_program("(cdr x0)", LISTS, 1)
    assert executor.run(program, [("A", "B")]) == ("B",)
    assert executor.run(program, [()]) is MISSING
    assert executor.run(parse_program("nil", LISTS, 1), [MISSING]) is MISSING, "arguments are strict"


def test_run_at_a_token(executor):
    program = parse_program("(append x0 (cons self x0))", LISTS, 1)
    assert executor.run(program, [("A",)], "X") == ("A", "X", "A")
    assert executor.run(program, [("A",)], "Y") == ("A", "Y", "A"), "results are remembered for each token"
    assert executor.run(program, [MISSING], "X") is MISSING
    assert executor.run(program, [("A",)]) is MISSING
    assert executor.run(parse_program("(cons self nil)", LISTS, 0), []) is MISSING
    other = parse_program("(cdr x0)", LISTS, 1)
    assert executor.run(other, [("A",)], "X") == executor.run(other, [("A",)]) == (), "which others do not see"


def test_lists_are_bounded():
    program = parse_program("(append x0 x0)", LISTS, 1)
    assert Executor(max_length=3).run(program, [("A", "B")]) is MISSING
    assert Executor(max_length=4).run(program, [("A", "B")]) == ("A", "B") * 2


def test_inverses_are_remembered(executor, monkeypatch):
    program = parse_program("(append x0 x1)", LISTS, 2)
    wanted = ("A", "B", "C")
    assert executor.invert(program, wanted, [MISSING, ("C",)], 0) == [("A", "B")]
    monkeypatch.delattr(execution, "invert")
    assert executor.invert(program, wanted, [("Z",), ("C",)], 0) == [("A", "B")], "the unknown is not looked at"
    assert executor.invert(program, wanted, [("A",), MISSING], 0) == [], "but all others are needed"


def test_inverses_are_remembered_for_each_token(executor):
    program = parse_program("(cons self x0)", LISTS, 1)
    for _ in range(2):
        assert executor.invert(program, ("A", "B"), [MISSING], 0, "A") == [("B",)]
        assert executor.invert(program, ("A", "B"), [MISSING], 0, "B") == []
        assert executor.invert(program, ("A", "B"), [MISSING], 0) == []
