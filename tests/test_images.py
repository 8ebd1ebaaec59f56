"""Perception of images, and the grounding of its symbols, on small made-up glyphs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from glyphs import glyphs, pictured
from safetensors import torch as safetensors

import nsr
from nsr.errors import ConfigError, DataError, InputError
from nsr.learning.config import Config
from nsr.learning.grounding import ground
from nsr.learning.knowledge import gold_names
from nsr.perception.images import ImagePerception, pictures
from nsr.perception.network import ImageConfig, augment, prepare
from nsr.pictures import ImagePool, PackedPictures, Pictures
from nsr.semantics.execution import Executor
from nsr.semantics.induction import Space
from nsr.semantics.lexicon import parse_lexicon
from nsr.semantics.primitives import primitive_set
from nsr.semantics.values import EMPTY
from nsr.start import Start
from nsr.tasks import Task
from nsr.tasks.expressions import is_expression, read
from nsr.tasks.hint import GOLD_LEXICON

INT = primitive_set("int")

SMALL = {"channels": "8 16 16 32", "first_steps": 60, "image_steps": 60, "image_batch": 64, "views": 2}
HINT = {"constants": True, "empty": True, "licensed": 8, "max_arity": 2, "view_gain": 0.001, "between": False}


def language(count, seed):
    """Expressions of digits below 5, + and *, some in parentheses, with their values."""
    rng, found = np.random.default_rng(seed), []

    def digit():
        return str(rng.integers(5))

    def operation():
        return f"{digit()}{rng.choice(list('+*'))}{digit()}"

    for index in range(count):
        kind = index % 5
        if kind == 0:
            found.append(digit())
        elif kind in (1, 2):
            found.append(operation())
        elif kind == 3:
            found.append(f"{operation()}{rng.choice(list('+*'))}{digit()}")
        else:
            found.append(f"({operation()}){rng.choice(list('+*'))}{digit()}")
    return found, [read(tuple(each)).value for each in found]


@pytest.fixture(scope="module")
def learned():
    expressions, values = language(1500, 0)
    inputs, names = pictured(expressions)
    model = nsr.NSR("int", seed=0, **HINT, **SMALL, turns=1, pool=256, batch=128, final=256, decoded=400)
    return model.fit(inputs, values), names


def test_perception_syntax_and_semantics_are_learned_from_results_alone(learned):
    model, names = learned
    perception = model.modules.perception
    assert len(perception.symbols) == len(set(names)) == 9
    assert len(perception.separators) == 2
    expressions, values = language(300, 1)
    inputs, _ = pictured(expressions, seed=1)
    right = np.mean([found == value for found, value in zip(model.predict(inputs), values, strict=True)])
    assert right > 0.95


def test_each_symbol_is_one_label(learned):
    model, names = learned
    images, labels = glyphs(sorted(set(names)), 5, seed=2)
    pool = ImagePool(images)
    found = model.modules.perception.log_probs(pool, np.arange(len(images))).argmax(axis=1)
    assert len({(symbol, label) for symbol, label in zip(found.tolist(), labels, strict=True)}) == 9


def test_arrays_are_inputs(learned):
    model, _ = learned
    inputs, _ = pictured(["3+4*2"], seed=3)
    images = list(inputs[0].images)
    assert model.predict([images]) == model.predict([inputs[0]]) == [11]
    gss = model.deduce(images)
    assert gss.value == 11
    assert gss.inputs == ("#0", "#1", "#2", "#3", "#4")


def test_a_saved_model_answers_the_same(learned, tmp_path):
    model, _ = learned
    model.save(tmp_path / "run")
    loaded = nsr.load(tmp_path / "run")
    inputs, _ = pictured(language(50, 4)[0], seed=4)
    assert loaded.predict(inputs) == model.predict(inputs)
    found, expected = loaded.derive(inputs), model.derive(inputs)
    assert np.array_equal(found.trees.log_probs, expected.trees.log_probs)


@pytest.mark.parametrize(
    "change",
    [
        {"symbols": 8},
        {"separators": ["s99"]},
        {"symbols": []},
        {"symbols": ["s0"] * 9},
        {"classes": [0, 1]},
        {"classes": [99] * 9},
        {"context": [1.0]},
        {"temperature": None},
        {"temperature": -1},
        {"kind": "sounds"},
    ],
)
def test_a_damaged_vocabulary_is_refused(learned, tmp_path, change):
    from nsr.errors import RunError

    model, _ = learned
    files = model.files()
    content = {**json.loads(files["vocabulary.json"]), **change}
    files["vocabulary.json"] = json.dumps(content).encode()
    with pytest.raises(RunError, match="damaged"):
        nsr.NSR.of_files(files, tmp_path, lambda name: None)


def test_what_was_learned_from_before_does_not_count(monkeypatch):
    monkeypatch.setattr(Start, "of_images", lambda *args: None)
    expressions, values = language(5, 5)
    model = nsr.NSR("int")
    model.learned_from = {7}
    model._begin(list(pictured(expressions)[0]), values)
    assert not model.learned_from


def test_the_same_seed_gives_the_same_model():
    expressions, values = language(900, 5)
    inputs, _ = pictured(expressions)
    settings = {**HINT, **SMALL, "turns": 1, "rounds": 2, "pool": 64, "batch": 32, "final": 64, "decoded": 64}
    one, other = (nsr.NSR("int", seed=1, **settings).fit(inputs, values) for _ in range(2))
    assert one.files() == other.files()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "empty"),
        ([np.zeros((45, 44), np.uint8)], "uint8 arrays of 45 x 45, ink dark on white, not uint8 of 45 x 44"),
        ([np.zeros((45, 45), np.float32)], "not float32 of 45 x 45"),
        ([np.zeros((45, 45), np.uint8), np.zeros((40, 45), np.uint8)], "images of one input differ in size"),
    ],
)
def test_images_that_cannot_be_read(learned, images, message):
    with pytest.raises(InputError, match=message):
        learned[0].predict([images])


class Glyphs(Task):
    """The language above; what it gives are the labels of one pool of images."""

    name = "glyphs"
    splits = ("all",)
    default_split = "all"
    primitives = "int"
    gold_lexicon = GOLD_LEXICON

    def __init__(self, labels):
        self.labels = labels

    def load(self, split, *, seed=0, data_dir=None):
        raise NotImplementedError

    def encode(self, text):
        raise NotImplementedError

    def gold_labels(self, seed):
        return self.labels

    def gold_heads(self, tokens):
        if not is_expression(tokens):
            raise InputError("no expression")
        return read(tokens).heads


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"syntax": "given", "semantics": "given"},
        {"perception": "given", "separators": "( )"},
        {"perception": "given", "syntax": "given", "semantics": "given"},
    ],
    ids=" ".join,
)
def test_modules_may_be_given(given):
    expressions, values = language(900, 0)
    inputs, labels = pictured(expressions)
    settings = {**HINT, **SMALL, "image_steps": 200, "pool": 128, "batch": 64, "final": 128, "decoded": 300, **given}
    model = nsr.NSR("int", seed=0, task=Glyphs(labels), **settings).fit(inputs, values)
    assert set(model.modules.perception.symbols) == set(labels)
    expressions, values = language(200, 1)
    inputs, _ = pictured(expressions, seed=1)
    right = np.mean([found == value for found, value in zip(model.predict(inputs), values, strict=True)])
    assert right > 0.9
    assert model.modules.perception.log_probs(inputs.pool, inputs.ids).shape == (len(inputs.ids), len(set(labels)))


def test_only_a_task_can_give_labels():
    expressions, values = language(50, 0)
    inputs, _ = pictured(expressions)
    with pytest.raises(ConfigError, match="this model has no task"):
        nsr.NSR("int", perception="given").fit(inputs, values)


def test_models_of_images_do_not_build_on_others_nor_others_on_them(learned):
    inputs, _ = pictured(["3"])
    with pytest.raises(ConfigError, match="cannot build on another"):
        nsr.NSR("int").build_on(nsr.NSR("int")).fit(inputs, [3])
    with pytest.raises(ConfigError, match="does not read words"):
        nsr.NSR("int", **HINT).build_on(learned[0]).fit(["one"], [1])


def test_names_are_given_by_meaning():
    gold = parse_lexicon(
        '"one" = 1\n"two" = 2\nx0 "plus" x1 = (fix (if0 x0 x1 (incr (rec (decr0 x0) x1))))\n"e" = empty', None, INT
    )
    found = parse_lexicon(
        '"s0" = 2\n"s1" = 5\n"s2" = empty\nx0 "s3" x1 = (fix (if0 x1 x0 (incr (rec x0 (decr0 x1)))))', None, INT
    )
    assert gold_names(found, gold, Executor()) == ("two", "s1", "e", "plus")


def test_names_are_given_by_meaning_where_the_task_has_one():
    """Of 1 / 0 there is no example, so what is induced may give anything for it."""
    minus = 'x0 "minus" x1 = (fix (if0 x1 x0 (rec (decr0 x0) (decr0 x1))))'
    digits = '"s0" = 0\n"s1" = 1\n"s2" = 3'
    gold = parse_lexicon(f'{minus}\nx0 "over" x1 = (fix (if0 x0 0 (incr (rec ("minus" x0 x1) x1))))', None, INT)
    over = 'x0 "s3" x1 = (fix (if0 (decr0 x0) x0 (incr (rec ("minus" x0 x1) x1))))'
    found = parse_lexicon(f'{digits}\n{minus}\n{over}\nx0 "s4" x1 = 0', None, INT)
    names = dict(zip(found.symbols, gold_names(found, gold, Executor()), strict=True))
    assert {symbol: name for symbol, name in names.items() if symbol != name} == {"s3": "over"}


TRAIN_TOGETHER = """
import sys, numpy as np, torch
from glyphs import glyphs
from nsr.devices import processes, rank
from nsr.perception.images import ImagePerception
from nsr.perception.network import ImageConfig
from nsr.pictures import ImagePool
images, names = glyphs("012", 30)
with processes("cpu"):
    perception = ImagePerception(ImageConfig(channels="8 8 8 8", image_batch=32), 0, 3)
    perception.learn_counts(ImagePool(images), np.eye(3, dtype=np.float32)[list(map(int, names))], 40)
    open(f"{sys.argv[1]}/{rank()}", "wb").write(perception.weights())
"""


@pytest.mark.slow
def test_several_processes_train_one_network(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN_TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    places = os.pathsep.join([str(Path(__file__).parent), str(Path(nsr.__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "train.py"), str(tmp_path)], check=True, env=environment, timeout=300)
    one, other = (safetensors.load((tmp_path / rank).read_bytes()) for rank in "01")
    assert all(torch.equal(one[name], other[name]) for name in one)
    images, names = glyphs("012", 10, seed=1)
    perception = ImagePerception(ImageConfig(channels="8 8 8 8"), 0, 3)
    perception.network.load_state_dict(one)
    read = perception.log_probs(ImagePool(images), np.arange(len(images))).argmax(axis=1)
    assert (read == list(map(int, names))).mean() > 0.9


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there():
    with pytest.raises(ConfigError, match="no GPU here; use --device cpu, or auto"):
        nsr.train("hint", input="images", device="cuda")


def grounded(expressions, values, **settings):
    inputs, _ = pictured(expressions)
    config = Config.of(**{**HINT, **SMALL, **settings})
    perception = ImagePerception(config.images, 0)
    space = Space(primitive_set("int"))
    return perception, ground(perception, inputs, values, space, config, np.random.default_rng(0))


@pytest.mark.slow
def test_images_may_stand_for_lists():
    """Digits are letters, "+" joins what it stands between and "*" joins it the other way round."""
    expressions = [each for each in language(1500, 0)[0] if "(" not in each]
    wanted = []
    for first, *rest in expressions:
        value = ("ABCDE"[int(first)],)
        for operator, digit in zip(rest[::2], rest[1::2], strict=True):
            letter = ("ABCDE"[int(digit)],)
            value = value + letter if operator == "+" else letter + value
        wanted.append(value)
    inputs, _ = pictured(expressions)
    model = nsr.NSR("list", seed=0, **HINT, **SMALL, turns=1, pool=256, batch=128, final=256, decoded=400)
    assert model.fit(inputs, wanted).predict(inputs[:300]) == wanted[:300]


def test_inputs_without_separators_have_none():
    expressions, values = language(900, 0)
    kept = [index for index, each in enumerate(expressions) if "(" not in each]
    perception, lexicon = grounded([expressions[each] for each in kept], [values[each] for each in kept])
    assert perception.separators == ()
    assert sorted(lexicon.entries) == [*((symbol, 0) for symbol in range(5)), (5, 2), (6, 2)]
    assert not any(entry.program is EMPTY for entry in lexicon.entries.values())


def test_what_cannot_be_grounded():
    with pytest.raises(DataError, match="no input of a single image"):
        grounded(["1+1", "1+2"], [2, 3])
    with pytest.raises(DataError, match="no input of several images"):
        grounded(["1", "2"] * 20, [1, 2] * 20)
    with pytest.raises(DataError, match="too many for a function of at most 2 arguments"):
        grounded(["1", "2", "1+1+1"] * 20, [1, 2, 3] * 20)


def test_packed_pictures():
    pool = ImagePool(np.zeros((6, 45, 45), np.uint8))
    packed = PackedPictures(pool, np.array([0, 1, 2, 3, 4]), np.array([0, 2, 5]))
    assert [each.ids.tolist() for each in packed] == [[0, 1], [2, 3, 4]]
    assert packed[-1].ids.tolist() == [2, 3, 4]
    assert packed.lengths.tolist() == [2, 3]
    assert [each.ids.tolist() for each in packed.take([1, 0])] == [[2, 3, 4], [0, 1]]
    assert [each.ids.tolist() for each in packed[:1]] == [[0, 1]]
    again = PackedPictures.of([packed[1], packed[0]])
    assert again.pool is pool
    assert [each.ids.tolist() for each in again] == [[2, 3, 4], [0, 1]]


def test_packing_inputs_of_several_pools():
    pools = [ImagePool(np.full((2, 45, 45), grey, np.uint8)) for grey in (10, 20)]
    packed = PackedPictures.of([Pictures(pools[1], np.array([1])), Pictures(pools[0], np.array([0, 1]))])
    assert [each.images[0, 0, 0] for each in packed] == [20, 10]
    assert len(packed.pool) == 4


def test_images_are_seen_whole_and_augmented_by_seed():
    image = np.full((1, 45, 45), 255, np.uint8)
    assert not prepare(image).any()
    image[0, 0, 0] = image[0, 44, 44] = 0
    seen = prepare(image)
    assert seen.shape == (1, 1, 24, 24)
    assert seen[0, 0, 0, 0] > 0
    assert seen[0, 0, -2, -2] > 0  # the last column and row are margin
    one, same, other = (augment(seen, ImageConfig(), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_an_input_of_its_own():
    assert len(pictures([np.zeros((45, 45), np.uint8)] * 3)) == 3
