"""Program induction, against an enumeration of all small programs, and on tables with errors."""

from dataclasses import replace
from math import log2

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from terms import LISTS, RECURSIVE, REVERSING, TOKENS, interpret, lists_up_to, terms_of_size

from nsr.errors import ConfigError
from nsr.learning.config import Config
from nsr.reports.pool import Runs
from nsr.reports.recursion import FUNCTIONS, InductionTable
from nsr.semantics import induction
from nsr.semantics.induction import Example, Hypothesis, InductionConfig, Space, forget, induce, judge, majority
from nsr.semantics.notation import parse_program, to_text
from nsr.semantics.primitives import Primitive, Type
from nsr.semantics.programs import MAX_SIZE, Constant, quote, size, subterms
from nsr.semantics.values import MISSING

CONFIG = InductionConfig()
VOCABULARY = ("J", "L", "R", "W", "K", "N")
WORDS = ("X", "Y", "Z", "U", "V", "Q")  # that denote themselves
SPACE = Space(LISTS, VOCABULARY)
SCAN_PROGRAMS = [  # and some of the same kind
    ("(append x0 x0)", 1),
    ("(append x0 (append x0 x0))", 1),
    ("(append x0 (append x0 (append x0 x0)))", 1),
    ('(cons "L" x0)', 1),
    ('(cons "L" (cons "L" x0))', 1),
    ("(cons (car x0) x0)", 1),
    ("(append x1 x0)", 2),
    ("(append x0 (append x1 (append x0 x1)))", 2),
]


REVERSING_PROGRAMS = [
    ("(reverse x0)", 1),
    ("(append x0 (reverse x0))", 1),
    ("(reverse (cdr (reverse x0)))", 1),
    ("(append x1 (reverse x0))", 2),
    ("(reverse (append x0 x1))", 2),
]
RECURSIVE_PROGRAMS = [
    ("(fold x0 nil (append rest (cons item nil)))", 1),
    ("(append x0 (fold x0 nil (append rest (cons item nil))))", 1),
    ("(fold (cdr x0) x0 (cdr rest))", 1),
    ("(fold x0 nil (cons item (cons item rest)))", 1),
    ("(append (fold x0 nil (append rest (cons item nil))) x1)", 2),
]
GROUNDED_PROGRAMS = [
    ("(cons self nil)", 0),
    ("(cons self (cons self nil))", 0),
    ("(cons self x0)", 1),
    ("(append x0 (cons self nil))", 1),
    ("(append x1 (cons self x0))", 2),
]


def parse(text, arity, primitives=LISTS):
    return parse_program(text, primitives, arity)


def seeded(seed=0):
    return np.random.default_rng(seed)


def find(examples, arity, space=SPACE, config=CONFIG, seed=0):
    return induce(examples, arity, space, config, seeded(seed))


def table(*rows):
    """Examples from texts: arguments..., value."""
    return [Example(tuple(tuple(each.split()) for each in row[:-1]), tuple(row[-1].split())) for row in rows]


def random_lists(count, generator, shortest=1, longest=4):
    return tuple(
        tuple(generator.choice(VOCABULARY, generator.integers(shortest, longest + 1)).tolist()) for _ in range(count)
    )


def examples_of(program, arity, count, generator):
    """Examples of a program on distinct arguments."""
    tuples = set()
    while len(tuples) < count:
        tuples.add(random_lists(arity, generator))
    return [Example(arguments, interpret(program, arguments)) for arguments in sorted(tuples)]


def examples_at_tokens(program, arity, count, generator):
    """Examples of a program on distinct arguments, each with the token at the node behind them."""
    tuples = {(token,) for token in WORDS} if arity == 0 else set()
    while arity and len(tuples) < count:
        tuples.add((*random_lists(arity, generator), str(generator.choice(WORDS))))
    return [Example(arguments, interpret(program, arguments)) for arguments in sorted(tuples)]


def with_errors(examples, share, generator):
    """The examples with other values in this share of them."""
    spoilt = set(generator.choice(len(examples), round(share * len(examples)), replace=False).tolist())
    return [
        replace(example, value=(*random_lists(1, generator)[0], "X")) if index in spoilt else example
        for index, example in enumerate(examples)
    ]


def same(program, other, arity):
    """Whether two programs agree on many lists."""
    tuples = [random_lists(arity, seeded(99), 0) for _ in range(50)]
    return all(interpret(program, each) == interpret(other, each) for each in tuples)


# Minimality


@st.composite
def tables(draw, primitives=LISTS, grounded=False):
    """A program of at most 5 nodes and what it is worth on a few arguments; if grounded, at a token behind them."""
    arity = draw(st.integers(0 if grounded else 1, 2))
    choice = terms_of_size(draw(st.integers(1, 5)), arity, primitives=primitives, grounded=grounded)
    assume(choice)
    program = draw(st.sampled_from(choice))
    pool = [each for each in lists_up_to(3) if each]
    columns = [st.sampled_from(pool)] * arity + [st.sampled_from(("A", "B", "C"))] * grounded
    tuples = draw(st.lists(st.tuples(*columns), min_size=1, max_size=6, unique=True))
    examples = [Example(arguments, interpret(program, arguments)) for arguments in tuples]
    assume(all(example.value is not MISSING for example in examples))
    return arity, examples


@given(tables(), st.sampled_from([TOKENS, (*TOKENS, "C", "D")]))
@settings(max_examples=60)
def test_the_program_found_has_the_shortest_description(problem, constants):
    arity, examples = problem
    check_shortest(arity, examples, Space(LISTS, constants))


@given(tables(REVERSING, grounded=True), st.sampled_from([TOKENS, (*TOKENS, "C", "D")]))
@settings(max_examples=60)
def test_also_if_it_may_reverse_and_ask_for_the_token(problem, constants):
    arity, examples = problem
    check_shortest(arity, examples, Space(REVERSING, constants), grounded=True)


def check_shortest(arity, examples, space, grounded=False):
    config = InductionConfig(subset=6)
    found = find(examples, arity, space, config)
    assert all(interpret(found.program, example.arguments) == example.value for example in examples)
    shortest = min(
        space.bits(term, config)
        for term_size in range(1, 6)
        for term in terms_of_size(term_size, arity, primitives=space.primitives, grounded=grounded)
        if all(interpret(term, example.arguments) == example.value for example in examples)
    )
    assert space.bits(found.program, config) <= shortest
    if size(found.program) <= 5:
        assert space.bits(found.program, config) == shortest


def test_description_length():
    assert SPACE.bits(parse("(append x0 x0)", 1), CONFIG) == 6
    assert SPACE.bits(parse('(cons "L" x0)', 1), CONFIG) == 6 + log2(6)
    assert Space(LISTS).bits(parse("nil", 0), CONFIG) == 2, "a vocabulary may be empty"


def test_constants_cost_their_token():
    examples = table(("L J", "L L J"), ("L R", "L L R"), ("L W K", "L L W K"))
    assert to_text(find(examples, 1).program) == "(cons (car x0) x0)"
    few = Space(LISTS, ("L", "R"))
    assert to_text(find(examples, 1, few).program) == '(cons "L" x0)', "of two tokens they cost one bit"


def test_constants_are_used_only_if_all_results_show_them():
    assert to_text(find(table(("J", "L J"), ("R W", "L R W")), 1).program) == '(cons "L" x0)'
    assert find(table(("J", "L J"), ("R W", "K R W")), 1) is None
    unknown = Space(LISTS, ("J", "R", "W"))
    assert find(table(("J", "L J"), ("R W", "L R W")), 1, unknown) is None, "nor if the vocabulary lacks them"


def test_arguments_longer_than_all_results():
    examples = table(("J L R", "R"), ("L R W K", "W K"), ("K N", ""))
    assert to_text(find(examples, 1).program) == "(cdr (cdr x0))"


def test_results_longer_than_the_bound_are_undefined():
    examples = table(("J L", "J L J L"), ("R", "R R"))
    assert find(examples, 1, replace(SPACE, max_length=4)).agreement == 1
    assert find(examples, 1, replace(SPACE, max_length=3)).agreement == 0.5


# Programs of SCAN


@pytest.mark.parametrize(("text", "arity"), SCAN_PROGRAMS)
def test_programs_are_found(text, arity):
    program = parse(text, arity)
    found = find(examples_of(program, arity, 16, seeded()), arity)
    assert same(found.program, program, arity)
    assert found.agreement == 1
    assert SPACE.bits(found.program, CONFIG) <= SPACE.bits(program, CONFIG)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.1, 0.2])
@pytest.mark.parametrize(("text", "arity"), SCAN_PROGRAMS)
def test_programs_are_found_among_errors(text, arity, share, seed):
    program, generator = parse(text, arity), seeded(seed)
    examples = with_errors(examples_of(program, arity, 30, generator), share, generator)
    found = induce(examples, arity, SPACE, CONFIG, generator)
    assert same(found.program, program, arity)
    assert found.agreement == pytest.approx(1 - share)


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize(("text", "arity"), REVERSING_PROGRAMS)
def test_programs_that_reverse_are_found(text, arity, share):
    program, generator = parse(text, arity, REVERSING), seeded()
    examples = with_errors(examples_of(program, arity, 30, generator), share, generator)
    found = induce(examples, arity, Space(REVERSING, VOCABULARY), CONFIG, generator)
    assert same(found.program, program, arity)
    assert found.agreement == pytest.approx(1 - share)
    other = induce(examples, arity, SPACE, CONFIG, generator)
    assert other is None or not same(other.program, program, arity), "not without the primitive"


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize(("text", "arity"), RECURSIVE_PROGRAMS)
def test_programs_that_recur_are_found(text, arity, share):
    program, generator = parse(text, arity, RECURSIVE), seeded()
    space = Space(RECURSIVE, VOCABULARY)
    examples = with_errors(examples_of(program, arity, 30, generator), share, generator)
    found = induce(examples, arity, space, CONFIG, generator)
    assert same(found.program, program, arity)
    assert found.agreement == pytest.approx(1 - share)
    assert space.bits(found.program, CONFIG) <= space.bits(program, CONFIG)
    other = induce(examples, arity, SPACE, CONFIG, generator)
    assert other is None or not same(other.program, program, arity), "not without recursion"


def test_functions_that_are_found_without_reverse(tmp_path):
    table = InductionTable("Recursion")
    rows = table.measure(range(3), None, Runs(tmp_path))
    assert [(row.name, row.primitives) for row in rows] == [
        (name, primitives) for name in FUNCTIONS for primitives in ("list-recursive", "list-reverse")
    ]
    assert all(row.found == 100 for row in rows)
    assert not any("reverse" in row.program for row in rows if row.primitives == "list-recursive")
    assert rows[0].program == "(fold x0 nil (append rest (cons item nil)))"
    assert "| reverse | list-recursive | 100 | " in table.to_markdown(rows)


def test_three_terms_are_joined_where_there_is_recursion():
    examples = table(("A B C", "D E", "A A B C D E"), ("E F", "G", "E E F G"), ("H I", "L M", "H H I L M"))
    config = InductionConfig(max_program_size=2)
    found = find(examples, 2, Space(RECURSIVE), config)
    assert to_text(found.program) == "(cons (car x0) (append x0 x1))"
    assert find(examples, 2, config=config) is None


def test_steps_differ_and_recur():
    steps = [to_text(step) for step, _, _ in induction._steps(Space(RECURSIVE))]
    assert "(append rest (cons item nil))" in steps
    assert len(steps) == len(set(steps)) < 50
    assert all("rest" in step for step in steps)
    assert "rest" not in steps


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize(("text", "arity"), GROUNDED_PROGRAMS)
def test_programs_that_ask_for_the_token_are_found(text, arity, share):
    program, generator = parse(text, arity), seeded()
    examples = with_errors(examples_at_tokens(program, arity, 30, generator), share, generator)
    found = induce(examples, arity, SPACE, CONFIG, generator)
    assert to_text(found.program) == text
    wrong = round(share * len(examples))
    assert found.agreement == pytest.approx(1 - wrong / len(examples))
    untold = [replace(each, arguments=each.arguments[:-1]) for each in examples]
    other = induce(untold, arity, SPACE, CONFIG, generator)
    assert other is None or other.agreement < 0.5, "not without it"


def test_what_does_not_depend_on_the_token_is_learned_without_it():
    values = {"X": ("J", "L"), "Y": ("R",), "Z": ("K", "K")}
    examples = [Example((value, token), (*value, *value)) for token, value in values.items()]
    assert to_text(find(examples, 1).program) == "(append x0 x0)"
    assert to_text(find([Example((token,), ("J",)) for token in "XYZ"], 0).program) == '(cons "J" nil)'
    assert to_text(find([Example((token,), (token,)) for token in "XYZ"], 0).program) == "(cons self nil)"


def test_most_of_the_evidence_wrong_is_too_much():
    program, generator = parse("(append x0 x0)", 1), seeded()
    examples = with_errors(examples_of(program, 1, 30, generator), 0.95, generator)
    assert (found := find(examples, 1)) is None or found.agreement < 0.2


def test_contradictions_are_settled_by_weight():
    right, wrong = table(("J", "J J"), ("L R", "L R L R"), ("W", "W W")), table(("J", "J"), ("L R", "L R"), ("W", "W"))
    examples = [replace(each, weight=2.0) for each in right] + wrong
    found = find(examples, 1)
    assert to_text(found.program) == "(append x0 x0)"
    assert found.agreement == pytest.approx(2 / 3), "judged on all evidence"
    assert to_text(find([replace(each, weight=5.0) for each in wrong] + examples, 1).program) == "x0"


def test_many_light_examples_outvote_a_heavy_one():
    examples = table(("J", "J")) * 3 + [replace(each, weight=2.0) for each in table(("J", "L"))]
    (settled,) = majority(examples)
    assert settled == Example((("J",),), ("J",), 3.0)


def test_majority_puts_the_heaviest_first():
    light, heavy = table(("J", "J"), ("L", "L"))
    assert majority([light, replace(heavy, weight=2.0)]) == [replace(heavy, weight=2.0), light]
    assert majority([]) == []


# The edges


def test_without_arguments_the_heaviest_value_is_quoted():
    examples = [Example((), ("J", "L"), 2.0), Example((), ("R",), 1.0), Example((), ("R",), 1.5)]
    found = find(examples, 0)
    assert found.program == quote(("R",))
    assert found.agreement == pytest.approx(2.5 / 4.5)


def test_a_quoted_value_is_a_program_that_can_be_written():
    longest = ("J",) * ((MAX_SIZE - 1) // 2)
    program = find([Example((), longest)], 0).program
    assert parse(to_text(program), 0) == program
    assert find([Example((), (*longest, "J"))], 0) is None


@pytest.mark.parametrize("arity", [0, 1, 2])
def test_without_examples_there_is_no_program(arity):
    assert find([], arity) is None


def test_the_same_seed_finds_the_same():
    generator = seeded(5)
    examples = with_errors(examples_of(parse("(append x0 x0)", 1), 1, 30, generator), 0.5, generator)
    assert [find(examples, 1, seed=seed) for seed in range(5)] == [find(examples, 1, seed=seed) for seed in range(5)]


@pytest.mark.parametrize("arity", [1, 2, 3])
def test_nothing_to_find(monkeypatch, arity):
    """The search ends soon: its terms and its subsets are bounded."""
    searches, terms = [], []
    induction._search.cache_clear()
    search, call = induction._search, induction._Bank._call
    monkeypatch.setattr(induction, "_search", lambda *args: searches.append(args) or search(*args))
    monkeypatch.setattr(induction._Bank, "_call", lambda *args: terms.append(args[1]) or call(*args))
    config = InductionConfig(max_bank=500, subsets=3)
    generator = seeded()
    examples = [
        Example(random_lists(arity, generator), random_lists(1, generator, 6, 12)[0] + ("J",)) for _ in range(10)
    ]
    assert find(examples, arity, config=config) is None
    assert len(searches) == config.subsets
    assert 0 < len(terms) < 10 * config.max_bank * config.subsets


def test_a_table_no_larger_than_a_subset_is_searched_once(monkeypatch):
    searches = []
    monkeypatch.setattr(induction, "_search", lambda *args: searches.append(args))
    assert find(table(("J", "L"), ("L", "J")), 1) is None
    assert len(searches) == 1


def test_no_search_is_made_twice_unless_it_was_forgotten(monkeypatch):
    made, bank = [], induction._Bank
    monkeypatch.setattr(induction, "_Bank", lambda *given: made.append(given) or bank(*given))
    examples = [Example((("A",),), ("A", "forgotten"))]
    for count in (1, 1, 2):
        if count == 2:
            forget()
        assert induce(examples, 1, SPACE, CONFIG, seeded(0)) is None
        assert len(made) == count


def test_a_full_bank_is_searched_too():
    examples = table(("J", "R J J"), ("L K", "R L K L K"))
    assert find(examples, 1, config=InductionConfig(max_program_size=1)) is None
    assert find(examples, 1, config=InductionConfig(max_bank=3)) is None
    found = find(examples, 1, config=InductionConfig(max_bank=8))
    assert to_text(found.program) == '(cons "R" (append x0 x0))'


def test_judge():
    program = parse("(cdr x0)", 1)
    examples = [*table(("J L", "L")), *(replace(each, weight=0.5) for each in table(("J", "J"), ("", "")))]
    found = judge(program, examples, SPACE, CONFIG)
    assert found == Hypothesis(program, 0.5, pytest.approx(log2(0.98) + log2(0.02) - 4))
    assert judge(program, [], SPACE, CONFIG) == Hypothesis(program, 0.0, -4.0)


def test_an_inverse_may_give_more_than_what_is_known():
    """One of an own primitive may list all that gives a result, whatever is known of it."""

    def cuts(result, known):
        return [(result[:place], result[place:]) for place in range(len(result) + 1)]

    thorough = Primitive("append", (Type.LIST, Type.LIST), Type.LIST, lambda left, right: left + right, cuts)
    others = tuple(each for each in LISTS.primitives if each.name != "append")
    space = replace(SPACE, primitives=replace(LISTS, primitives=(*others, thorough)))
    examples = examples_of(parse("(append x1 (append x0 x1))", 2), 2, 16, seeded(1))
    small = replace(CONFIG, max_program_size=4)  # the second half is found as what the first one leaves
    found, wanted = (induce(examples, 2, each, small, seeded(0)) for each in (space, SPACE))
    assert to_text(found.program) == to_text(wanted.program)


def test_no_constant_without_need():
    for text, arity in SCAN_PROGRAMS[:3]:
        found = find(examples_of(parse(text, arity), arity, 16, seeded(1)), arity)
        assert not any(isinstance(each, Constant) for each in subterms(found.program))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"subset": 0}, "option 'subset' must be 1 or more, not 0"),
        ({"max_bank": 0}, "option 'max_bank' must be 1 or more, not 0"),
        ({"error_rate": 0.0}, "option 'error_rate' must be above 0 and below 0.5, not 0.0"),
        ({"error_rate": 0.5}, "option 'error_rate' must be above 0 and below 0.5, not 0.5"),
    ],
)
def test_wrong_settings(setting, message):
    with pytest.raises(ConfigError) as error:
        Config.of(**setting)
    assert str(error.value) == message
