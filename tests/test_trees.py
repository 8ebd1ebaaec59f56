"""Pictures of trees: where nodes stand, what they show, and that the files are whole by themselves."""

import base64
import io
import itertools
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gss import jump_left_twice, systems, trees

from nsr.cli.main import main
from nsr.errors import ConfigError
from nsr.gss import GSS, ROOT, is_projective, projective_trees
from nsr.pictures import ImagePool, Pictures
from nsr.reports.trees import GAP, STEP, data_uri, layout, to_html, to_svg
from nsr.semantics.values import EMPTY, MISSING
from nsr.tasks import Examples

SVG = "{http://www.w3.org/2000/svg}"
LONG = "(append " * 40 + "x0" + " x0)" * 40


def texts(picture: str, name: str = "text") -> list[str]:
    return [each.text for each in ElementTree.fromstring(picture).iter(SVG + name)]


def depth(heads: list[int], node: int) -> int:
    return 0 if heads[node] == ROOT else 1 + depth(heads, heads[node])


# Layout


@given(trees(max_size=20), st.data())
def test_words_keep_their_order_and_nodes_do_not_overlap(heads, data):
    widths = data.draw(st.lists(st.floats(1, 200), min_size=len(heads), max_size=len(heads)))
    x, depths = layout(np.array(heads), widths)
    assert depths == [depth(heads, node) for node in range(len(heads))]
    assert all(after - before > STEP - 1e-6 for before, after in itertools.pairwise(x))
    assert min(place - width / 2 for place, width in zip(x, widths, strict=True)) > -1e-6
    for one, other in itertools.combinations(range(len(heads)), 2):
        if depths[one] == depths[other]:
            assert x[other] - x[one] > (widths[one] + widths[other]) / 2 + GAP - 1e-6


@pytest.mark.parametrize("n", range(1, 6))
def test_arcs_of_projective_trees_do_not_cross(n):
    for heads in projective_trees(n):
        x, depths = layout(np.array(heads), [50.0] * n)
        arcs = [(x[head], x[node], depths[node]) for node, head in enumerate(heads) if head != ROOT]
        for (above, below, layer), (other_above, other_below, other_layer) in itertools.combinations(arcs, 2):
            assert layer != other_layer or (above - other_above) * (below - other_below) >= 0, heads


def test_arcs_of_other_trees_may_cross():
    heads = (ROOT, 0, 0, 2, 1)  # the last two hang from each other's side
    assert not is_projective(heads)
    x, _ = layout(np.array(heads), [50.0] * 5)
    assert (x[2] - x[1]) * (x[3] - x[4]) < 0


def test_a_tree_is_not_wider_than_its_widest_layer_needs():
    chain = [*range(1, 10), ROOT]
    x, _ = layout(np.array(chain), [100.0] * 10)
    assert max(x) - min(x) == pytest.approx(9 * STEP)


# SVG


def test_a_picture_shows_symbols_programs_values_and_arguments():
    shown = texts(to_svg(jump_left_twice().readable()))
    for expected in ("jump", "[I_JUMP]", "I_JUMP", "left", "[I_TURN_LEFT] ++ x0", "I_TURN_LEFT I_JUMP", "x0 ++ x0"):
        assert expected in shown
    assert shown.count("x0") == 2
    assert "x1" not in shown


def test_arguments_are_counted_without_what_has_no_value():
    gss = GSS(tuple("(3+4)"), tuple("(3+4)"), [2, 2, ROOT, 2, 2], (EMPTY, 3, 7, 4, EMPTY))
    assert [each for each in texts(to_svg(gss)) if each.startswith("x")] == ["x0", "x1"]


def test_a_missing_value_is_told_by_a_dashed_frame_and_a_question_mark():
    whole, broken = jump_left_twice(), jump_left_twice(values=((), (), MISSING))
    assert "stroke-dasharray" not in to_svg(whole)
    assert to_svg(broken).count("stroke-dasharray") == 1
    assert "?" in texts(to_svg(broken))


def test_an_input_that_is_not_its_symbol_is_shown_with_it():
    assert "left [links]" in texts(to_svg(jump_left_twice(inputs=("jump", "links", "twice"))))


def test_what_is_long_is_shortened_and_spelled_out_below_and_in_the_tooltip():
    gss = jump_left_twice(programs=("nil", "x0", LONG), values=((), (), ("I_JUMP",) * 100))
    picture = to_svg(gss)
    in_nodes = [each.text for each in ElementTree.fromstring(picture).findall(f".//{SVG}g/{SVG}text")]
    assert max(map(len, in_nodes)) <= 26
    assert any(LONG in title and " ".join(gss.value) in title for title in texts(picture, "title"))
    below = "".join(texts(picture)[len(in_nodes) :])
    assert LONG in re.sub(r"\s+", " ", " ".join(texts(picture)))
    assert "nil" not in below  # what is shown in full is not repeated
    assert LONG not in re.sub(r"\s+", " ", " ".join(texts(to_svg(gss, legend=False))))


@given(systems())
def test_any_tree_is_drawn_as_well_formed_xml(gss):
    picture = ElementTree.fromstring(to_svg(gss))
    assert len(picture.findall(SVG + "g")) == len(gss)
    assert len(picture.findall(SVG + "path")) == len(gss) - 1


def test_wide_characters_have_room():
    def width(symbol: str) -> float:
        return float(ElementTree.fromstring(to_svg(GSS((symbol,), (symbol,), [ROOT], (0,)))).get("width"))

    assert width("漢字漢字") == width("abcdabcd")


# HTML


class Reader(HTMLParser):
    """Collects tags, addresses and text; checks that tags are closed."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.addresses, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data.strip())


def page_of(*arguments) -> Reader:
    reader = Reader()
    reader.feed(to_html(*arguments))
    assert reader.open == []
    assert "script" not in reader.tags
    assert "link" not in reader.tags
    return reader


def test_a_page_shows_sentence_answer_picture_and_programs():
    page = page_of(jump_left_twice().readable(), "jump left twice")
    assert page.text.count("jump left twice") == 2  # as title and as heading
    assert "I_TURN_LEFT I_JUMP I_TURN_LEFT I_JUMP" in page.text
    assert "-0.5000" in page.text
    assert "svg" in page.tags
    assert page.addresses == []
    table = page.text[page.text.index("Programs") :]
    assert [each for each in table if each][3:] == [
        *("jump", "[I_JUMP]", "left", "[I_TURN_LEFT] ++ x0", "twice", "x0 ++ x0"),
    ]


@pytest.mark.parametrize("text", ["</title><script>x</script>", "&lt;{x}", "\"'>", "\x00\ud800\uffff", "]]>", "\n"])
def test_nothing_a_tree_holds_breaks_a_page(text):
    gss = jump_left_twice(inputs=(text,) * 3, symbols=(text,) * 3, values=((text,),) * 3, programs=(text,) * 3)
    page = page_of(gss, text)
    assert page.tags.count("title") == 5  # of the page, the picture and three nodes
    assert re.sub("[\x00\ud800\uffff]", "�", text).strip() in page.text


def test_a_page_says_that_there_is_no_answer():
    assert "none: there is no derivation" in page_of(jump_left_twice(values=((), (), MISSING)), "jump left twice").text


# Images


def test_images_are_in_the_file():
    image = pytest.importorskip("PIL.Image")
    images = np.random.default_rng(0).integers(0, 256, (3, 45, 45)).astype(np.uint8)
    page = page_of(jump_left_twice(inputs=("#7", "#8", "#9")), "jump left twice", images)
    assert len(page.addresses) == 6  # in the heading and in the nodes
    assert "span" in page.tags  # behind the images of the heading the sentence breaks as a whole
    for address, expected in zip(page.addresses, [*images] * 2, strict=True):
        content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
        assert (np.asarray(image.open(io.BytesIO(content))) == expected).all()


def test_explain_shows_the_images_of_a_sentence(monkeypatch, capsys):
    pytest.importorskip("PIL.Image")
    shown = Pictures(ImagePool(np.zeros((5, 45, 45), np.uint8)), np.array([4, 0, 2]))
    gss = jump_left_twice(inputs=shown.names)
    model = SimpleNamespace(
        tokens=str.split,
        examples=lambda sentences, outputs: Examples([shown], outputs),
        deduce=lambda inputs: gss,
        modules=SimpleNamespace(perception=SimpleNamespace(certain=False)),
    )
    monkeypatch.setattr("nsr.experiment.load_and_tell", lambda folder, tell: model)
    assert main(["explain", "run", "jump left twice", "--format", "svg"]) == 0
    assert capsys.readouterr().out.count(data_uri(shown.images[0])) == 3


def test_without_pillow_images_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"pip install nsr\[images\]"):
        to_svg(jump_left_twice(), np.zeros((3, 45, 45), np.uint8))
    assert to_svg(jump_left_twice())  # which needs none


@pytest.mark.slow
def test_a_browser_shows_the_page(tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("needs chromium: apt-get install chromium")
    image = pytest.importorskip("PIL.Image")
    page, shot = tmp_path / "tree.html", tmp_path / "tree.png"
    page.write_text(to_html(jump_left_twice().readable(), "jump left twice"))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--screenshot={shot}", page.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True, cwd=tmp_path)
    shades = np.asarray(image.open(shot).convert("L"))
    assert shades.min() < 64 < 192 < shades.max()  # there is ink on paper
