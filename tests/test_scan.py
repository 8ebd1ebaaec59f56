"""SCAN: the generated data are the authors', each split is its rule, gold trees and programs are right."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terms import run_text

from nsr.errors import ConfigError, DataError, InputError
from nsr.tasks import TASKS, Scan, make_task
from nsr.tasks.scan import GOLD_PROGRAMS, SPLITS, commands, depth, gold_heads, to_projective, to_raw

RAW = Scan(word_order="raw")
VERBS = ("walk", "look", "run", "jump")
OFFICIAL = ("simple", "length", "addprim_jump", "template_around_right")  # the files at hand

some_command = st.sampled_from(list(commands()))


def text(command) -> str:
    return " ".join(command)


def says(command, *phrases) -> bool:
    return any(f" {phrase} " in f" {text(command)} " for phrase in phrases)


def lines_of(path: Path) -> list[tuple[str, str]]:
    """(command, actions) of each line, read without the code under test."""
    return [tuple(line[len("IN: ") :].split(" OUT: ")) for line in path.read_text().splitlines()]


def as_lines(examples) -> list[tuple[str, str]]:
    return [(text(command), text(actions)) for command, actions in examples]


def files_of(data_dir: Path, split: str) -> tuple[Path, Path]:
    folder = data_dir / "scan" / SPLITS[split].folder
    return folder / f"tasks_train_{split}.txt", folder / f"tasks_test_{split}.txt"


# The language


def test_there_are_20910_commands():
    assert len(commands()) == 20_910
    assert max(map(len, commands())) == 9
    assert max(map(len, commands().values())) == 48


@pytest.mark.parametrize(
    ("command", "actions"),
    [
        ("jump", "I_JUMP"),
        ("turn left", "I_TURN_LEFT"),
        ("look right", "I_TURN_RIGHT I_LOOK"),
        ("turn opposite left", "I_TURN_LEFT I_TURN_LEFT"),
        ("run opposite left", "I_TURN_LEFT I_TURN_LEFT I_RUN"),
        ("turn around right", "I_TURN_RIGHT I_TURN_RIGHT I_TURN_RIGHT I_TURN_RIGHT"),
        ("walk left twice", "I_TURN_LEFT I_WALK I_TURN_LEFT I_WALK"),
        ("walk after run thrice", "I_RUN I_RUN I_RUN I_WALK"),
        ("walk twice and run", "I_WALK I_WALK I_RUN"),
    ],
)
def test_meaning(command, actions):
    assert commands()[tuple(command.split())] == tuple(actions.split())


def test_the_language_is_the_authors(data_dir):
    train, test = files_of(data_dir, "simple")
    assert {(text(c), text(a)) for c, a in commands().items()} == {*lines_of(train), *lines_of(test)}


# Splits: each one's defining property, then the authors' files


@pytest.mark.parametrize("split", Scan.splits)
def test_counts(split):
    data = RAW.load(split)
    assert (len(data.train), len(data.test)) == (SPLITS[split].train, SPLITS[split].test)
    assert not set(data.train.inputs) & set(data.test.inputs)
    assert len(set(data.test.inputs)) == len(data.test)
    assert all(commands()[command] == actions for part in (data.train, data.test) for command, actions in part)


def test_length_trains_up_to_22_actions_and_tests_24_to_48():
    data = RAW.load("length")
    assert max(map(len, data.train.outputs)) == 22
    assert {min(map(len, data.test.outputs)), max(map(len, data.test.outputs))} == {24, 48}
    assert len(data.train) + len(data.test) == len(commands())


@pytest.mark.parametrize(
    ("split", "primitive", "times"),
    [("addprim_jump", "jump", 1_467), ("addprim_turn_left", "turn left", 2_189)],
)
def test_addprim_trains_the_primitive_alone(split, primitive, times):
    data = RAW.load(split)
    assert Counter(text(c) for c in data.train.inputs if says(c, primitive)) == {primitive: times}
    assert all(says(command, primitive) for command in data.test.inputs)
    assert set(data.train.inputs) | set(data.test.inputs) == set(commands())


@pytest.mark.parametrize("phrase", ["around right", "opposite right", "right"])
def test_template_trains_nothing_of_the_template(phrase):
    data = RAW.load(f"template_{phrase.replace(' ', '_')}")
    tested, left_out = [f"{verb} {phrase}" for verb in VERBS], f"turn {phrase}"
    assert all(says(command, *tested) for command in data.test.inputs)
    assert not any(says(command, *tested) for command in data.train.inputs)
    assert set(commands()) - {*data.train.inputs, *data.test.inputs} == {
        command for command in commands() if says(command, left_out)
    }


def test_template_jump_around_right_trains_the_template_with_other_verbs():
    data = RAW.load("template_jump_around_right")
    assert all(says(command, "jump around right") for command in data.test.inputs)
    assert not any(says(command, "jump around right", "turn around right") for command in data.train.inputs)
    for phrase in ("walk around right", "jump around left", "jump opposite right"):
        assert any(says(command, phrase) for command in data.train.inputs)


def test_simple_is_drawn_by_the_seed():
    first, again, other = (Scan().load("simple", seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert set(first.test.inputs) != set(other.test.inputs)
    assert {*first.train.inputs, *first.test.inputs} == set(map(to_projective, commands()))


@pytest.mark.parametrize("split", [split for split in Scan.splits if split != "simple"])
def test_other_splits_do_not_depend_on_the_seed(split):
    assert Scan().load(split, seed=0) == Scan().load(split, seed=1)


@pytest.mark.parametrize("split", [split for split in OFFICIAL if split != "simple"])
def test_generated_splits_are_the_authors(split, data_dir):
    data = RAW.load(split)
    train, test = files_of(data_dir, split)
    assert Counter(as_lines(data.train)) == Counter(lines_of(train))
    assert Counter(as_lines(data.test)) == Counter(lines_of(test))


@pytest.mark.parametrize("split", OFFICIAL)
def test_files_are_read_in_their_order(split, data_dir):
    data = RAW.load(split, data_dir=data_dir)
    train, test = files_of(data_dir, split)
    assert as_lines(data.train) == lines_of(train)
    assert as_lines(data.test) == lines_of(test)
    assert data.source != RAW.load(split).source


def test_data_dir_may_be_the_scan_folder_itself(data_dir):
    assert Scan().load("length", data_dir=data_dir / "scan") == Scan().load("length", data_dir=data_dir)


# Files that are not what they should be


@pytest.fixture
def length_files(tmp_path) -> tuple[Path, Path]:
    """Good files of the split ``length``, as a folder to spoil."""
    data = RAW.load("length")
    folder = tmp_path / "scan" / "length_split"
    folder.mkdir(parents=True)
    for part, examples in (("train", data.train), ("test", data.test)):
        lines = (f"IN: {command} OUT: {actions}\n" for command, actions in as_lines(examples))
        (folder / f"tasks_{part}_length.txt").write_text("".join(lines))
    return tmp_path, folder / "tasks_train_length.txt"


def test_written_files_are_read_back(length_files):
    loaded, generated = Scan().load("length", data_dir=length_files[0]), Scan().load("length")
    assert (loaded.train, loaded.test) == (generated.train, generated.test)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "expected 'IN: <command> OUT: <actions>'"),
        ("jump OUT: I_JUMP", "expected 'IN: <command> OUT: <actions>'"),
        ("IN: jump", "expected 'IN: <command> OUT: <actions>'"),
        ("IN: jump OUT:", "expected 'IN: <command> OUT: <actions>'"),
        ("IN:  OUT: I_JUMP", "empty sentence"),
        ("IN: jump hop OUT: I_JUMP", "unknown word 'hop' at position 2"),
        ("IN: jump jump OUT: I_JUMP", "'jump' at position 2 cannot stand here"),
        ("IN: jump twice OUT: I_JUMP", "these are not the actions of 'jump twice'"),
        ("IN: jump OUT: I_HOP", "these are not the actions of 'jump'"),
    ],
)
def test_a_bad_line_is_named(length_files, line, reason):
    data_dir, path = length_files
    lines = path.read_text().splitlines()
    lines[2] = line
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as error:
        Scan().load("length", data_dir=data_dir)
    assert str(error.value).startswith(f"{path}:3: {reason}")


@pytest.mark.parametrize(("keep", "found"), [(slice(-1), 16_989), (slice(0), 0)])
def test_a_truncated_file_is_refused(length_files, keep, found):
    data_dir, path = length_files
    path.write_text("".join(path.read_text().splitlines(keepends=True)[keep]))
    with pytest.raises(DataError) as error:
        Scan().load("length", data_dir=data_dir)
    assert str(error.value).startswith(f"{path}: expected 16990 lines, found {found};")


def test_a_missing_file_is_named(length_files):
    data_dir, path = length_files
    path.unlink()
    with pytest.raises(DataError) as error:
        Scan().load("length", data_dir=data_dir)
    assert str(error.value).startswith(f"{path} does not exist; ")
    assert "run without --data-dir" in str(error.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"tasks_train_simple\.txt does not exist"):
        Scan().load("simple", data_dir=tmp_path / "nowhere")


def test_what_is_not_text_is_refused(length_files):
    data_dir, path = length_files
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        Scan().load("length", data_dir=data_dir)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError) as error:
        Scan().load("length", data_dir=data_dir)
    assert str(error.value) == f"{path} cannot be read: Is a directory"
    shutil.rmtree(path)


# Word order and the task's contract


@pytest.mark.parametrize(
    ("raw", "projective"),
    [
        ("jump", "jump"),
        ("jump left", "jump left"),
        ("jump around left", "jump left around"),
        ("turn opposite right twice", "turn right opposite twice"),
        (
            "run around left thrice after walk opposite right",
            "run left around thrice after walk right opposite",
        ),
    ],
)
def test_word_order(raw, projective):
    raw, projective = tuple(raw.split()), tuple(projective.split())
    assert to_projective(raw) == projective
    assert to_raw(projective) == raw


def test_word_order_is_a_one_to_one_mapping():
    moved = {command: to_projective(command) for command in commands()}
    assert len(set(moved.values())) == len(moved)
    assert all(to_raw(projective) == command for command, projective in moved.items())
    assert all(to_projective(projective) == projective for projective in moved.values())


@given(some_command)
def test_encode_reads_what_load_gives(command):
    assert RAW.encode(text(command)) == command
    assert Scan().encode(f"  {text(command)}\n") == to_projective(command)


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        (" ", "empty sentence"),
        ("jump hop", "unknown word 'hop' at position 2; known words: and, after, "),
        ("jump left around", "'around' at position 3 cannot stand here; expected one of: and, after, "),
        ("walk after", "the sentence stops too early; expected one of: turn, walk, "),
    ],
)
def test_encode_refuses_other_sentences(sentence, message):
    with pytest.raises(InputError) as error:
        Scan().encode(sentence)
    assert str(error.value).startswith(message)


def test_subsets_partition_the_examples_by_length():
    test = Scan().load("length").test
    subsets = Scan().subsets(test)
    assert list(subsets)[:2] == ["actions=24", "actions=25"]
    assert list(subsets)[-1] == "tokens=9"
    for what, size, column in (
        ("actions", len, test.outputs),
        ("tokens", len, test.inputs),
        ("depth", depth, test.inputs),
    ):
        groups = {name: indices for name, indices in subsets.items() if name.startswith(f"{what}=")}
        assert sorted(index for indices in groups.values() for index in indices) == list(range(len(test)))
        assert all(size(column[i]) == int(name.split("=")[1]) for name, group in groups.items() for i in group)


def test_depth_is_that_of_the_gold_tree():
    for raw in list(commands())[::97]:
        heads = gold_heads(to_projective(raw))

        def above(node, heads=heads):
            return 0 if heads[node] < 0 else 1 + above(heads[node])

        assert depth(raw) == depth(to_projective(raw)) == max(map(above, range(len(heads)))), raw


def test_make_task():
    assert make_task("scan", word_order="raw") == RAW
    assert make_task("scan").assumptions() == {"word_order": "projective"}
    assert all(task.name == name and task.default_split in task.splits for name, task in TASKS.items())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("scam", {}, "unknown task 'scam'; did you mean scan"),
        ("scan", {"order": "raw"}, "task 'scan' has no option 'order'; known options: word_order"),
        ("scan", {"word_order": "row"}, "word_order must be one of projective, raw, not 'row'"),
    ],
)
def test_make_task_refuses_what_it_does_not_know(name, options, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        make_task(name, **options)


def test_an_unknown_split_is_refused():
    with pytest.raises(ConfigError, match=r"^scan has no split 'mcd1'; known splits: simple, length, "):
        Scan().load("mcd1")


def test_tasks_do_not_import_torch():
    code = "import sys, nsr.tasks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Gold heads and programs


def execute(tokens, heads, node) -> tuple[str, ...]:
    """The value of a node: the gold program of its word and arity on its dependents, left to right."""
    dependents = [child for child, head in enumerate(heads) if head == node]
    return run_text(
        GOLD_PROGRAMS[tokens[node], len(dependents)], [execute(tokens, heads, child) for child in dependents]
    )


def is_projective(heads) -> bool:
    """Every word between a head and its dependent descends from that head."""

    def descends(node, ancestor):
        while node not in (ancestor, -1):
            node = heads[node]
        return node == ancestor

    return all(
        descends(between, head)
        for child, head in enumerate(heads)
        if head != -1
        for between in range(min(child, head) + 1, max(child, head))
    )


@pytest.mark.parametrize(
    ("command", "heads"),
    [
        ("jump", (-1,)),
        ("turn left", (1, -1)),
        ("jump left around", (1, 2, -1)),
        ("turn left opposite", (1, 2, -1)),
        ("jump left around twice and walk right opposite", (1, 2, 3, 4, -1, 6, 7, 4)),
        ("run thrice after look", (1, 2, -1, 2)),
    ],
)
def test_gold_heads(command, heads):
    assert gold_heads(tuple(command.split())) == heads


def test_gold_heads_refuse_what_is_no_command_in_projective_order():
    with pytest.raises(ValueError, match="'jump around left' is not in projective order"):
        gold_heads(("jump", "around", "left"))
    with pytest.raises(InputError):
        gold_heads(("jump", "jump"))


def test_gold_trees_and_programs_give_every_command_its_actions():
    assert len(GOLD_PROGRAMS) == 13
    for command, actions in commands().items():
        tokens = to_projective(command)
        heads = gold_heads(tokens)
        assert len(heads) == len(tokens)
        assert heads.count(-1) == 1
        assert is_projective(heads)
        assert execute(tokens, heads, heads.index(-1)) == actions
