"""HINT: the published draw, its cache, packed sequences, the language, its meaning and its trees."""

import hashlib
import os
import random
import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Transformer

from nsr.errors import ConfigError, InputError
from nsr.gss import ROOT
from nsr.semantics.execution import Executor
from nsr.semantics.lexicon import parse_lexicon
from nsr.semantics.primitives import primitive_set
from nsr.semantics.values import MISSING
from nsr.syntax.grammar import check, load_grammar
from nsr.tasks import Examples, Hint, hint, make_task
from nsr.tasks.expressions import (
    DIGITS,
    OPERATORS,
    VOCABULARY,
    count_operators,
    draw,
    infix,
    is_expression,
    long_expressions,
    nesting,
    read,
)
from nsr.tasks.hint import meaning
from nsr.tasks.packed import PackedNumbers, PackedTokens

# sha256 of the published lines.
PUBLISHED = {
    "train": "c26a3100387bc58fdb3c4c818d23e78b701ec218a1dd8b56fc06f2e0ff4197bf",
    "validation": "1144e57f46611c55717a7bb01bd41000c4584a19ac55d4dda1b74f2ebedbe8a2",
    "test": "7942528910ef39bcb8d3600ac185ba1432d3e6c926a1a929df13ca85d47b23ac",
}
SUBSETS = {"I": 9_980, "SS": 8_000, "LS": 10_000, "SL": 8_640, "LL": 10_000}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder for the cache, and nothing remembered from other tests."""
    monkeypatch.setenv("NSR_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache"
    forget()


def forget() -> None:
    hint.expressions.cache_clear()
    hint._trained.cache_clear()


# A tree is a digit or (operator, tree, tree).
tree = st.recursive(
    st.sampled_from(list(DIGITS)),
    lambda inner: st.tuples(st.sampled_from(list(OPERATORS)), inner, inner),
    max_leaves=12,
)


def prefix(tree) -> str:
    return tree if isinstance(tree, str) else tree[0] + prefix(tree[1]) + prefix(tree[2])


def apply(operator: str, i: int, j: int) -> int | None:
    """What operators mean, said once more, without division of negative numbers."""
    if operator in "/d":
        over, under = (i, j) if operator == "/" else (2 * i * j, i + j)
        return (over + under - 1) // under if under else None
    return {
        "+": i + j,
        "-": i - j if i > j else 0,
        "*": i * j,
        "a": i if i > j else j,
        "b": i if i < j else j,
        "c": (i + j + 1) // 2,
    }[operator]


def values(tree) -> list[int | None]:
    """The values of all phrases, the whole one last."""
    if isinstance(tree, str):
        return [{"x": 11, "y": 12}.get(tree) or int(tree)]
    left, right = values(tree[1]), values(tree[2])
    undefined = left[-1] is None or right[-1] is None
    return [*left, *right, None if undefined else apply(tree[0], left[-1], right[-1])]


def height(tree) -> int:
    return 0 if isinstance(tree, str) else 1 + max(map(height, tree[1:]))


ALIASES = {
    "plus": "+",
    "minus": "-",
    "larger": "a",
    "smaller": "b",
    "times": "*",
    "over": "/",
    "mean": "c",
    "harmonic": "d",
}


class Trees(Transformer):
    """The tree of an expression by ``grammars/hint.lark``."""

    def __default__(self, data, children, meta):
        return (ALIASES[data], *children) if data in ALIASES else str(*children)


# The published draw


def recipe(concept: str, most: int) -> dict[str, list[tuple[str, int]]]:
    """The few-shot draw as HINT's authors describe it, word by word, up to so many operators."""
    rng = random.Random(12306)
    digits = [*"0123456789", *(concept if concept in "xy" else "")]
    operators = [*"+-*/", *(concept if concept in "abcd" else "")]

    def enumerated(n):
        if n == 0:
            return digits
        phrases = [pair for i in range(n) for pair in product(enumerated(i), enumerated(n - 1 - i))]
        return [(operator, *pair) for operator in operators for pair in phrases]

    def sampled(n):
        if n == 0:
            return rng.choice(digits)
        operator, left = rng.choice(operators), rng.randint(0, n - 1)
        return (operator, sampled(left), sampled(n - 1 - left))

    def pool(n, least, largest, wanted):
        kept = []
        candidates = iter(enumerated(n) if n <= 2 else lambda: sampled(n), *([None] if n > 2 else []))
        while n <= 2 or len(kept) < wanted:
            tree = next(candidates, None)
            if tree is None:
                break
            worth = values(tree)
            if None in worth or not least <= max(worth) <= largest or concept not in prefix(tree):
                continue
            often = sum(values(other)[-1] == worth[-1] for other in kept) >= int(0.05 * wanted) if n > 2 else False
            if n > 2 and (tree in kept or worth[-1] == 0 or often):
                continue
            kept.append(tree)
        rng.shuffle(kept)
        return kept[:wanted]

    parts = {"train": [], "validation": [], "test": []}
    for n in range(concept in "abcd", most + 1):
        small, large = pool(n, 0, 100, 210), pool(n, 101, 10_000, 110)
        small = (small * 100)[:100] if len(small) < 100 else small
        parts["train"] += small[:100]
        parts["validation"] += small[:10] + small[100:110] + large[:10]
        parts["test"] += small[:100] + small[110:] + large[10:]
    return {part: [(infix(prefix(tree)), values(tree)[-1]) for tree in trees] for part, trees in parts.items()}


@pytest.mark.parametrize("concept", ["y", pytest.param("d", marks=pytest.mark.slow)])
def test_the_draw_is_the_recipe(concept):
    drawn = hint.expressions(concept)
    for part, pairs in recipe(concept, most=4).items():
        found = Examples(drawn[part].tokens, drawn[part].values).take(range(len(pairs)))
        assert [("".join(tokens), value) for tokens, value in found] == pairs


# As the authors printed them for x; y has two more for validation, since y*9, 9*y and y*y are above 100, of x only x*x.
@pytest.mark.parametrize(
    ("concept", "train", "validation", "test"),
    [
        ("y", 1_100, 493, 4_900),
        ("x", 1_100, 491, 4_900),
        *(pytest.param(concept, 1_000, 470, 4_700, marks=pytest.mark.slow) for concept in "abc"),
        ("d", 1_000, 470, 4_700),
    ],
)
def test_few_shot_splits(concept, train, validation, test):
    task = Hint(concept=concept)
    data = task.load("hint")
    assert (len(data.train), len(data.validation), len(data.test)) == (train, validation, test)
    assert all(concept in tokens for part in (data.train, data.validation, data.test) for tokens in part.inputs)
    assert all(meaning(tokens) == value for tokens, value in data.test)
    groups = task.subsets(data.test)
    trained = set(data.train.inputs)
    for size in (1, 3):
        shown = [index for index, value in enumerate(data.test.outputs) if 10 ** (size - 1) <= max(value, 1) < 10**size]
        assert groups[f"digits={size}"] == shown
    assert groups["I"] == [index for index, tokens in enumerate(data.test.inputs) if tokens in trained]
    if concept == "x":
        found = {name: len(groups[name]) for name in SUBSETS}
        assert found == {"I": 1_100, "SS": 900, "LS": 1_000, "SL": 900, "LL": 1_000}


def test_shots_are_drawn_by_seed():
    every = Hint(concept="d").load("hint")
    first, again, other = (Hint(concept="d", shots=20).load("hint", seed=seed) for seed in (0, 0, 1))
    assert list(first.train) == list(again.train) != list(other.train)
    assert len(first.train) == 20
    assert set(first.train) <= set(every.train)
    assert list(first.test) == list(other.test) == list(every.test)
    assert list(Hint(concept="d", shots=5_000).load("hint").train) == list(every.train)


@pytest.mark.slow
def test_the_published_expressions(cache):
    task = Hint()
    data = task.load("hint")
    for part, digest in PUBLISHED.items():
        examples = getattr(data, part)
        subset = {}
        if part != "train":
            groups = task.subsets(examples)
            subset = {index: f"\t{name}" for name in SUBSETS for index in groups[name]}
        lines = (f"{''.join(tokens)}\t{value}{subset.get(i, '')}\n" for i, (tokens, value) in enumerate(examples))
        assert hashlib.sha256("".join(lines).encode()).hexdigest() == digest, part
    assert (len(data.train), len(data.validation), len(data.test)) == (998_000, 4_698, 46_620)
    assert {name: len(groups[name]) for name in SUBSETS} == SUBSETS
    assert len(groups["operators=20"]) == 2_000
    assert sum(len(found) for name, found in groups.items() if name.startswith("depth=")) == 46_620
    # no two expressions share a hash, or the number of distinct ones would be too low
    assert len(np.unique(data.train.inputs.hashes())) == len(hint._trained("")) == 829_630
    held = (data.train.inputs.codes, data.train.inputs.bounds, data.train.outputs.numbers)
    assert sum(array.nbytes for array in held) < 60e6
    forget()
    start = time.perf_counter()
    again = task.load("hint")
    assert time.perf_counter() - start < 1
    assert list(again.test) == list(data.test)


# The cache


@pytest.fixture(scope="module")
def few():
    return draw("x")


@pytest.fixture
def drawn(monkeypatch, few) -> list[str]:
    """Few expressions in place of the published ones, and a record of how often they are drawn."""
    calls = []

    def count(concept: str = ""):
        calls.append(concept)
        return few

    monkeypatch.setattr(hint, "draw", count)
    return calls


def reload() -> list:
    forget()
    data = Hint().load("hint")
    return [list(part) for part in (data.train, data.validation, data.test)]


def test_the_cache_holds_what_was_drawn(cache, drawn):
    first = reload()
    assert [path.name for path in cache.iterdir()] == ["hint-1.npz"]
    assert reload() == first
    assert drawn == [""]
    Hint(concept="x").load("hint")
    assert [path.name for path in cache.iterdir()] == ["hint-1.npz"]


@pytest.mark.parametrize("damage", ["a value", "the tail", "everything", "a name", "pickle"])
def test_a_damaged_cache_is_drawn_again(cache, drawn, damage):
    first = reload()
    path = cache / "hint-1.npz"
    whole = path.read_bytes()
    if damage in ("a value", "a name", "pickle"):  # in an archive that is intact
        with np.load(path) as file:
            arrays = dict(file)
        if damage == "a value":
            arrays["test.values"][7] += 1
        elif damage == "a name":
            arrays["tested.values"] = arrays.pop("test.values")
        else:
            arrays["test.values"] = np.array([{}])
        np.savez(path, **arrays)
    else:
        path.write_bytes(whole[:-100] if damage == "the tail" else b"")
    assert reload() == first
    assert drawn == ["", ""]
    assert path.read_bytes() == whole
    assert os.listdir(cache) == ["hint-1.npz"]


def test_a_folder_that_cannot_be_written_keeps_nothing(cache, drawn):
    cache.write_text("a file where the folder should be")
    assert reload() == reload()
    assert drawn == ["", ""]


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NSR_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert hint.cache_folder() == tmp_path / ".cache/nsr"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert str(hint.cache_folder()) == "/caches/nsr"
    monkeypatch.setenv("NSR_CACHE", "/mine")
    assert str(hint.cache_folder()) == "/mine"


# Packed sequences

sequences = st.lists(st.lists(st.sampled_from(VOCABULARY), max_size=6).map(tuple), max_size=8)


@given(sequences, st.data())
def test_packed_tokens_are_a_sequence(plain, data):
    packed = PackedTokens.of(VOCABULARY, plain)
    numbers = PackedNumbers(np.array([len(tokens) for tokens in plain], np.int32))
    assert list(packed) == [packed[i] for i in range(len(packed))] == plain
    assert packed.lengths.tolist() == list(numbers) == list(map(len, plain))
    cut = data.draw(st.slices(len(plain)))
    assert list(packed[cut]) == plain[cut]
    assert list(numbers[cut]) == list(map(len, plain))[cut]
    if plain:
        places = data.draw(st.lists(st.integers(-len(plain), len(plain) - 1), max_size=9))
        assert list(packed.take(places)) == [plain[place] for place in places]
        taken = Examples(packed, numbers).take(place % len(plain) for place in places)
        assert isinstance(taken.inputs, PackedTokens)
        assert list(taken) == [(plain[place], len(plain[place])) for place in places]
        assert all(type(number) is int for number in (numbers[0], *numbers))
    hashes = packed.hashes().tolist()
    assert len(set(hashes)) == len(set(plain))
    assert dict(zip(plain, hashes, strict=True)) == {tokens: hashes[plain.index(tokens)] for tokens in plain}


@pytest.mark.parametrize("packed", [PackedTokens.of("ab", ["ab", "b"]), PackedNumbers(np.array([1, 2]))])
def test_packed_sequences_end(packed):
    assert packed[-1] == packed[1]
    for index in (2, -3):
        with pytest.raises(IndexError):
            packed[index]


# The language


@pytest.mark.parametrize("text", ["3+4*(5-2)", " 3 + 4\t*(5 - 2) \n"])
def test_white_space_says_nothing(text):
    assert Hint().encode(text) == ("3", "+", "4", "*", "(", "5", "-", "2", ")")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "empty sentence"),
        ("3+z", "unknown symbol 'z' at position 3; known symbols: 0 1 2 "),
        ("3 4", "'4' at position 2 cannot stand here; expected one of: "),
        ("3+*4", "'*' at position 3 cannot stand here"),
        ("3)", "')' at position 2 cannot stand here"),
        ("(3+4", "the sentence stops too early; expected one of: "),
        ("3+", "the sentence stops too early"),
    ],
)
def test_encode_refuses_other_sentences(text, message):
    with pytest.raises(InputError) as error:
        Hint().encode(text)
    assert str(error.value).startswith(message)


@given(tree)
def test_reading_agrees_with_the_grammar_and_brute_force(tree):
    text = infix(prefix(tree))
    tokens = Hint().encode(text)
    assert Trees().transform(check(load_grammar("hint"), tokens)) == tree
    worth = values(tree)
    found = read(tokens)
    assert found.value == meaning(tokens) == worth[-1]
    assert found.largest == max(value for value in worth if value is not None)
    assert found.depth == height(tree)
    assert count_operators(tokens) == (len(worth) - 1) // 2
    assert nesting(tokens) == max(text[:end].count("(") - text[:end].count(")") for end in range(len(text) + 1))


@given(tree)
def test_gold_heads_are_the_tree(tree):
    tokens = tuple(infix(prefix(tree)))
    heads = Hint().gold_heads(tokens)
    assert heads.count(ROOT) == 1

    def phrase(root):
        """The tree below a token and the places it covers, which must be next to each other."""
        below = [place for place, head in enumerate(heads) if head == root]
        parts = [phrase(place) for place in below if tokens[place] not in "()"]
        covered = sorted(
            [root, *(place for place in below if tokens[place] in "()"), *(p for _, c in parts for p in c)]
        )
        assert covered == list(range(covered[0], covered[-1] + 1))  # projective
        brackets = [tokens[place] for place in below if tokens[place] in "()"]
        if brackets:
            assert brackets == ["(", ")"]
            assert (tokens[covered[0]], tokens[covered[-1]]) == ("(", ")")
        return (tokens[root], *(part for part, _ in parts)) if parts else tokens[root], covered

    found, covered = phrase(heads.index(ROOT))
    assert found == tree
    assert len(covered) == len(tokens)


def test_gold_programs_mean_the_operators():
    lexicon = parse_lexicon(Hint().gold_lexicon, VOCABULARY, primitive_set("int"))
    symbols = {key: lexicon.symbols[key.symbol] for key in lexicon.entries}
    assert {(symbol, key.arity) for key, symbol in symbols.items()} == {
        *((symbol, 0) for symbol in (*DIGITS, "(", ")")),
        *((symbol, 2) for symbol in OPERATORS),
    }
    executor = Executor()
    for key, symbol in symbols.items():
        program = lexicon.entries[key].program
        if symbol in DIGITS:
            assert executor.run(program, ()) == DIGITS[symbol]
        for i, j in product(range(13), repeat=2) if symbol in OPERATORS else ():
            worth = apply(symbol, i, j)
            if i == j == 0 and symbol in "/d":
                worth = 0  # undefined in HINT, so no expression has it; the program looks at the dividend first
            assert executor.run(program, (i, j)) == (MISSING if worth is None else worth), (symbol, i, j)


@pytest.mark.parametrize(("operators", "largest"), [(200, 10**6), (20, 4)])
def test_long_expressions(operators, largest):
    found = long_expressions(5, operators, largest, np.random.default_rng(0))
    assert found == long_expressions(5, operators, largest, np.random.default_rng(0))
    assert len(set(found)) == 5
    for tokens in found:
        assert count_operators(tokens) == operators
        assert 0 < read(tokens).value <= read(tokens).largest <= largest
        assert read(tokens).value == brute(tokens)


def brute(tokens) -> int:
    """The value of a long expression by the grammar."""
    return values(Trees().transform(check(load_grammar("hint"), tokens)))[-1]


def test_nesting_is_not_limited():
    tokens = (*"1+(" * 3_000, "1", *")" * 3_000)
    assert meaning(tokens) == nesting(tokens) + 1 == 3_001
    assert Hint().gold_heads(tokens)[:4] == (1, ROOT, 4, 4)


# The task


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": "sounds"}, "input must be one of symbols, images, not 'sounds'"),
        ({"concept": "z"}, "concept must be one of x, y, a, b, c, d, or nothing, not 'z'"),
        ({"concept": "x", "shots": -1}, "shots must be a number of examples, or 0 for all, not -1"),
        ({"shots": 5}, "shots are for a concept; add --concept, one of x, y, a, b, c, d"),
        (
            {"word": "x"},
            "task 'hint' has no option 'word'; known options: input, concept, shots, symbols, symbol_split, quick",
        ),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError) as error:
        make_task("hint", **options)
    assert str(error.value) == message


def test_load_refuses_splits_and_folders(tmp_path):
    with pytest.raises(ConfigError, match="hint has no split 'simple'; known splits: hint"):
        Hint().load("simple")
    with pytest.raises(ConfigError, match="hint reads no files"):
        Hint().load("hint", data_dir=tmp_path)


@given(st.lists(st.sampled_from("12+*()"), min_size=1, max_size=7).map(tuple))
def test_is_expression_says_what_the_grammar_says(tokens):
    try:
        check(load_grammar("hint"), tokens)
        valid = True
    except InputError:
        valid = False
    assert is_expression(tokens) == valid


def test_a_symbol_that_has_no_name_yet_is_in_no_expression():
    for tokens in (("1", "s13"), ("1", "s13", "2"), ("s13",)):
        with pytest.raises(InputError, match=r"s13.* is no expression"):
            Hint().gold_heads(tokens)
