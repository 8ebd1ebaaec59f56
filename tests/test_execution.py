"""Executing batches of trees, against a node-by-node evaluation."""

import numpy as np
import pytest
from terms import LISTS, interpret

from nsr.gss import ROOT, projective_trees
from nsr.semantics import execution
from nsr.semantics.execution import ABSENT, UNREVISED, Executor, Layout
from nsr.semantics.lexicon import Lexicon, parse_lexicon
from nsr.semantics.programs import parse_program
from nsr.semantics.values import MISSING, MISSING_ID

LENGTH = 5
SYMBOLS = ("a", "b", "f", "g", "h")
LEXICON = parse_lexicon(
    """
    "a" = (cons "A" nil)
    "b" = nil
    x0 "f" = (append x0 x0)
    x0 "g" = (cdr x0)
    x0 "g" x1 = (cons (car x1) x0)
    x0 "h" x1 = (append x1 x0)
    x0 "h" x1 x2 = (append x2 (append x0 (cdr x1)))
    """,
    SYMBOLS,
    LISTS,
)


def all_trees() -> np.ndarray:
    """The heads of all projective trees of up to LENGTH nodes and of some others, padded."""
    trees = [heads for count in range(1, LENGTH + 1) for heads in projective_trees(count)]
    trees += [(2, 3, ROOT, 2), (2, 3, ROOT, 2, 0), (3, 4, 3, ROOT, 3)]
    return np.array([(*heads, *[ABSENT] * (LENGTH - len(heads))) for heads in trees])


def some_symbols(heads: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Random symbols, most of them with a program for their number of dependents."""
    symbols = generator.integers(0, len(SYMBOLS), heads.shape)
    for tree, node in np.argwhere((heads != ABSENT) & (generator.random(heads.shape) < 0.9)):
        arity = np.count_nonzero(heads[tree] == node)
        if fitting := [symbol for symbol, taken in LEXICON.entries if taken == arity]:
            symbols[tree, node] = generator.choice(fitting)
    return symbols


def evaluate(heads, symbols, lexicon: Lexicon, revised) -> tuple[list, list]:
    """The values and the arguments of the nodes of one tree."""
    children = [[node for node, head in enumerate(heads) if head == above] for above in range(len(heads))]

    def arguments(node):
        return tuple(value(child) for child in children[node])

    def value(node):
        if node in revised:
            return revised[node]
        program = lexicon.program((symbols[node], len(children[node])))
        if program is None or MISSING in arguments(node):
            return MISSING
        return interpret(program, arguments(node))

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
def test_execution_is_what_node_by_node_evaluation_gives(executor, seed, revise):
    generator = np.random.default_rng(seed)
    heads = all_trees()
    symbols = some_symbols(heads, generator)
    revised = np.full(heads.shape, UNREVISED)
    if revise:
        ids = [MISSING_ID, *executor.values.ids([(), ("B",), ("B", "C")])]
        chosen = (generator.random(heads.shape) < 0.2) & (heads != ABSENT)
        revised[chosen] = generator.choice(ids, chosen.sum())
    found = executor.execute(symbols, heads, LEXICON, revised if revise else None)
    defined = 0
    for tree in range(len(heads)):
        revisions = {node: executor.values[value] for node, value in enumerate(revised[tree]) if value != UNREVISED}
        values, arguments = evaluate(heads[tree].tolist(), symbols[tree].tolist(), LEXICON, revisions)
        assert [executor.values[value] for value in found.values[tree]] == values
        padded = [[*each, *[MISSING] * (found.arguments.shape[2] - len(each))] for each in arguments]
        assert [[executor.values[value] for value in row] for row in found.arguments[tree]] == padded
        root = heads[tree].tolist().index(ROOT)
        assert found.results[tree] == found.values[tree, root]
        defined += values[root] is not MISSING
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
    executor.execute(symbols, heads, LEXICON)
    assert len(runs) == len(set(runs)) > 0
    runs.clear()
    executor.execute(symbols, heads, LEXICON)
    assert not runs, "a batch seen before runs no program"
    executor.run(LEXICON.program((0, 0)), [])
    assert not runs, "nor does a single call"
    executor.run(LEXICON.program((2, 1)), [("never", "seen")])
    assert len(runs) == 1


def test_equal_programs_share_their_results(executor, runs):
    for _ in range(2):
        executor.run(parse_program('(cons "A" x0)', LISTS, 1), [()])
    assert len(runs) == 1


def test_run(executor):
    program = parse_program("(cdr x0)", LISTS, 1)
    assert executor.run(program, [("A", "B")]) == ("B",)
    assert executor.run(program, [()]) is MISSING
    assert executor.run(parse_program("nil", LISTS, 1), [MISSING]) is MISSING, "arguments are strict"


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
