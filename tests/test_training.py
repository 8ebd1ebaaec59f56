"""The loop learns what it should, and stops and goes on where it should."""

from __future__ import annotations

import numpy as np
import pytest
from learners import SOLVABLE, SYMBOLS, lexicon_of, modules_of

import nsr
from nsr.errors import ConfigError
from nsr.learning import training
from nsr.learning.association import associate
from nsr.learning.config import Config
from nsr.learning.stages import Clock, Position, stages
from nsr.learning.training import Trainer
from nsr.semantics.execution import Executor
from nsr.semantics.induction import Space
from nsr.semantics.notation import parse_program
from nsr.semantics.primitives import primitive_set
from nsr.syntax.parser import GoldTrees
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks import make_task
from nsr.tasks.scan import GOLD_PROGRAMS, SPLITS

ACTIONS = ("I_WALK", "I_JUMP", "I_TURN_LEFT", "I_TURN_RIGHT")


def test_stages_grow_by_length_and_have_enough_examples():
    lengths = np.repeat([1, 2, 3, 4, 6, 9], [4, 18, 72, 320, 3000, 9000])
    assert stages(lengths, "length", least=1) == [1, 2, 3, 4, 6, 9]
    assert stages(lengths, "length", least=50) == [3, 4, 6, 9]
    assert stages(lengths, "none", least=1) == [9]
    assert stages(np.array([7, 7]), "length", least=50) == [7]


def test_words_are_associated_with_the_tokens_that_always_go_with_them():
    symbols = np.array([[0, 2], [1, 2], [0, 0], [1, 1]])  # "a twice", "b twice", "a a", "b b"
    outputs = [("A", "A"), ("B", "B"), ("A", "A"), ("B", "B")]
    guesses = associate(symbols, np.full(4, 2), outputs)
    assert [guesses[word][0].value for word in (0, 1, 2)] == [("A",), ("B",), ()]
    assert associate(symbols, np.full(4, 2), [1, 2, 3, 4]) == {}


@pytest.mark.parametrize("seed", range(3))
def test_short_commands_give_the_programs_of_scan(seed):
    model = nsr.train("scan", split="simple", seed=seed, max_tokens=4)
    executor, generator = Executor(), np.random.default_rng(seed)
    learned = {(model.lexicon.symbols[key.symbol], key.arity): entry for key, entry in model.lexicon.entries.items()}
    assert learned.keys() == GOLD_PROGRAMS.keys()
    for (word, arity), text in GOLD_PROGRAMS.items():
        gold = parse_program(text, primitive_set("list"), arity)
        for _ in range(20):
            arguments = [tuple(generator.choice(ACTIONS, generator.integers(1, 5))) for _ in range(arity)]
            assert executor.run(learned[word, arity].program, arguments) == executor.run(gold, arguments), word


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_every_split_is_solved(split):
    metrics = nsr.train("scan", split=split, seed=0).metrics
    assert metrics["test"]["accuracy"] == 100.0
    assert metrics["assumptions"]["word_order"] == "projective"


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"search": "mh"}, {"grammar_mask": False}, {"oracle": "early"}], ids=str)
def test_other_ways_to_search_and_parse_solve_scan_too(settings):
    assert nsr.train("scan", split="length", seed=0, **settings).metrics["test"]["accuracy"] == 100.0


@pytest.mark.slow
def test_the_official_files_give_the_same(data_dir):
    for split in ("simple", "length", "addprim_jump", "template_around_right"):
        assert nsr.train("scan", split=split, seed=1, data_dir=data_dir).metrics["test"]["accuracy"] == 100.0


def test_few_pairs_of_an_own_language():
    pairs = {
        "red": "R",
        "blue": "B",
        "red and blue": "R B",
        "blue and red": "B R",
        "red twice": "R R",
        "blue twice": "B B",
        "red and blue twice": "R B B",
    }
    model = nsr.NSR(primitives="list").fit(list(pairs), list(pairs.values()))
    assert model.predict(list(pairs)) == [tuple(output.split()) for output in pairs.values()]
    assert model.predict(["blue twice and red", "twice"]) == [("B", "B", "R"), None]


def test_a_limit_that_leaves_nothing_to_learn_from_is_refused():
    with pytest.raises(ConfigError, match="raise max_tokens"):
        nsr.NSR(max_tokens=1).fit(["a b"], ["A B"])


def sums(count: int, seed: int) -> dict[str, int]:
    """Numbers that are added and subtracted from the left, "less" ending at 0; any may have "next" in front."""
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    rng = np.random.default_rng(seed)
    found = {}
    while len(found) < count:
        sentence, value = "", 0
        for place in range(rng.choice([1, 2, 2, 2, 3, 4])):
            digit, following = int(rng.integers(10)), int(rng.geometric(0.7)) - 1
            operator = rng.choice(["plus", "less"]) if place else ""
            sentence += " ".join(["", operator, *["next"] * following, words[digit]])
            value = max(value - digit - following, 0) if operator == "less" else value + digit + following
        found[" ".join(sentence.split())] = value
    return found


def test_what_was_solved_by_wrong_trees_is_solved_again_when_nothing_else_helps():
    pairs = sums(200, seed=5)
    inputs, outputs = list(pairs), list(pairs.values())
    model = nsr.NSR(primitives="int", least=20).fit(inputs[:140], outputs[:140])
    assert model.predict(inputs[:140]) == outputs[:140]
    assert model.predict(inputs[140:]) == outputs[140:]


def test_the_parser_knows_the_lexicon_after_every_round():
    """What a checkpoint is read back to is licensed by its lexicon, so the run that goes on has to be, too."""
    task = make_task("scan")
    train = task.load("simple", seed=0).train
    short = [index for index, words in enumerate(train.inputs) if len(words) <= 5]
    examples = train.take(np.random.default_rng(0).permutation(short)[:600].tolist())
    model = nsr.NSR(task=task, **task.settings)
    replaced = []

    def compare(position: Position, record: dict) -> None:
        licensed, known = DependencyGrammar.of(model.lexicon), model.modules.parser.learned_grammar
        assert licensed.classes == known.classes
        assert (licensed.class_of == known.class_of).all()
        replaced.append(record.get("replaced", 0))

    model.fit(examples.inputs, examples.outputs, compare)
    assert any(replaced)


def trainer_of(modules, inputs, outputs, **settings):
    space = Space(primitive_set("list"))
    return Trainer(modules, inputs, outputs, space, Config.of(**settings), 0, Clock(), set())


def test_a_stage_that_is_learned_further_is_settled_again():
    model = nsr.NSR().fit(["a", "b", "a b"], ["A", "B", "A B"])
    trainer = trainer_of(model.modules, [("a",), ("b",), ("a", "b")], [("A",), ("B",), ("A", "B")])
    pool, generator = trainer.deduce_pool(0, None), np.random.default_rng(0)
    following, _ = trainer.go_on(Position(simplified=True, settled=True), pool, generator, stale=1)
    assert not following.settled


def test_given_trees_are_not_revised():
    modules = modules_of(lexicon_of(SOLVABLE), given=DependencyGrammar.of(lexicon_of("")))
    modules.parser.gold = GoldTrees(SYMBOLS, lambda words: (1, -1, 1))
    trainer = trainer_of(modules, [("u", "g", "a"), ("b", "g", "a")], [("C", "C"), ("A",)])
    found = trainer.abduce(np.arange(2), np.random.default_rng(0), guess=False).trees
    assert (found.sentence.tolist(), found.heads.tolist()) == ([1], [[1, -1, 1]])
    with pytest.raises(ConfigError, match="'search' must be best-first where the syntax is given"):
        Config.of(search="mh", syntax="given")


def test_words_that_parse_alike_are_models_for_a_new_one_only_once(monkeypatch):
    colors = {"red": "R", "blue": "B", "green": "G", "white": "W", "black": "K"}
    pairs = {**colors, **{f"{word} twice": f"{color} {color}" for word, color in colors.items()}}
    base = nsr.NSR().fit(list(pairs), list(pairs.values()))
    tried = []
    imitate, deduce = Trainer.imitate, training.deduce

    def counting(trainer: Trainer, examples: np.ndarray) -> None:
        monkeypatch.setattr(training, "deduce", lambda *given, **named: tried.append(given) or deduce(*given, **named))
        imitate(trainer, examples)
        monkeypatch.setattr(training, "deduce", deduce)
        tried.append(None)

    monkeypatch.setattr(Trainer, "imitate", counting)
    model = nsr.NSR().build_on(base).fit(["pink", "pink twice"], ["P", "P P"])
    assert model.predict(["pink twice", "red twice"]) == [("P", "P"), ("R", "R")]
    assert len(tried) == 2 * tried.count(None)


@pytest.mark.parametrize("given", ["syntax", "semantics"])
def test_scan_with_one_module_given(given):
    assert nsr.train("scan", split="length", max_tokens=5, **{given: "given"}).metrics["test"]["accuracy"] == 100


def test_only_projective_scan_gives_its_modules():
    for given in ("syntax", "semantics"):
        with pytest.raises(ConfigError, match=f"scan cannot give the {given}"):
            nsr.train("scan", word_order="raw", max_tokens=3, **{given: "given"})


def test_hits_alone_explain_nothing_without_programs_to_start_from():
    model = nsr.train("scan", split="length", max_tokens=3, abduce="")
    assert model.metrics["test"]["accuracy"] == 0
    assert not model.lexicon.entries


def test_a_draw_of_the_test_examples_may_stand_for_all():
    model = nsr.train("scan", split="length", max_tokens=5, tested=100)
    found = model.metrics["test"]
    assert (found["count"], found["accuracy"]) == (100, 100)
    assert 1 < len(found["subsets"]) < len(nsr.train("scan", split="length", max_tokens=3).metrics["test"]["subsets"])
