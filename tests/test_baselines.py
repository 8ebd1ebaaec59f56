"""The LSTM baseline: learns, repeats itself, and says what is wrong with its input."""

import copy
import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from nsr.baselines.seq2seq import (
    Seq2Seq,
    Seq2SeqConfig,
    Vocabulary,
    accuracy,
    length_batches,
    make_optimizer,
    pad,
    predict,
    train_epoch,
)
from nsr.errors import ConfigError, DataError, InputError
from nsr.tasks.task import Examples

SMALL = Seq2SeqConfig(hidden=48, dropout=0.1, batch=16, learning_rate=5e-3, max_output=12)


def copy_and_reverse() -> Examples:
    """52 pairs of 2 to 5 words: ``copy a b`` gives ``a b``, ``reverse a b`` gives ``b a``."""
    letters = random.Random(0)
    strings = [tuple(letters.choices("abcd", k=length)) for length in (1, 2, 3, 4) for _ in range(12)]
    strings = sorted(set(strings))[:26]
    inputs = [(verb, *string) for string in strings for verb in ("copy", "reverse")]
    outputs = [string[:: 1 if verb == "copy" else -1] for verb, *string in inputs]
    return Examples(tuple(inputs), tuple(map(tuple, outputs)))


def trained(examples: Examples, seed: int, epochs: int, config: Seq2SeqConfig = SMALL) -> tuple[Seq2Seq, list[float]]:
    generator = torch.Generator().manual_seed(seed)
    model = Seq2Seq.for_examples(examples, config, generator)
    optimizer = make_optimizer(model)
    return model, [train_epoch(model, optimizer, examples, generator) for _ in range(epochs)]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from threads, and lose much when the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return copy_and_reverse()


@pytest.fixture(scope="module")
def untrained(examples) -> Seq2Seq:
    return trained(examples, seed=0, epochs=0)[0]


@pytest.fixture(scope="module")
def learned(examples) -> Seq2Seq:
    return trained(examples, seed=0, epochs=80)[0]


def test_learns_to_copy_and_reverse(examples, learned, untrained):
    assert len(examples) == 52
    assert accuracy(untrained, examples) < 0.1
    assert accuracy(learned, examples) == 1.0
    assert predict(learned, [examples.inputs[7]]) == [examples.outputs[7]]


def test_same_seed_same_model(examples):
    first, first_losses = trained(examples, seed=3, epochs=3)
    torch.rand(5)  # the global generator has moved on
    second, second_losses = trained(examples, seed=3, epochs=3)
    other, other_losses = trained(examples, seed=4, epochs=3)
    assert first_losses == second_losses
    assert first_losses != other_losses
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, second.state_dict()[name])
        assert not torch.equal(weights, other.state_dict()[name])


def test_global_generator_is_left_alone(examples):
    before = torch.get_rng_state()
    model, _ = trained(examples, seed=0, epochs=1)
    predict(model, examples.inputs)
    assert torch.equal(torch.get_rng_state(), before)


def test_prediction_does_not_depend_on_the_batch(examples, learned, untrained):
    for model in (learned, untrained):
        together = predict(model, examples.inputs)
        assert [predict(model, [sentence])[0] for sentence in examples.inputs] == together
        assert predict(model, examples.inputs[::-1]) == together[::-1]


def test_padding_changes_no_logit(untrained):
    """A mixed batch, whose inputs are packed, against each sentence alone, which is not."""
    untrained.eval()
    inputs = [[1, 2, 3, 4, 5], [2], [3, 1, 2]]
    outputs = [[0, 1, 2], [0, 3, 3], [0, 2, 1]]
    with torch.no_grad():
        together, _ = untrained.decode(torch.tensor(outputs), untrained.encode(*pad(inputs)))
        for row in range(3):
            alone, _ = untrained.decode(torch.tensor([outputs[row]]), untrained.encode(*pad([inputs[row]])))
            torch.testing.assert_close(together[row], alone[0])


def test_one_step_at_a_time_gives_the_same_logits(untrained):
    """Prediction's steps against training's single call, also after a sentence has left the batch."""
    untrained.eval()
    inputs, outputs = pad([[1, 2, 3], [2, 5], [4]]), torch.tensor([[0, 1, 2, 4], [0, 3, 3, 1], [0, 2, 1, 2]])
    rows = torch.tensor([True, False, True])
    with torch.no_grad():
        state = untrained.encode(*inputs)
        whole, _ = untrained.decode(outputs, state)
        for step in range(4):
            if step == 2:
                whole, outputs, state = whole[rows], outputs[rows], state.keep(rows)
            logits, state = untrained.decode(outputs[:, step : step + 1], state)
            torch.testing.assert_close(logits[:, 0], whole[:, step])


def test_attention_ignores_padding(untrained):
    untrained.eval()
    start = torch.tensor([[0], [0]])
    with torch.no_grad():
        state = untrained.encode(*pad([[1], [1, 1, 1]]))
        assert state.padding.tolist() == [[False, True, True], [False, False, False]]
        memory = state.memory.clone()
        memory[0, 1:] = 1e6
        logits, _ = untrained.decode(start, state)
        same, _ = untrained.decode(start, replace(state, memory=memory))
    torch.testing.assert_close(logits, same)


def test_first_loss_is_that_of_a_uniform_guess(examples):
    _, (loss,) = trained(examples, seed=0, epochs=1, config=Seq2SeqConfig(hidden=48, learning_rate=1e-9))
    assert loss == pytest.approx(torch.tensor(5.0).log().item(), rel=0.1)  # four letters and the end mark


def test_decoding_stops_at_the_longest_output(examples, untrained):
    endless = copy.deepcopy(untrained)
    with torch.no_grad():
        endless.output.bias[1] += 100.0  # "a" for ever, the end mark never comes
    assert predict(endless, examples.inputs[:2]) == [("a",) * SMALL.max_output] * 2


def test_empty_outputs_are_learned():
    examples = Examples((("forget", "a"), ("keep", "a")) * 4, ((), ("a",)) * 4)
    model, _ = trained(examples, seed=0, epochs=30)
    assert predict(model, [("forget", "a"), ("keep", "a")]) == [(), ("a",)]


def test_one_layer_works_without_a_warning(examples):
    model, _ = trained(examples, seed=0, epochs=1, config=Seq2SeqConfig(layers=1, hidden=16, max_output=5))
    assert all(len(output) <= 5 for output in predict(model, examples.inputs))


def test_unknown_word_is_an_input_error(untrained):
    with pytest.raises(InputError) as error:
        predict(untrained, [("copy", "a"), ("copy", "a", "hop")])
    assert str(error.value) == "unknown word 'hop' at position 3; known words: a, b, c, copy, d, reverse"


def test_long_vocabularies_are_cut_in_messages():
    words = Vocabulary.of([tuple(f"w{i:02}" for i in range(30))])
    with pytest.raises(InputError, match=r"w18, w19, \.\.\.$"):
        words.encode(("x",))


def test_empty_input_is_an_input_error(untrained):
    with pytest.raises(InputError, match="input 2 is empty"):
        predict(untrained, [("copy", "a"), ()])


def test_no_inputs_no_predictions(untrained):
    assert predict(untrained, []) == []


def test_no_examples_is_a_data_error(untrained):
    nothing = Examples((), ())
    with pytest.raises(DataError, match="no training examples"):
        train_epoch(untrained, make_optimizer(untrained), nothing, torch.Generator())
    with pytest.raises(DataError, match="no test examples"):
        accuracy(untrained, nothing)


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"batch": -1}, {"dropout": 1.0}, {"clip": 0.0}])
def test_config_rejects_impossible_values(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Seq2SeqConfig(**wrong)


def test_batches_hold_every_row_once_and_similar_lengths():
    lengths = list(itertools.islice(itertools.cycle(range(1, 8)), 700))
    rows = [[1] * length for length in lengths]
    batches = list(length_batches(rows, rows, 50, torch.Generator().manual_seed(0)))
    assert sorted(row for batch in batches for row in batch) == list(range(700))
    assert all(max(lengths[row] for row in batch) - min(lengths[row] for row in batch) <= 1 for batch in batches)
    again = list(length_batches(rows, rows, 50, torch.Generator().manual_seed(1)))
    assert batches != again
