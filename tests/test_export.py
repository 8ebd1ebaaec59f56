"""Exported models: grammar, programs and script against what they were made from."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_closed_forms as numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from terms import LISTS, RECURSIVE, REVERSING, lists, terms

import nsr
from nsr import export as exporting
from nsr.cli.main import main
from nsr.errors import ExportError
from nsr.experiment import data_of
from nsr.export import SCRIPT, compare, compile_model, export, spell
from nsr.gss import ROOT
from nsr.semantics.compilation import compile_term
from nsr.semantics.execution import ABSENT
from nsr.semantics.lexicon import Signature, parse_lexicon
from nsr.semantics.notation import to_text
from nsr.semantics.primitives import PRIMITIVES, Primitive, PrimitiveSet, Type
from nsr.semantics.programs import MAX_NUMBER
from nsr.semantics.values import MISSING
from nsr.standalone import FUNCTIONS, LARGEST, Machine, arguments
from nsr.syntax.phrases import ROOTS, Place, Unit, check_deterministic, merge, observe, probes, write_grammar
from nsr.tasks import make_task
from nsr.tasks.scan import commands

# Grammars of given trees

SYMBOLS = "()*/+-01,fg?"  # "?" is any literal
VALUELESS = "(),"


def places_of(*trees):
    """What fills the places in trees, each a string of symbols and the heads of these."""
    shape = len(trees), max(len(sentence) for sentence, _ in trees)
    symbols, heads = np.zeros(shape, np.int64), np.full(shape, ABSENT)
    for row, (sentence, found) in enumerate(trees):
        symbols[row, : len(sentence)] = list(map(SYMBOLS.index, sentence))
        heads[row, : len(sentence)] = found
    return observe(symbols, heads, np.isin(symbols, list(map(SYMBOLS.index, VALUELESS))) & (heads != ABSENT))


def grammar_of(*trees, literal=None):
    places, became = merge(places_of(*trees), literal)
    words = {kept: [SYMBOLS[each] for each in became if became[each] == kept] for kept in became.values()}
    return write_grammar(places, words, literal)


def arithmetic(*sentences):
    return [(sentence, make_task("hint").gold_heads(tuple(sentence))) for sentence in sentences]


OPERANDS = ["0", "0*0", "0/0", "0+0", "0-0"]


def expressions():
    """Each operator with each expression on each side, in parentheses where it needs these."""
    for operator, left, right in itertools.product("*/+-", OPERANDS, OPERANDS):
        loose = operator in "*/"
        left = f"({left})" if loose and left[1:2] in tuple("+-") else left
        right = f"({right})" if right[1:2] and (loose or right[1] in "+-") else right
        yield f"{left}{operator}{right}"


def test_places_are_those_in_the_trees():
    zero = Unit(SYMBOLS.index("0"), Signature(0, 0))
    plus = Unit(SYMBOLS.index("+"), Signature(1, 1))
    within = Unit(SYMBOLS.index("+"), Signature(2, 2, (0, 3)))
    opened, closed = (Unit(SYMBOLS.index(each), Signature(0, 0, (), True)) for each in "()")
    assert places_of(*arithmetic("0+(0+0)", "0")) == {
        ROOTS: {plus, zero},
        Place(plus, 0): {zero},
        Place(plus, 1): {within},
        Place(within, 0): {opened},
        Place(within, 1): {zero},
        Place(within, 2): {zero},
        Place(within, 3): {closed},
    }


def test_precedence_becomes_levels():
    sentences = [each.replace("0", digit) for each in (*expressions(), "0") for digit in "01"]
    grammar = grammar_of(*arithmetic(*sentences))
    check_deterministic(grammar)
    assert re.findall(r"^[A-Z_0-9]+: .*", grammar, re.M) == [
        '_LEFT_PARENTHESIS: "("',
        '_RIGHT_PARENTHESIS: ")"',
        'ASTERISK: "*" | "/"',
        'PLUS_SIGN: "+" | "-"',
        'WORD_0: "0" | "1"',
    ]
    programs = '"0" = 0 "1" = 1 ' + "".join(
        f'x0 "{name}" x1 = ({function} x0 x1)\n'
        for name, function in {"*": "product", "+": "sum", "-": "monus", "/": "over"}.items()
    )
    machine = Machine(grammar, programs)
    assert machine.answer("1 + 1*1 - 1 + 1") == 2
    assert machine.answer("(1+1)*(1+1)*(1+1)-1") == 7
    assert machine.answer("1/(1-1)") is machine.answer("1+") is machine.answer("") is machine.answer("1+2") is None


LITERALS = [
    ("f?,?", [ROOT, 0, 0, 0]),
    ("f??,??", [ROOT, 0, 1, 0, 0, 4]),
    ("fg?,g?", [ROOT, 0, 1, 0, 0, 4]),
    ("ff?,?,f?,?", [ROOT, 0, 1, 1, 1, 0, 0, 6, 6, 6]),
    ("g?", [ROOT, 0]),
    ("g???", [ROOT, 0, 1, 2]),
    ("gg??", [ROOT, 0, 1, 2]),
    ("gf?,?", [ROOT, 0, 1, 1, 1]),
]


def test_literals_are_all_words_that_are_no_others():
    grammar = grammar_of(*LITERALS, literal=SYMBOLS.index("?"))
    check_deterministic(grammar)
    programs = '"<literal>" = (cons self nil) "<literal>" x0 = (cons self x0) '
    machine = Machine(grammar, programs + '"f" x0 _ x1 = (append x1 x0) "g" x0 = (cdr x0)')
    assert machine.answer("f g A ff , g f, gg fg") == ("gg", "fg", "ff")
    assert machine.answer("g A") == ()
    assert machine.answer("g g A") is machine.answer("f A B") is machine.answer("A") is None


@pytest.mark.parametrize(
    "ambiguous",
    [
        arithmetic("0*0", "0+0*0", "0*0+0")[:1] + [("0+0*0", [1, 3, 1, ROOT, 3]), ("0+0*0", [1, ROOT, 3, 1, 3])],
        [("f0", [ROOT, 0]), ("0f", [1, ROOT]), ("0f0", [1, ROOT, 1]), ("ff0", [ROOT, 0, 1]), ("0ff", [1, 2, ROOT])],
    ],
)
def test_a_grammar_that_leaves_a_choice_is_refused(ambiguous):
    with pytest.raises(ExportError, match=r"leaves a choice, so no grammar is exported: (Shift/Reduce|Reduce/Reduce) "):
        check_deterministic(grammar_of(*ambiguous))


@pytest.mark.parametrize(
    ("words", "message"), [("a b", "'a b' is empty or has white space"), ("", "'' is empty or has white space")]
)
def test_words_that_lark_cannot_tell_apart_are_refused(words, message):
    with pytest.raises(ExportError, match=message):
        write_grammar(places_of(("0", [ROOT])), {SYMBOLS.index("0"): [words]}, None)


def test_words_without_value_have_no_dependents():
    unit, inner = Unit(0, Signature(1, 0, (), True)), Unit(1, Signature(0, 0))
    places = {
        ROOTS: frozenset({Unit(2, Signature(1, 0, (0,)))}),
        Place(Unit(2, Signature(1, 0, (0,))), 0): frozenset({unit}),
    }
    with pytest.raises(ExportError, match="'a' has no value, but has dependents or sometimes a value"):
        write_grammar({**places, Place(unit, 0): frozenset({inner})}, {0: ["a"], 1: ["b"], 2: ["c"]}, None)


def test_odd_words_are_told_apart():
    odd = [
        "Jump",
        "jump",
        "literal",
        "end",
        "%",
        '"',
        "\\",
        "a\\b",
        "x'y",
        "é",
        "word_2",
        "//",
        "?",
        "jumps",
        "0",
        "αβ",
    ]
    unit = [Unit(index, Signature(0, 0)) for index in range(len(odd))]
    joins = [Unit(len(odd) + index, Signature(1, 1)) for index in range(len(odd))]
    places = {ROOTS: frozenset(joins)}
    for one, join in zip(unit, joins, strict=True):  # each joins itself, so that each is a terminal of its own
        places |= {Place(join, 0): frozenset({one}), Place(join, 1): frozenset({one})}
    names = {index: [word] for index, word in enumerate([*odd, *(f"{word}+" for word in odd)])}
    grammar = write_grammar(places, names, None)
    check_deterministic(grammar)
    machine = Machine(grammar, "")
    machine.run = lambda term, scope: term  # not run
    for index, word in enumerate(odd):
        machine.programs = {(word, 0): (), (f"{word}+", 2): (index,)}
        assert machine.answer(f"{word} {word}+ {word}") == (index,)


def test_probes_have_each_unit_in_each_place():
    found = {"".join(SYMBOLS[each] for each in probe) for probe in probes(places_of(*arithmetic("0+0", "0*0", "0")))}
    assert found == {"0", "0+0", "0*0", "0+0+0", "0*0+0", "0+0*0", "0*0*0"}


# Programs


def runner(text, arity=2):
    """A function that runs a program by the script."""
    frame = " ".join(f"x{index}" for index in range(arity))
    library = f'{numbers.LEXICON.format(spell)}x0 "first" x1 = x0\n"program" {frame} = '
    machine = Machine('start: "any"', library + text)

    def run(*values, token=None):
        try:
            return machine.run(machine.programs["program", arity], arguments(values, self=token))
        except (LookupError, ArithmeticError, RecursionError):
            return MISSING

    return run


@pytest.mark.parametrize("primitives", [REVERSING, RECURSIVE], ids=["reverse", "fold"])
@given(st.data())
def test_programs_over_lists_are_worth_the_same(primitives, data):
    program = data.draw(terms(2, primitives=primitives, grounded=True, tokens=("A", '"', "(", "#", "x0")))
    values = data.draw(lists), data.draw(lists)
    expected = compile_term(program, 10_000)((*values, "B"))
    assert runner(to_text(program) + " # comment (")(*values, token="B") == expected


@settings(max_examples=50)
@given(st.one_of(numbers.terms, numbers.recursions()))
def test_programs_over_numbers_are_worth_the_same(program):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers.compilation, "MAX_CALLS", 300)
        compiled = compile_term(program, 0)
        expected = {pair: compiled(pair) for pair in numbers.GRID}
    if numbers.closed_form(program) is None:  # then the script may go on where the model gives up
        expected = {pair: value for pair, value in expected.items() if value is not MISSING}
    run = runner(spell(program, to_text(program)))
    assert {pair: run(*pair) for pair in expected} == expected


def test_recursion_is_a_formula_if_there_is_one():
    assert spell(numbers.PROGRAMS["*"], "text") == "(product x1 x0)  # text"
    fibonacci = '(fix (if0 x0 0 (if0 (decr0 x0) 1 ("+" (rec (decr0 x0)) (rec (decr0 (decr0 x0)))))))'
    run = runner(fibonacci, arity=1)
    assert run(60) == 1_548_008_755_920
    assert run(10**6) is MISSING, "too deep"


# Models


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model, its run folder and what it was trained on."""
    folder = tmp_path_factory.mktemp("export") / "scan"
    model = nsr.train("scan", "length", max_tokens=4, out=folder)
    return model, folder, data_of(model).train.inputs


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    """The folder of an exported model."""
    folder = tmp_path_factory.mktemp("export") / "new" / "grammar"
    model, _, sentences = trained
    export(model, sentences, folder)
    return folder


def test_the_script_answers_as_the_model(trained):
    model, _, sentences = trained
    tested = [tokens for split in ("length", "addprim_jump") for tokens in data_of(model, split).test.inputs]
    files = compile_model(model, sentences[:2000])
    compared = compare(model, Machine(files["grammar.lark"], files["programs.nsr"]), tested)
    assert compared.count == len(tested) > 10_000
    assert min(compared.script_speed, compared.model_speed) > 0


def test_the_script_needs_only_lark(written, tmp_path):
    """Nothing else is imported, wherever it is started."""
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__');"
        "print({'nsr', 'torch', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(written / SCRIPT)]
    options = {"capture_output": True, "text": True, "timeout": 60, "check": True, "cwd": tmp_path}
    sentences = ["jump around left twice", "hop", "turn"]
    expected = "I_TURN_LEFT I_JUMP " * 7 + "I_TURN_LEFT I_JUMP\nNone\n\n"
    assert subprocess.run([*command, *sentences], **options).stdout == f"{expected}set()\n"
    assert subprocess.run(command, input="\n".join(sentences), **options).stdout == f"{expected}set()\n"


def test_the_script_says_that_lark_is_missing(written):
    code = "import runpy, sys; sys.modules['lark'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(written / SCRIPT)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "run.py needs lark, which is not installed: pip install lark\n")


@pytest.mark.parametrize("order", ["projective", "raw"])
def test_what_is_typed_is_rewritten_as_the_task_reads_it(order):
    task = make_task("scan", word_order=order)
    for command in commands():
        text = " ".join(command)
        assert tuple((re.sub(*task.rewriting, text) if task.rewriting else text).split()) == task.encode(text)


def test_what_differs_from_the_model_is_refused(trained):
    model, _, sentences = trained
    files = compile_model(model, sentences[:2000])
    wrong = files["programs.nsr"].replace('x0 "twice" = (append x0 x0)', 'x0 "twice" = x0')
    with pytest.raises(
        ExportError, match=r"differ on \d+ of \d+ sentences, the shortest: '\w+ twice' is I_\w+, of the"
    ):
        compare(model, Machine(files["grammar.lark"], wrong), sentences[:2000])


def test_nothing_is_written_that_was_refused(trained, tmp_path, monkeypatch):
    model, _, sentences = trained
    monkeypatch.setattr(exporting, "spell", lambda program, text: "nil")
    with pytest.raises(ExportError, match="differ"):
        export(model, sentences, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_model_that_reads_images_is_refused(trained, tmp_path, monkeypatch):
    model, _, sentences = trained
    monkeypatch.setattr(model.modules, "perception", object())
    with pytest.raises(ExportError, match="does not read words"):
        export(model, sentences, tmp_path / "new")


@pytest.mark.parametrize("name", ["turn", "reverse"])  # the script has a reverse, but this one is another
def test_own_primitives_are_refused(name, tmp_path, own_primitives):
    turn = Primitive(name, (Type.LIST,), Type.LIST, lambda items: items[1:] + items[:1])
    own = PrimitiveSet("own", Type.LIST, (*LISTS.primitives, turn), "as list, and one of ours")
    PRIMITIVES["own"] = own
    model = nsr.NSR("own").assemble(parse_lexicon(f'"a" = (cons "A" nil)\n"b" x0 = ({name} x0)', ("a", "b"), own))
    with pytest.raises(ExportError, match=f"does not know the primitive '{name}'"):
        export(model, [("b", "a")], tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_the_script_knows_all_primitives_that_there_are():
    """Who adds one also adds it to the script, and to what the export takes."""
    known = {each for made in PRIMITIVES.values() for each in made.primitives}
    assert known == exporting.SCRIPTED
    assert {each.name for each in known} - {"nil"} <= set(FUNCTIONS)


def test_the_script_has_the_bound_of_numbers():
    assert LARGEST == MAX_NUMBER


def test_where_short_sentences_stand_in_the_way_those_of_training_are_enough(trained, tmp_path, monkeypatch):
    model, _, sentences = trained
    refusals = iter([ExportError("the first grammar leaves a choice")])

    def check(text):
        for refusal in refusals:
            raise refusal

    monkeypatch.setattr(exporting, "check_deterministic", check)
    (agreement,) = export(model, sentences, tmp_path / "new")
    assert agreement.count == 10_000


def test_export_prints_how_they_compare(trained, tmp_path, capsys):
    _, folder, _ = trained
    assert main(["export", str(folder), "--out", str(tmp_path / "out"), "--check"]) == 0
    printed = capsys.readouterr().out
    assert re.fullmatch(
        r"trained \d+ sentences answered as by the model\ntested  3920 sentences answered as by the model\n"
        r"speed   \d+ sentences a second by run.py, \d+ by the model\nfolder  .*out\n",
        printed,
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["grammar.lark", "programs.nsr", "run.py"]


def test_a_folder_in_use_is_refused(trained, capsys):
    _, folder, _ = trained
    assert main(["export", str(folder), "--out", str(folder)]) == 2
    assert capsys.readouterr().err.endswith("scan is not an empty folder; choose another one\n")


@pytest.mark.slow
@pytest.mark.parametrize("split", ["simple", "length", "addprim_jump", "template_around_right"])
def test_all_of_scan(split, data_dir, tmp_path):
    model = nsr.train("scan", split, data_dir=data_dir)
    data = data_of(model)
    _, tested = export(model, data.train.inputs, tmp_path / "out", data.test.inputs)
    assert tested.count == len(data.test)
    machine = Machine(*((tmp_path / "out" / name).read_text() for name in ("grammar.lark", "programs.nsr")))
    generated = data_of(nsr.train("scan", split), split).test
    assert [machine.answer(" ".join(tokens)) for tokens in generated.inputs] == list(generated.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["pcfgset", "systematicity", "productivity"])
def test_all_of_pcfg(split, data_dir, tmp_path):
    model = nsr.train("pcfg", split, data_dir=data_dir, fraction=0.1)
    data = data_of(model)
    _, tested = export(model, data.train.inputs, tmp_path / "out", data.test.inputs)
    assert tested.count == len(data.test)


@pytest.mark.slow
def test_all_of_hint(tmp_path):
    model = nsr.train("hint")
    data = data_of(model)
    _, tested = export(model, data.train.inputs, tmp_path / "out", data.test.inputs)
    assert tested.count == 46_620
    page = (Path(__file__).parent.parent / "docs" / "export.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(\?start.*?)^```", page, re.M | re.S)
    assert shown in (tmp_path / "out" / "grammar.lark").read_text(encoding="utf-8")
