"""The tree: checks against brute force over all small head arrays, text and JSON."""

import itertools
import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsr.gss import GSS, ROOT, is_projective, is_tree, projective_trees
from nsr.semantics.values import EMPTY, MISSING

# Naive definitions


def all_heads(n):
    return itertools.product(range(ROOT, n), repeat=n)


def ancestors(heads, node):
    """The node, its head, the head of that, ... down to ROOT; None if they never end there."""
    path = [node]
    while path[-1] != ROOT:
        if len(path) > len(heads):
            return None
        path.append(heads[path[-1]])
    return path


def naive_is_tree(heads):
    return list(heads).count(ROOT) == 1 and all(ancestors(heads, node) for node in range(len(heads)))


def subtree(heads, node):
    return [other for other in range(len(heads)) if node in ancestors(heads, other)]


def contiguous_subtrees(heads):
    spans = [subtree(heads, node) for node in range(len(heads))]
    return all(span == list(range(span[0], span[-1] + 1)) for span in spans)


def crossing(arc, other):
    (a, b), (c, d) = sorted(arc), sorted(other)
    return a < c < b < d or c < a < d < b


def arcs(heads):
    return [(head, node) for node, head in enumerate(heads)]


@st.composite
def trees(draw, max_size=12):
    """Heads of any tree, projective or not: each node of a random order hangs from an earlier one."""
    order = draw(st.integers(1, max_size).flatmap(lambda n: st.permutations(range(n))))
    heads = [ROOT] * len(order)
    for i, node in enumerate(order[1:], start=1):
        heads[node] = order[draw(st.integers(0, i - 1))]
    return heads


values = st.one_of(st.integers(), st.text(), st.lists(st.text()).map(tuple), st.just(MISSING), st.just(EMPTY))


@st.composite
def systems(draw):
    heads = draw(trees())
    strings, n = st.text(), len(heads)
    return GSS(
        inputs=tuple(draw(st.lists(strings, min_size=n, max_size=n))),
        symbols=tuple(draw(st.lists(strings, min_size=n, max_size=n))),
        heads=np.array(heads),
        values=tuple(draw(st.lists(values, min_size=n, max_size=n))),
        programs=tuple(draw(st.just([]) | st.lists(strings, min_size=n, max_size=n))),
        log_prob=draw(st.floats(max_value=0.0, allow_nan=False)),
    )


def jump_left_twice(**changes):
    turn = ("I_TURN_LEFT", "I_JUMP")
    given = {
        "inputs": ("jump", "left", "twice"),
        "symbols": ("jump", "left", "twice"),
        "heads": [1, 2, ROOT],
        "values": (("I_JUMP",), turn, turn * 2),
        "programs": ('(cons "I_JUMP" nil)', '(cons "I_TURN_LEFT" x0)', "(append x0 x0)"),
        "log_prob": -0.5,
    }
    return GSS(**(given | changes))


# Functions on heads


@pytest.mark.parametrize("n", range(1, 6))
def test_is_tree_and_is_projective_agree_with_the_definitions_on_all_heads(n):
    for heads in all_heads(n):
        tree = naive_is_tree(heads)
        assert is_tree(heads) is tree, heads
        assert is_projective(heads) is (tree and contiguous_subtrees(heads)), heads


@pytest.mark.parametrize("n", range(1, 6))
def test_contiguous_subtrees_are_uncrossed_arcs_with_one_into_the_root(n):
    for heads in filter(naive_is_tree, all_heads(n)):
        crossed = any(crossing(*pair) for pair in itertools.combinations(arcs(heads), 2))
        assert contiguous_subtrees(heads) is not crossed, heads


def test_an_arc_over_the_root_is_not_projective():
    heads = (1, 3, ROOT, 2)  # without the arc into the root, nothing crosses
    inner = [arc for arc in arcs(heads) if ROOT not in arc]
    assert not any(crossing(*pair) for pair in itertools.combinations(inner, 2))
    assert is_tree(heads)
    assert not is_projective(heads)


@given(trees(max_size=40))
def test_random_trees_are_trees_until_a_cycle_closes(heads):
    assert is_tree(heads)
    assert is_projective(heads) is contiguous_subtrees(heads)
    root = heads.index(ROOT)
    for node in range(len(heads)):
        assert not is_tree(heads[:root] + [node] + heads[root + 1 :])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 9, 1000])
def test_a_chain_is_a_tree_and_a_ring_is_not(n):
    chain = [ROOT, *range(n - 1)]
    assert is_projective(chain)
    assert not is_tree([n - 1, *range(n - 1)])
    assert not is_tree([ROOT, *(np.roll(np.arange(n), 1) + 1)])  # a ring beside a lone root


@pytest.mark.parametrize("heads", [[], [[ROOT]], [-2], [ROOT, 2], [-1.0], [True], ["-1"], [2**70]])
def test_other_arrays_are_no_trees(heads):
    assert not is_tree(heads)
    assert not is_projective(heads)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_any_integer_type_will_do(dtype):
    assert is_projective(np.array([1, ROOT, 1], dtype))
    assert not is_projective(np.array([2, 3, ROOT, 2], dtype))


@pytest.mark.parametrize("n", range(6))
def test_projective_trees_are_the_projective_heads(n):
    found = list(projective_trees(n))
    assert set(found) == {h for h in all_heads(n) if n and naive_is_tree(h) and contiguous_subtrees(h)}
    assert len(found) == len(set(found))


def test_projective_trees_have_the_known_counts():
    counts = [sum(1 for _ in projective_trees(n)) for n in range(1, 8)]
    assert counts == [1, 2, 7, 30, 143, 728, 3876]
    assert counts == [math.comb(3 * n - 2, n - 1) // n for n in range(1, 8)]


# The tree


def test_members():
    gss = GSS(("a", "b", "c", "d"), ("A", "B", "C", "D"), [1, ROOT, 3, 1], (1, 2, 3, 4))
    assert len(gss) == 4
    assert (gss.root, gss.value) == (1, 2)
    assert [gss.children(node) for node in range(4)] == [(), (0, 3), (), (2,)]
    assert [gss.arity(node) for node in range(4)] == [0, 2, 0, 1]
    assert gss.children(ROOT) == (1,)
    assert gss.is_projective
    assert not replace(gss, heads=[1, ROOT, 0, 1]).is_projective
    assert (gss.programs, gss.log_prob) == ((), 0.0)


@given(systems())
def test_children_and_heads_say_the_same(gss):
    assert all(gss.heads[child] == node for node in range(len(gss)) for child in gss.children(node))
    assert sorted(itertools.chain(*map(gss.children, range(ROOT, len(gss))))) == list(range(len(gss)))
    assert all(gss.arity(node) == len(gss.children(node)) for node in range(len(gss)))


def test_nothing_changes_a_tree():
    heads, symbols = np.array([1, 2, ROOT]), ["jump", "left", "twice"]
    gss = jump_left_twice(heads=heads, symbols=symbols)
    heads[0], symbols[0] = 2, "walk"
    assert gss == jump_left_twice()
    with pytest.raises(ValueError, match="read-only"):
        gss.heads[0] = 2
    with pytest.raises(FrozenInstanceError):
        gss.heads = heads


def test_equality_and_hash_are_by_content():
    gss = jump_left_twice()
    assert gss == jump_left_twice(heads=np.array([1, 2, ROOT], np.int8))
    assert hash(gss) == hash(jump_left_twice())
    changes = {
        "inputs": ("jump", "left", "thrice"),
        "symbols": ("walk", "left", "twice"),
        "heads": [2, 2, ROOT],
        "values": (MISSING, EMPTY, 1),
        "programs": (),
        "log_prob": -1,
    }
    others = [jump_left_twice(**{name: changed}) for name, changed in changes.items()]
    assert gss not in others
    assert len({gss, *others}) == 7
    assert gss != "jump left twice"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ("jump", "left")}, "inputs: 2 for a tree of 3 nodes"),
        ({"symbols": ("jump", "left", "twice", "and")}, "symbols: 4 for a tree of 3 nodes"),
        ({"values": ()}, "values: 0 for a tree of 3 nodes"),
        ({"programs": ("nil",)}, "programs: 1 for a tree of 3 nodes"),
        ({"heads": []}, r"heads: .* at least one node, found an array of shape \(0,\)"),
        ({"heads": [[1, 2, ROOT]]}, r"heads: .* shape \(1, 3\)"),
        ({"heads": [1.0, 2.0, ROOT]}, "heads: expected integers"),
        ({"heads": [1, 3, ROOT]}, "heads: 3 is not a node of 3"),
        ({"heads": [1, -2, ROOT]}, "heads: -2 is not a node of 3"),
        ({"heads": [1, 2, 0]}, "heads: expected one root, found none"),
        ({"heads": [1, ROOT, ROOT]}, r"heads: expected one root, found \[1, 2\]"),
        ({"heads": [1, 0, ROOT]}, r"heads: a cycle keeps nodes \[0, 1\] from the root"),
        ({"heads": [ROOT, 1, 1]}, r"heads: a cycle keeps nodes \[1, 2\] from the root"),
        ({"log_prob": math.nan}, "log_prob: nan is not the logarithm"),
        ({"log_prob": math.inf}, "log_prob: inf is not the logarithm"),
    ],
)
def test_malformed_fields_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        jump_left_twice(**changes)


# Text


def test_pretty():
    assert jump_left_twice().pretty().split("\n") == [
        "twice          (append x0 x0)            I_TURN_LEFT I_JUMP I_TURN_LEFT I_JUMP",
        '└── left       (cons "I_TURN_LEFT" x0)   I_TURN_LEFT I_JUMP',
        '    └── jump   (cons "I_JUMP" nil)       I_JUMP',
    ]


def test_pretty_draws_branches_in_order_and_inputs_that_are_not_symbols():
    gss = GSS(
        inputs=("(", "img/4.png", "img/p.png", "img/7.png", ")", "-", "5"),
        symbols=("(", "4", "+", "7", ")", "-", "5"),
        heads=[2, 2, 5, 2, 3, ROOT, 5],
        values=(EMPTY, 4, 11, 7, EMPTY, MISSING, 5),
    )
    assert gss.pretty().splitlines() == [
        "-                       ?",
        "├── + [img/p.png]       11",
        "│   ├── (               ∅",
        "│   ├── 4 [img/4.png]   4",
        "│   └── 7 [img/7.png]   7",
        "│       └── )           ∅",
        "└── 5                   5",
    ]


def test_pretty_of_a_single_node():
    assert GSS(("walk",), ("walk",), [ROOT], (("I_WALK",),)).pretty() == "walk   I_WALK"
    assert GSS(("walk",), ("walk",), [ROOT], ((),), ("nil",)).pretty() == "walk   nil   []"
    assert GSS(("walk",), ("walk",), [ROOT], ((),), ("",)).pretty() == "walk   []"


def test_pretty_shortens_in_the_middle():
    gss = jump_left_twice()
    assert gss.pretty(60).splitlines() == [
        "twice          (append x0 x0)          I_TURN_LEF…EFT I_JUMP",
        '└── left       (cons "I_T…_LEFT" x0)   I_TURN_LEFT I_JUMP',
        '    └── jump   (cons "I_JUMP" nil)     I_JUMP',
    ]
    assert gss.pretty(78) == gss.pretty(None)
    assert gss.pretty(77) != gss.pretty(None)


def test_pretty_never_shortens_symbols_nor_anything_below_nine_characters():
    assert jump_left_twice().pretty(1).splitlines() == [
        "twice          (app… x0)   I_TU…JUMP",
        "└── left       (con… x0)   I_TU…JUMP",
        "    └── jump   (con…nil)   I_JUMP",
    ]


def test_pretty_without_limit_shows_all():
    long = ("I_WALK",) * 500
    gss = GSS(("walk",), ("walk",), [ROOT], (long,))
    assert gss.pretty(None) == "walk   " + " ".join(long)
    assert len(gss.pretty()) == 100
    assert gss.pretty().count("…") == 1


def test_pretty_draws_deep_trees():
    n = 2000
    gss = GSS(("a",) * n, ("a",) * n, [ROOT, *range(n - 1)], (0,) * n)
    assert len(gss.pretty().splitlines()) == n


@given(systems(), st.integers(0, 200))
def test_pretty_keeps_every_line_within_the_width_where_it_can(gss, width):
    def longest(text):
        return max(map(len, text.split("\n")))

    assert longest(gss.pretty(width)) <= max(width, longest(gss.pretty(0)))


def test_programs_as_people_write_them():
    readable = jump_left_twice().readable()
    assert readable.programs == ("[I_JUMP]", "[I_TURN_LEFT] ++ x0", "x0 ++ x0")
    assert readable == jump_left_twice(programs=readable.programs)
    assert jump_left_twice(programs=()).readable() == jump_left_twice(programs=())
    assert jump_left_twice(programs=("", "x0", "??")).readable().programs == ("", "x0", "??")


@given(systems())
def test_what_is_readable_stays_as_it_is(gss):
    assert gss.readable().readable() == gss.readable()


def test_a_notebook_shows_the_picture():
    shown = jump_left_twice()._repr_html_()
    assert shown.startswith("<svg ")
    assert "[I_TURN_LEFT] ++ x0" in shown


# JSON


def test_json_is_plain():
    assert jump_left_twice(values=(7, EMPTY, MISSING), programs=(), log_prob=np.float32(-0.5)).to_json() == {
        "inputs": ["jump", "left", "twice"],
        "symbols": ["jump", "left", "twice"],
        "heads": [1, 2, ROOT],
        "values": [7, {"sentinel": "EMPTY"}, None],
        "programs": [],
        "log_prob": -0.5,
    }
    assert jump_left_twice(log_prob=-math.inf).to_json()["log_prob"] is None
