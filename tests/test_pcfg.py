"""PCFG SET: what inputs mean, that the generated ones are like the authors', splits, files, gold trees and programs."""

from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import v_args
from lark.visitors import Transformer_NonRecursive
from terms import run_text

from nsr.errors import ConfigError, DataError, InputError
from nsr.syntax.grammar import check, load_grammar
from nsr.tasks import Dataset, Examples, Pcfg, make_task, pcfg
from nsr.tasks.pcfg import GOLD_PROGRAMS, HELD_OUT, SPLITS, gold_heads
from nsr.tasks.string_edits import (
    ARITY,
    BINARIES,
    BINARY,
    FUNCTIONS,
    LITERALS,
    MAX_OUTPUT,
    MAX_TOKENS,
    SEPARATOR,
    STRINGS,
    TWIN,
    UNARY,
    Words,
    count_functions,
    deep,
    depth,
    generate,
    meaning,
    output_length,
    shapes,
)

OFFICIAL = tuple(SPLITS)  # the splits of which there are files


def split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def string_of(literals) -> tuple:
    return ("string", *literals)


# A tree is ("string", literal, ...) or (function, tree, ...).
literal = st.from_regex("[A-Z][0-9]{1,3}", fullmatch=True)
tree = st.recursive(
    st.lists(literal, min_size=1, max_size=4).map(string_of),
    lambda inner: (
        st.tuples(st.sampled_from([name for name, arity in ARITY.items() if arity == 1]), inner)
        | st.tuples(st.sampled_from([name for name, arity in ARITY.items() if arity == 2]), inner, inner)
    ),
    max_leaves=8,
)


def write(tree) -> tuple[str, ...]:
    """The tokens of a tree."""
    name, *parts = tree
    if name == "string":
        return tuple(parts)
    first, *others = map(write, parts)
    return (name, *first, *(token for other in others for token in (SEPARATOR, *other)))


def height(tree) -> int:
    return 0 if tree[0] == "string" else 1 + max(map(height, tree[1:]))


@v_args(inline=True)
class Interpretation(Transformer_NonRecursive):
    """What ``grammars/pcfg.lark`` means, said once more: lists of words, edited in place."""

    def string(self, *literals):
        return list(map(str, literals))

    def copy(self, words):
        return words

    def reverse(self, words):
        return list(reversed(words))

    def shift(self, words):
        return [*words[1:], words[0]]

    def swap_first_last(self, words):
        words = list(words)
        words[0], words[-1] = words[-1], words[0]
        return words

    def repeat(self, words):
        return words * 2

    def echo(self, words):
        return [*words, words[-1]]

    def append(self, first, second):
        return [*first, *second]

    def prepend(self, first, second):
        return [*second, *first]

    def remove_first(self, first, second):
        return second

    def remove_second(self, first, second):
        return first


def by_grammar(tokens) -> tuple[str, ...]:
    return tuple(Interpretation().transform(check(load_grammar("pcfg"), tokens)))


def answer(interpret, tokens) -> tuple[str, ...] | str:
    """The meaning, or why there is none."""
    try:
        return interpret(tokens)
    except InputError as error:
        return str(error)


# The language


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("A1 B2", "A1 B2"),
        ("copy A1 B2 C3", "A1 B2 C3"),
        ("reverse A1 B2 C3", "C3 B2 A1"),
        ("shift A1 B2 C3", "B2 C3 A1"),
        ("swap_first_last A1 B2 C3 D4", "D4 B2 C3 A1"),
        ("swap_first_last A1", "A1"),
        ("repeat A1 B2", "A1 B2 A1 B2"),
        ("echo A1 B2", "A1 B2 B2"),
        ("append A1 B2 , C3", "A1 B2 C3"),
        ("prepend A1 B2 , C3", "C3 A1 B2"),
        ("remove_first A1 B2 , C3", "C3"),
        ("remove_second A1 B2 , C3", "A1 B2"),
        ("append_twin reverse A1 B2 , repeat_twin Z999", "B2 A1 Z999 Z999"),
        ("append V6 I12 G9 , remove_first reverse Z18 Q18 H18 , K9 B2 M19 S12", "V6 I12 G9 K9 B2 M19 S12"),
        ("prepend remove_second append A1 , B2 , C3 , echo D4", "D4 D4 A1 B2"),
    ],
)
def test_meaning(text, output):
    assert meaning(split(text)) == split(output)
    assert Pcfg().encode(f"  {text}\n") == split(text)


@given(tree)
def test_the_interpreter_agrees_with_the_grammar(tree):
    tokens = write(tree)
    assert meaning(tokens) == by_grammar(tokens)
    assert output_length(tokens) == len(meaning(tokens))
    assert depth(tokens) == height(tree)
    assert Pcfg().encode(" ".join(tokens)) == tokens


@given(
    st.lists(st.sampled_from(["A1", "B2", ",", "copy", "append", "append_twin", "hop", "a1"]), max_size=7).map(tuple)
)
def test_the_interpreter_accepts_what_the_grammar_accepts(tokens):
    assert answer(meaning, tokens) == answer(by_grammar, tokens)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "empty sentence"),
        ("copy hop", "unknown word 'hop' at position 2; known words: LITERAL, copy, "),
        ("copy a1", "unknown word 'a1' at position 2"),
        ("copy A1 reverse B2", "'reverse' at position 3 cannot stand here; expected one of: LITERAL"),
        (
            "append A1 , B2 , C3",
            "',' at position 5 cannot stand here; expected one of: LITERAL, the end of the sentence",
        ),
        ("append A1 B2", "the sentence stops too early; expected one of: LITERAL, ,"),
        ("copy", "the sentence stops too early; expected one of: LITERAL, copy, "),
    ],
)
def test_encode_refuses_other_sentences(text, message):
    for read in (Pcfg().encode, lambda text: meaning(split(text))):
        with pytest.raises(InputError) as error:
            read(text)
        assert str(error.value).startswith(message)


def test_depth_is_not_limited():
    tokens = (*["reverse", "append", "copy"] * 2000, "A1", "B2", *[",", "C3"] * 2000)
    assert depth(tokens) == count_functions(tokens) == 6000
    assert meaning(tokens) == by_grammar(tokens)
    assert Pcfg().encode(" ".join(tokens)) == tokens
    assert len(gold_heads(tokens)) == len(tokens)
    assert output_length((*["repeat"] * 400, "A1")) == 2**400


@pytest.mark.parametrize(
    "name", ["pcfgset/test", "pcfgset/dev", "systematicity/test", "productivity/test", "10k/train"]
)
def test_the_language_is_the_authors(name, data_dir):
    for line, output in lines_of(data_dir / "pcfg" / name):
        assert meaning(split(line)) == split(output)


def lines_of(path: Path) -> list[tuple[str, str]]:
    """(input, output) of each line, read without the code under test."""
    texts = [path.with_name(f"{path.name}.{end}").read_text() for end in ("src", "tgt")]
    return list(zip(*(text.splitlines() for text in texts), strict=True))


# Random inputs


def trees(functions: int) -> list[tuple[int, ...]]:
    """The arities, in prefix order, of all trees with so many functions."""
    if functions == 0:
        return [(0,)]
    found = [(1, *inner) for inner in trees(functions - 1)]
    for left in range(functions):
        found += [(2, *first, *second) for first, second in product(trees(left), trees(functions - 1 - left))]
    return found


def probability(arities: tuple[int, ...]) -> float:
    """Of a tree when a function is unary with 0.75 and an argument a function with 0.25."""
    chance, kinds = 1.0, iter(arities)

    def descend(arity):
        nonlocal chance
        chance *= {1: 0.75, 2: 0.25}[arity]
        for _ in range(arity):
            argument = next(kinds)
            chance *= 0.25 if argument else 0.75
            if argument:
                descend(argument)

    descend(next(kinds))
    return chance


@pytest.mark.parametrize(("functions", "binaries"), [(n, b) for n in range(1, 6) for b in range(n + 1)])
def test_shapes_are_drawn_as_the_grammar_would(functions, binaries):
    alike = [each for each in trees(functions) if each.count(2) == binaries]
    chances = [probability(each) for each in alike]
    assert np.allclose(chances, chances[0])  # so given the two numbers all trees are equally probable
    count = 400 * len(alike)
    drawn = Counter(map(tuple, shapes(count, functions, binaries, np.random.default_rng(0)).tolist()))
    assert set(drawn) == set(alike)
    chi_square = sum((hits - 400) ** 2 / 400 for hits in drawn.values())
    freedom = len(alike) - 1
    assert chi_square <= freedom + 4 * np.sqrt(2 * freedom)


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.integers(0, 99))
def test_a_shape_is_a_tree_with_these_functions(numbers, seed):
    functions, binaries = numbers
    rng = np.random.default_rng(seed)
    (shape,) = shapes(1, functions, binaries, rng).tolist()
    tokens = Words(rng).fill(shape)
    assert sum(token in UNARY for token in tokens) == functions - binaries
    assert sum(token in BINARY for token in tokens) == tokens.count(SEPARATOR) == binaries
    assert depth(tokens) <= functions  # and so an input


def test_tables_are_shares():
    assert abs(sum(FUNCTIONS.values()) - 100_000) < 10
    assert all(len(row) == functions + 1 for functions, row in BINARIES.items())
    assert all(abs(sum(row) - 1000) <= 1 for row in BINARIES.values())
    assert sum(STRINGS.values()) == pytest.approx(1)


def test_inputs_are_drawn_by_the_seed():
    first, again, other = (generate(500, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first == again
    assert not set(first) & set(other)


@pytest.fixture(scope="module")
def generated() -> dict[str, Dataset]:
    """The generated examples of the splits; but for pcfgset only a tenth of them, to save time."""
    full = {"pcfgset": Pcfg().load("pcfgset")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pcfg, "TRAIN", 8_263)
        patch.setattr(pcfg, "TEST", 972)
        return full | {name: Pcfg().load(name) for name in ("systematicity", "productivity")}


def strings_of(tokens):
    """The strings of an input."""
    string = []
    for token in (*tokens, SEPARATOR):
        if token in ARITY or token == SEPARATOR:
            if string:
                yield tuple(string)
            string = []
        else:
            string.append(token)


def test_generated_inputs_are_new(generated):
    data = generated["pcfgset"]
    inputs = [*data.train.inputs, *data.test.inputs]
    strings = [string for tokens in inputs for string in strings_of(tokens)]
    assert len(set(strings)) == len(strings)  # and so all inputs differ
    assert set(map(len, strings)) == {2, 3, 4, 5}
    assert {word for string in strings for word in string} == set(LITERALS.tolist())
    assert max(map(len, inputs)) <= MAX_TOKENS
    assert max(map(len, data.train.outputs)) <= MAX_OUTPUT
    assert all(meaning(tokens) == output for tokens, output in data.test)


def figures(inputs, outputs=()) -> dict[str, float]:
    """What is compared of two sets of examples."""
    functions = Counter(map(count_functions, inputs))
    words = Counter(token for tokens in inputs for token in tokens if token in ARITY)
    return {
        **{f"{size} functions": functions[size] / len(inputs) for size in range(1, 13)},
        **{f"share of {name}": words[name] / words.total() for name in (*UNARY, *BINARY)},
        "tokens": sum(map(len, inputs)) / len(inputs) / 100,
        "depth": sum(map(depth, inputs)) / len(inputs) / 50,
        "output": sum(map(len, outputs)) / len(inputs) / 50,
    }


def test_generated_inputs_are_like_the_authors(generated, data_dir):
    test = generated["pcfgset"].test
    lines = [*lines_of(data_dir / "pcfg/pcfgset/test"), *lines_of(data_dir / "pcfg/pcfgset/dev")]
    published = figures(*zip(*((split(line), split(output)) for line, output in lines), strict=True))
    assert figures(test.inputs, test.outputs) == pytest.approx(published, abs=0.02)


# Splits


def neighbours(tokens) -> set[tuple[str, str]]:
    return {(tokens[i], tokens[i + 1]) for i in range(len(tokens) - 1)}


def has_held_out(tokens) -> bool:
    return bool(neighbours(tokens) & set(HELD_OUT))


def test_pcfgset_has_the_published_counts(generated):
    data = generated["pcfgset"]
    assert (len(data.train), len(data.test)) == (82_629, 9_721)
    assert data.source == "generated as grammars/pcfg.lark says"


def test_systematicity_trains_no_held_out_pair(generated):
    data = generated["systematicity"]
    assert not any(map(has_held_out, data.train.inputs))
    assert all(map(has_held_out, data.test.inputs))
    assert set().union(*map(neighbours, data.test.inputs)) >= set(HELD_OUT)
    assert len(data.train) + len(data.test) == 9_235
    assert len(data.test) == pytest.approx(1_017.5, rel=0.1)  # as many as the authors have


def test_productivity_trains_up_to_8_functions(generated):
    data = generated["productivity"]
    assert {count_functions(tokens) for tokens in data.train.inputs} == set(range(1, 9))
    tested = {count_functions(tokens) for tokens in data.test.inputs}
    assert min(tested) == 9
    assert 15 < max(tested) <= 35
    assert len(data.test) == pytest.approx(1_133.3, rel=0.1)


@pytest.mark.parametrize("name", OFFICIAL)
def test_files_are_read(name, data_dir):
    data = Pcfg().load(name, data_dir=data_dir)
    assert [(" ".join(a), " ".join(b)) for a, b in data.test] == lines_of(data_dir / "pcfg" / name / "test")
    lines = [(split(a), split(b)) for a, b in lines_of(data_dir / "pcfg/10k/train")]
    kept = {
        "pcfgset": lambda tokens: True,
        "systematicity": lambda tokens: not has_held_out(tokens),
        "productivity": lambda tokens: count_functions(tokens) <= 8,
    }[name]
    assert list(data.train) == [line for line in lines if kept(line[0])]
    assert not set(data.train.inputs) & set(data.test.inputs)
    rule = "" if name == "pcfgset" else " by the split's rule"
    assert data.source == f"the authors' files, training from 10k/train{rule}"


def test_data_dir_may_be_the_pcfg_folder_itself(data_dir):
    assert Pcfg().load("pcfgset", data_dir=data_dir / "pcfg") == Pcfg().load("pcfgset", data_dir=data_dir)


# Files that are not what they should be


def write_files(path: Path, examples: Examples) -> None:
    """The files of examples, as the authors' are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for end, column in ((".src", examples.inputs), (".tgt", examples.outputs)):
        path.with_suffix(end).write_text("".join(f"{' '.join(tokens)}\n" for tokens in column))


@pytest.fixture
def files(tmp_path, generated) -> Path:
    """Good files of the split ``pcfgset``, as a folder to spoil."""
    write_files(tmp_path / "pcfg/pcfgset/test", generated["pcfgset"].test)
    write_files(tmp_path / "pcfg/pcfgset/train", generated["pcfgset"].train.take(range(5)))
    return tmp_path / "pcfg/pcfgset"


def test_written_files_are_read_back(files, generated):
    data = Pcfg().load("pcfgset", data_dir=files.parents[1])
    assert data.test == generated["pcfgset"].test
    assert data.train == generated["pcfgset"].train.take(range(5))
    assert data.source == "the authors' files"


def test_what_is_tested_is_not_trained(files, generated):
    (files / "train.src").unlink()
    test = generated["pcfgset"].test.take([7, 8])
    write_files(files.parent / "10k/train", Examples((*test.inputs, ("copy", "A1")), (*test.outputs, ("A1",))))
    data = Pcfg().load("pcfgset", data_dir=files.parent)
    assert list(data.train) == [(("copy", "A1"), ("A1",))]
    assert data.source == "the authors' files, training from 10k/train by the split's rule"


@pytest.mark.parametrize(
    ("end", "line", "reason"),
    [
        ("src", "", "empty sentence"),
        ("src", "copy hop", "unknown word 'hop' at position 2"),
        ("src", "copy A1 , B1", "',' at position 3 cannot stand here"),
        ("tgt", "A1 B2", "this is not the output of '"),
        ("tgt", "", "this is not the output of '"),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_bad_line_is_named(files, part, end, line, reason):
    path = files / f"{part}.{end}"
    lines = path.read_text().splitlines()
    lines[2] = line
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as error:
        Pcfg().load("pcfgset", data_dir=files.parent)
    assert str(error.value).startswith(f"{path}:3: {reason}")


def test_a_truncated_file_is_refused(files, generated):
    write_files(files / "test", generated["pcfgset"].test.take(range(9_720)))
    with pytest.raises(DataError, match=r"test\.src: expected 9721 lines, found 9720;"):
        Pcfg().load("pcfgset", data_dir=files.parent)


def test_files_of_different_length_are_refused(files):
    (files / "train.tgt").write_text("A1 B2\n")
    with pytest.raises(DataError, match=r"train\.src has 5 lines, .*train\.tgt has 1$"):
        Pcfg().load("pcfgset", data_dir=files.parent)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("test", r"test\.src:2: by the rule of the split this is a training example"),
        ("train", r"train\.src:2: by the rule of the split this is a test example"),
    ],
)
def test_lines_of_the_other_part_are_refused(part, reason, tmp_path, generated, monkeypatch):
    monkeypatch.setitem(SPLITS, "productivity", replace(SPLITS["productivity"], test=2))
    data = generated["productivity"]
    parts = {"train": data.train.take([0, 1]), "test": data.test.take([0, 1])}
    wrong = (data.test if part == "train" else data.train).take([5])
    good = parts[part].take([0])
    parts[part] = Examples(good.inputs + wrong.inputs, good.outputs + wrong.outputs)
    for name, examples in parts.items():
        write_files(tmp_path / "productivity" / name, examples)
    with pytest.raises(DataError, match=reason):
        Pcfg().load("productivity", data_dir=tmp_path)


def test_a_missing_file_is_named(files):
    (files / "test.tgt").unlink()
    with pytest.raises(DataError, match=r"test\.tgt does not exist; .*run without --data-dir"):
        Pcfg().load("pcfgset", data_dir=files.parent)
    with pytest.raises(DataError, match=r"nowhere/pcfg/pcfgset/test\.src does not exist; "):
        Pcfg().load("pcfgset", data_dir=files / "nowhere")


def test_what_is_not_text_is_refused(files):
    (files / "test.src").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        Pcfg().load("pcfgset", data_dir=files.parent)


# The task's contract


def test_subsets_partition_the_examples(generated):
    test = generated["pcfgset"].test
    subsets = Pcfg().subsets(test)
    assert {"functions=3", "depth=2", "tokens=18", "output=5"} < set(subsets)
    sizes_of = (
        ("functions", count_functions, test.inputs),
        ("depth", depth, test.inputs),
        ("tokens", len, test.inputs),
    )
    for what, measure, column in (*sizes_of, ("output", len, test.outputs)):
        groups = {name: indices for name, indices in subsets.items() if name.startswith(f"{what}=")}
        assert sorted(index for indices in groups.values() for index in indices) == list(range(len(test)))
        assert all(measure(column[i]) == int(name.split("=")[1]) for name, group in groups.items() for i in group)
        sizes = [int(name.split("=")[1]) for name in groups]
        assert sizes == sorted(sizes)


def test_make_task():
    assert make_task("pcfg", exceptions=0.5).assumptions() == {"exceptions": 0.5, "reverse": True}
    assert make_task("pcfg").primitives == "list-reverse"
    assert make_task("pcfg", reverse=False).primitives == "list-recursive"
    assert make_task("pcfg").settings == {"literals": True, "separators": ",", "least": 50}


@pytest.mark.parametrize("percent", [0, -1, 100.1, float("nan")])
def test_a_share_of_exceptions_is_a_percentage(percent):
    with pytest.raises(ConfigError, match=r"^exceptions must be a percentage, above 0 and at most 100, not "):
        make_task("pcfg", exceptions=percent)


def test_an_unknown_split_is_refused():
    with pytest.raises(ConfigError, match=r"^pcfg has no split 'simple'; known splits: pcfgset, systematicity, "):
        Pcfg().load("simple")


# Deep inputs


@pytest.mark.parametrize(("functions", "longest"), [(1, 5), (7, 12), (300, 100), (300, 500)])
def test_deep_inputs(functions, longest):
    examples = deep(functions, 10, np.random.default_rng(0), longest)
    assert examples == deep(functions, 10, np.random.default_rng(0), longest)
    assert len(set(examples.inputs)) == 10
    for tokens, output in examples:
        assert depth(tokens) == count_functions(tokens) == functions
        assert meaning(tokens) == output
        assert 2 <= len(output) <= longest


def test_the_innermost_function_of_a_deep_input_matters():
    for tokens in deep(40, 20, np.random.default_rng(1), 200).inputs:
        innermost = max(index for index, token in enumerate(tokens) if token in ARITY)
        changed = (*tokens[:innermost], "repeat", *tokens[innermost:])
        assert meaning(changed) != meaning(tokens)


def test_deep_inputs_use_all_functions_at_all_depths():
    inputs = deep(300, 10, np.random.default_rng(0), 500).inputs
    functions = [[token for token in tokens if token in ARITY] for tokens in inputs]
    for part in (slice(None, 150), slice(150, None)):
        assert {name for names in functions for name in names[part]} == {*UNARY, *BINARY}


def test_deep_outputs_cannot_be_shorter_than_strings():
    with pytest.raises(ValueError, match="max_output must be 5 or more, not 4"):
        deep(3, 1, np.random.default_rng(0), 4)


# Gold heads and programs


def execute(tokens, heads, node) -> tuple[str, ...]:
    """The value of a node: the gold program of its word and arity on its dependents, left to right."""
    dependents = [child for child, head in enumerate(heads) if head == node and tokens[child] != SEPARATOR]
    word = tokens[node] if tokens[node] in ARITY else "literal"
    values = [execute(tokens, heads, child) for child in dependents]
    return run_text(GOLD_PROGRAMS[word, len(dependents)], values, tokens[node])


def is_projective(heads) -> bool:
    """No two arcs cross."""
    arcs = [sorted(arc) for arc in enumerate(heads) if arc[1] != -1]
    return not any(a < c < b < d for a, b in arcs for c, d in arcs)


@pytest.mark.parametrize(
    ("text", "heads"),
    [
        ("A1", (-1,)),
        ("A1 B2 C3", (-1, 0, 1)),
        ("copy A1 B2", (-1, 0, 1)),
        ("append A1 B2 , C3", (-1, 0, 1, 0, 0)),
        ("reverse append copy A1 , prepend B2 , C3 D4", (-1, 0, 1, 2, 1, 1, 5, 5, 5, 8)),
        (
            "append V6 I12 G9 , remove_first reverse Z18 Q18 H18 , K9 B2 M19 S12",
            (-1, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 5, 11, 12, 13),
        ),
    ],
)
def test_gold_heads(text, heads):
    assert gold_heads(split(text)) == heads


def test_gold_heads_refuse_what_is_no_input():
    with pytest.raises(InputError, match="',' at position 3 cannot stand here"):
        gold_heads(split("copy A1 , B2"))


def test_gold_trees_and_programs_give_every_input_its_output():
    assert set(GOLD_PROGRAMS) == {*ARITY.items(), ("literal", 0), ("literal", 1)}
    inputs = generate(300, np.random.default_rng(0))
    for tokens in [*inputs, split(f"append{TWIN} repeat{TWIN} A1 B2 , remove_second{TWIN} C3 D4 , E5")]:
        heads = gold_heads(tokens)
        assert len(heads) == len(tokens)
        assert heads.count(-1) == 1
        assert is_projective(heads)
        assert execute(tokens, heads, heads.index(-1)) == meaning(tokens)
