"""A model with a perception of one's own: certain or not, of any tokens, kept beside the files."""

import numpy as np
import pytest
from learners import NoisyTokens, lexicon_of

import nsr
from nsr.errors import ConfigError, RunError
from nsr.perception.images import pictures
from nsr.perception.perception import Readings

SYMBOLS = ("red", "blue", "and", "twice")
PAIRS = {
    "red": "R",
    "blue": "B",
    "red and blue": "R B",
    "blue and red": "B R",
    "red twice": "R R",
    "blue twice": "B B",
    "red and blue twice": "R B B",
}


class Colours:
    """Tokens are arrays: the brightest place says which symbol it is."""

    certain = True
    symbols = SYMBOLS

    def read(self, inputs, width=1):
        symbols = np.zeros((len(inputs), 1, max(map(len, inputs))), np.int64)
        for row, tokens in enumerate(inputs):
            symbols[row, 0, : len(tokens)] = [int(np.argmax(token)) for token in tokens]
        return Readings(symbols, np.array([len(tokens) for tokens in inputs]), np.zeros((len(inputs), 1)))

    def alternatives(self, sentence):
        return [[] for _ in sentence]

    def fit(self, inputs, symbols, weights):
        """Nothing to learn."""

    learn = fit

    def attend(self, symbols, lengths, weights, kinds):
        """Nothing to learn."""


def coloured(sentence: str) -> list[np.ndarray]:
    return [np.eye(len(SYMBOLS))[SYMBOLS.index(word)] for word in sentence.split()]


@pytest.fixture(scope="module")
def model():
    inputs = [coloured(sentence) for sentence in PAIRS]
    return nsr.NSR(primitives="list", perception=Colours()).fit(inputs, list(PAIRS.values()))


def test_tokens_may_be_anything(model):
    assert model.predict([coloured("blue twice and red"), coloured("twice")]) == [("B", "B", "R"), None]
    gss = model.deduce(coloured("red twice"))
    assert gss.symbols == ("red", "twice")
    assert gss.inputs == tuple(str(token) for token in coloured("red twice"))


def test_it_is_not_asked_about_no_inputs(model):
    with pytest.raises(ValueError, match="empty"):
        Colours().read([])
    assert model.predict([]) == []


def test_readings_that_do_not_fit_together_are_refused():
    with pytest.raises(ConfigError, match=r"symbols of shape \(B, K, N\), .* not \(2, 3\), \(2,\) and \(2, 1\)"):
        Readings(np.zeros((2, 3), np.int64), np.full(2, 3), np.zeros((2, 1)))


def test_what_is_no_perception_is_refused_at_once():
    class Half:
        symbols, certain = SYMBOLS, True

        def read(self, inputs, width=1): ...

    with pytest.raises(ConfigError, match=r"needs alternatives, fit, learn, attend, which Half lacks"):
        nsr.NSR("list", perception=Half())
    with pytest.raises(ConfigError, match=r"not the class Colours; give Colours\(...\)"):
        nsr.NSR("list", perception=Colours)


def test_own_pairs_are_read_by_it(tmp_path):
    """Words that only the test has are its affair, and the run says that something was brought along."""
    for name, pairs in (("train", PAIRS), ("test", {"rouge twice": "R R"})):
        (tmp_path / f"{name}.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in pairs.items()))
    table = {**{word: {word: 1.0} for word in SYMBOLS}, "rouge": {"red": 1.0}}
    settings = {name: str(tmp_path / f"{name}.tsv") for name in ("train", "test")}
    settings |= {"perception": NoisyTokens(SYMBOLS, table), "out": tmp_path / "run"}
    trained = nsr.train("pairs", **settings)
    assert trained.metrics["test"]["accuracy"] == 100
    assert trained.metrics["assumptions"]["perception"] == "own"
    again = nsr.load(tmp_path / "run", perception=NoisyTokens(SYMBOLS, table))
    assert nsr.evaluate(again)["accuracy"] == 100
    with pytest.raises(ConfigError, match="a perception of its own cannot be resumed"):
        nsr.train("pairs", **settings, resume=True)


def test_a_saved_model_is_given_its_perception_again(model, tmp_path):
    model.save(tmp_path / "run")
    again = nsr.load(tmp_path / "run", perception=Colours())
    assert again.predict([coloured("blue and blue")]) == [("B", "B")]
    with pytest.raises(RunError, match=r"load it with nsr.load\(folder, perception=...\)"):
        nsr.load(tmp_path / "run")
    other = Colours()
    other.symbols = ("red", "green", "and", "twice")
    with pytest.raises(RunError, match="has the symbols red, blue, and, twice, the perception has others"):
        nsr.load(tmp_path / "run", perception=other)
    words = nsr.NSR(primitives="list").fit(list(PAIRS), list(PAIRS.values()))
    words.save(tmp_path / "words")
    with pytest.raises(RunError, match="load it without a perception"):
        nsr.load(tmp_path / "words", perception=Colours())


def test_the_lexicon_must_have_its_symbols(model):
    with pytest.raises(ConfigError, match="must have the same symbols"):
        nsr.NSR("list", perception=Colours()).assemble(lexicon_of('"a" = nil', ("a",)))


def test_images_of_a_task_are_not_its_own(model):
    with pytest.raises(ConfigError, match="leave out perception"):
        nsr.NSR("int", perception=Colours()).fit([pictures([np.zeros((45, 45), np.uint8)])], [1])


def test_nothing_builds_on_it(model):
    with pytest.raises(ConfigError, match="perception of its own"):
        nsr.NSR(primitives="list").build_on(model)


def test_uncertain_readings_are_learned_with_the_programs():
    certain = {word: {word: 1.0} for word in SYMBOLS}
    perception = NoisyTokens(SYMBOLS, {**certain, "rouge": {"red": 0.45, "blue": 0.55}})
    more = {"blue and blue": "B B", "red and red": "R R", "rouge": "R", "rouge twice": "R R", "blue and rouge": "B R"}
    pairs = {**PAIRS, **more}
    model = nsr.NSR(primitives="list", perception=perception).fit(list(pairs), list(pairs.values()))
    assert model.predict(list(pairs)) == [tuple(value.split()) for value in pairs.values()]
    assert model.predict(["rouge and rouge twice"]) == [("R", "R", "R")]
    assert next(iter(perception.probabilities("rouge"))) == SYMBOLS.index("red")
