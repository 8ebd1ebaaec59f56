"""The transition system: step by step against a naive twin, and every projective tree by exactly one derivation."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsr.arrays import ragged_to_padded
from nsr.gss import ROOT, is_projective, is_tree, projective_trees
from nsr.semantics.execution import ABSENT
from nsr.syntax.transitions import NONE, PENDING, Action, Configurations, Order, oracle
from nsr.tasks.scan import gold_heads

SHIFT, LEFT_ARC, RIGHT_ARC = Action
COUNTS = {1: 1, 2: 2, 3: 7, 4: 30, 5: 143, 6: 728}  # projective trees over n tokens

orders = pytest.mark.parametrize("order", list(Order))
some_order = st.sampled_from(list(Order))
some_tree = st.integers(1, 6).flatmap(lambda n: st.sampled_from(list(projective_trees(n))))
some_trees = st.lists(some_tree, min_size=1, max_size=8)


# The twin: one sentence, a state is (stack, buffer, arcs in the order in which they were made)

START = ((), 0, ())


def moves(state, n, order):
    stack, buffer, arcs = state
    found = [SHIFT] if buffer < n else []
    if len(stack) >= 2:
        below, top = stack[-2:]
        top_took_right = any(head == top < dependent for head, dependent in arcs)
        below_took_left = any(head == below > dependent for head, dependent in arcs)
        found += [LEFT_ARC] if order is Order.LATE or not top_took_right else []
        found += [RIGHT_ARC] if order is Order.EARLY or not below_took_left else []
    return found


def step(state, action):
    stack, buffer, arcs = state
    if action == SHIFT:
        return (*stack, buffer), buffer + 1, arcs
    *rest, below, top = stack
    head, dependent = (top, below) if action == LEFT_ARC else (below, top)
    return (*rest, head), buffer, (*arcs, (head, dependent))


def derivations(n, order, state=START, actions=()):
    """Every valid sequence of actions with its states; fails at a dead end."""
    stack, buffer, _ = state
    if buffer == n and len(stack) == 1:
        yield actions
        return
    possible = moves(state, n, order)
    assert possible, f"dead end after {actions}"
    for action in possible:
        yield from derivations(n, order, step(state, action), (*actions, action))


def heads_of(state, n):
    """Heads as ``Configurations`` has them."""
    stack, buffer, arcs = state
    heads = [PENDING] * n
    for head, dependent in arcs:
        heads[dependent] = head
    if buffer == n and len(stack) == 1:
        heads[stack[0]] = ROOT
    return heads


def dependents(state, head, right):
    """The dependents that a token took on one side, the last one first."""
    return [dependent for other, dependent in reversed(state[2]) if other == head and (dependent > head) == right]


def tree_of(actions):
    state = START
    for action in actions:
        state = step(state, action)
    return tuple(heads_of(state, state[1]))


def assert_equal(configurations, row, state, n):
    stack, buffer, _ = state
    assert configurations.stack[row, : len(stack)].tolist() == list(stack)
    assert configurations.depth[row] == len(stack)
    assert configurations.buffer[row] == buffer
    assert configurations.heads[row].tolist() == heads_of(state, n) + [ABSENT] * (configurations.heads.shape[1] - n)
    for token in range(n):
        left, right = (dependents(state, token, right) for right in (False, True))
        assert configurations.left[row, token] == len(left)
        assert configurations.right[row, token] == len(right)
        assert configurations.children[row, token].tolist() == [*(left + [NONE] * 2)[:2], *(right + [NONE] * 2)[:2]]


def lock_step(trees, order):
    """Follow the oracle; the configurations at the end and the actions, shape (R, steps), -1 behind the last."""
    heads, lengths = ragged_to_padded(trees, ABSENT)
    configurations = Configurations(lengths, order)
    taken = []
    for _ in range(2 * int(lengths.max()) - 1):
        actions = oracle(configurations, heads)
        rows = np.flatnonzero(actions >= 0)
        assert configurations.valid()[rows, actions[rows]].all()
        configurations.advance(actions)
        taken.append(actions)
    assert (oracle(configurations, heads) == -1).all()
    return configurations, np.stack(taken, axis=1)


# The twin agrees


@orders
@pytest.mark.parametrize("n", range(1, 6))
def test_every_state_of_every_derivation_is_the_twins(n, order):
    sequences = list(derivations(n, order))
    configurations = Configurations(np.full(len(sequences), n), order)
    states = [START] * len(sequences)
    for actions in zip(*sequences, strict=True):
        valid = configurations.valid()
        for row, state in enumerate(states):
            assert np.flatnonzero(valid[row]).tolist() == moves(state, n, order)
        configurations.advance(np.array(actions))
        states = [step(state, action) for state, action in zip(states, actions, strict=True)]
        for row, state in enumerate(states):
            assert_equal(configurations, row, state, n)
    assert not configurations.valid().any()  # nothing can follow a complete tree


@given(some_trees, some_order)
def test_rows_of_different_lengths_are_the_twins_too(trees, order):
    configurations, actions = lock_step(trees, order)
    for row, tree in enumerate(trees):
        state = START
        for action in actions[row][actions[row] >= 0]:
            state = step(state, action)
        assert_equal(configurations, row, state, len(tree))


# Derivations and trees


@orders
@pytest.mark.parametrize("n", COUNTS)
def test_derivations_and_projective_trees_match_one_to_one(n, order):
    sequences = list(derivations(n, order))
    assert all(len(actions) == 2 * n - 1 for actions in sequences)
    reached = [tree_of(actions) for actions in sequences]
    assert all(map(is_projective, reached))
    assert len(reached) == COUNTS[n]
    assert set(reached) == set(projective_trees(n))


def test_without_an_order_a_tree_has_several_derivations():
    left_first, right_first = [
        [SHIFT, SHIFT, LEFT_ARC, SHIFT, RIGHT_ARC],
        [SHIFT, SHIFT, SHIFT, RIGHT_ARC, LEFT_ARC],
    ]
    assert tree_of(left_first) == tree_of(right_first) == (1, ROOT, 1)
    assert tuple(left_first) not in set(derivations(3, Order.LATE))
    assert tuple(right_first) not in set(derivations(3, Order.EARLY))


@orders
@pytest.mark.parametrize("n", COUNTS)
def test_the_oracle_rebuilds_every_projective_tree(n, order):
    trees = list(projective_trees(n))
    configurations, actions = lock_step(trees, order)
    assert [tuple(heads) for heads in configurations.heads.tolist()] == trees
    assert (actions >= 0).all()
    assert {tuple(row) for row in actions.tolist()} == set(derivations(n, order))


@orders
def test_the_oracle_goes_astray_in_every_tree_that_is_not_projective(order):
    crossed = [heads for heads in product(range(ROOT, 4), repeat=4) if is_tree(heads) and not is_projective(heads)]
    assert crossed
    for heads in crossed:
        with pytest.raises(AssertionError):
            lock_step([heads], order)


@orders
@pytest.mark.parametrize("n", range(1, 6))
def test_the_order_is_kept_by_every_head(n, order):
    sides = {Order.EARLY: (LEFT_ARC, RIGHT_ARC), Order.LATE: (RIGHT_ARC, LEFT_ARC)}
    for actions in derivations(n, order):
        state, taken = START, {}
        for action in actions:
            state = step(state, action)
            if action != SHIFT:
                taken.setdefault(state[2][-1][0], []).append(action)
        first, second = sides[order]
        for arcs in taken.values():
            assert arcs == [first] * arcs.count(first) + [second] * arcs.count(second)


@given(some_trees, some_order)
def test_lock_step_does_what_one_by_one_does(trees, order):
    together, actions = lock_step(trees, order)
    for row, tree in enumerate(trees):
        alone, own = lock_step([tree], order)
        steps, n = own.shape[1], len(tree)
        assert actions[row].tolist() == own[0].tolist() + [-1] * (actions.shape[1] - steps)
        assert together.heads[row, :n].tolist() == alone.heads[0].tolist() == list(tree)
        assert together.children[row, :n].tolist() == alone.children[0].tolist()


@pytest.mark.parametrize(
    ("order", "actions"),
    [
        (Order.EARLY, "shift shift left shift left shift left shift right"),
        (Order.LATE, "shift shift left shift left shift shift right left"),
    ],
)
def test_trace_of_a_scan_command(order, actions):
    command = ("jump", "left", "twice", "and", "walk")
    assert gold_heads(command) == (1, 2, 3, ROOT, 3)
    names = {SHIFT: "shift", LEFT_ARC: "left", RIGHT_ARC: "right"}
    _, taken = lock_step([gold_heads(command)], order)
    assert [names[action] for action in taken[0].tolist()] == actions.split()


# Access


@given(some_trees, some_order)
def test_top_and_ahead_are_the_ends_of_stack_and_buffer(trees, order):
    heads, lengths = ragged_to_padded(trees, ABSENT)
    configurations = Configurations(lengths, order)
    states = [START] * len(trees)
    for _ in range(2 * int(lengths.max()) - 1):
        for place in range(3):
            tops = [(NONE,) * 3 + stack for stack, _, _ in states]
            assert configurations.top(place).tolist() == [top[-1 - place] for top in tops]
            nexts = [state[1] + place for state in states]
            expected = [ahead if ahead < n else NONE for ahead, n in zip(nexts, lengths, strict=True)]
            assert configurations.ahead(place).tolist() == expected
        actions = oracle(configurations, heads)
        configurations.advance(actions)
        states = [step(state, action) if action >= 0 else state for state, action in zip(states, actions, strict=True)]


def test_selected_rows_go_their_own_way():
    configurations = Configurations(np.array([2, 3]), Order.LATE)
    copies = configurations.select(np.array([1, 1, 0]))
    assert len(copies) == 3
    copies.advance(np.array([SHIFT, -1, SHIFT]))
    assert copies.depth.tolist() == [1, 0, 1]
    assert configurations.depth.tolist() == [0, 0]
    assert copies.lengths.tolist() == [3, 3, 2]
    assert copies.heads.tolist() == [[PENDING] * 3, [PENDING] * 3, [PENDING, PENDING, ABSENT]]


def test_one_token_is_its_own_root():
    configurations = Configurations(np.array([1]), Order.LATE)
    configurations.advance(np.array([SHIFT]))
    assert configurations.heads.tolist() == [[ROOT]]
