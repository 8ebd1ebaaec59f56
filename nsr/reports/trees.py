"""Pictures of grounded symbol systems: a tree as SVG, and an HTML page around it that needs nothing else.

Words keep their order: x grows with the position in the sentence, y with the depth, so of a projective tree no two
arcs cross. A tidy layout (Reingold and Tilford 1981, in igraph and others) would not set a head between its left and
its right dependents, and layered ones order each layer anew; so no layout library is used. Nodes of different depth
may stand above each other, which keeps a tree of 40 words about as wide as its widest layer.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from unicodedata import east_asian_width
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from nsr.errors import ConfigError
from nsr.gss import GSS, ROOT, shorten
from nsr.reports.plots import BLUE, GREY
from nsr.semantics.values import EMPTY, MISSING, format_value

INK, PAPER, TINT = "#1a1a1a", "#ffffff", "#e9f0f5"  # the tint is behind values
RED = "#B34700"  # where a value is missing, which a dashed line says, too
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
SIZE, ADVANCE, LINE = 12, 7.25, 17  # of the font, of a character and of a line, in pixels
PICTURE = 40  # pixels of an image's side
PADDING, BAND, ROUND = 9, 5, 5  # inside nodes, above and below values, of corners
GAP, STEP, RISE = 16, 20, 42  # between nodes, from word to word, from layer to layer
CHARACTERS, LINES = 26, 3  # of a program or a value in a node
SWEEPS = 30  # over the nodes, until each has about the best place
Images = Sequence[np.ndarray]

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{sentence}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em; }}
h1, p, table {{ max-width: 60em; }}
h1 {{ font-size: 1.4em; margin: 0 0 .6em; overflow-wrap: anywhere; }}
h1 img {{ height: 1.8em; vertical-align: middle; margin-right: 2px; }}
h1 span {{ display: inline-block; }}
h2 {{ font-size: 1.1em; margin: 1.8em 0 .5em; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .25em 1.5em .25em 0; text-align: left; vertical-align: baseline; overflow-wrap: anywhere; }}
thead th {{ border-bottom: 1px solid {grey}; }}
td {{ font-family: {font}; font-size: 13px; }}
th {{ font-weight: 600; white-space: nowrap; }}
figure {{ margin: 1.5em 0; overflow-x: auto; }}
svg {{ display: block; margin: 0 auto; }}
p {{ color: {grey}; }}
@media print {{ svg {{ max-width: 100%; height: auto; }} }}
</style>
</head>
<body>
<h1>{heading}</h1>
<table>
<tr><th>answer</th><td>{answer}</td></tr>
<tr><th>log-probability</th><td>{log_prob:.4f}</td></tr>
</table>
<figure>
{picture}
</figure>
<p>A node shows its symbol, its program and its value. <code>x0</code>, <code>x1</code>, … on the arcs are what the
program of the head calls the values below. A value that is missing is <code>?</code> in a dashed frame; what has no
value of its own is <code>∅</code>.</p>
<h2>Programs</h2>
<table>
<thead><tr><th>symbol</th><th>program</th></tr></thead>
{programs}
</table>
</body>
</html>
"""


@dataclass(frozen=True)
class Box:
    """What a node shows: lines of its symbol, program and value, perhaps below an image."""

    label: list[str]
    program: list[str]
    value: list[str]
    above: int

    @property
    def width(self) -> float:
        """In pixels."""
        return max(ADVANCE * max(map(_advance, self.lines)), self.above) + 2 * PADDING

    @property
    def height(self) -> float:
        """In pixels."""
        return self.above + LINE * len(self.lines) + 4 * BAND

    @property
    def lines(self) -> list[str]:
        """All of them."""
        return self.label + self.program + self.value


def to_html(gss: GSS, sentence: str, images: Images | None = None) -> str:
    """A page with the tree and its programs, in one file, without scripts.

    Args:
        gss: the tree, with its programs in the notation that is to be shown.
        sentence: what it explains.
        images: of the inputs, if they are images: grey values, uint8.

    Raises:
        ConfigError: there are images, but Pillow is not installed.
    """
    shown = "".join(f'<img src="{data_uri(image)}" alt="">' for image in ([] if images is None else images))
    rows = (f"<tr><td>{_html(symbol)}</td><td>{_html(program)}</td></tr>" for symbol, program in _programs(gss))
    return PAGE.format(
        sentence=_html(sentence),
        heading=f"{shown} <span>{_html(sentence)}</span>" if shown else _html(sentence),
        answer="none: there is no derivation" if gss.value is MISSING else _html(format_value(gss.value)),
        log_prob=gss.log_prob,
        picture=to_svg(gss, images, legend=False),
        programs="\n".join(rows),
        font=FONT,
        grey=GREY,
    )


def to_svg(gss: GSS, images: Images | None = None, legend: bool = True) -> str:
    """The tree as a picture; what is shortened shows in full where the mouse is.

    Args:
        gss: the tree, with its programs in the notation that is to be shown.
        images: of the inputs, if they are images: grey values, uint8.
        legend: whether programs that are shortened are spelled out below.

    Raises:
        ConfigError: there are images, but Pillow is not installed.
    """
    boxes = [_box(gss, node, images is not None) for node in range(len(gss))]
    x, depths = layout(gss.heads, [box.width for box in boxes])
    tops = _tops(depths, boxes)
    width = max(place + box.width / 2 for place, box in zip(x, boxes, strict=True))
    height = max(top + box.height for top, box in zip(tops, boxes, strict=True))
    below = list(_legend(gss, boxes, int(width / ADVANCE))) if legend else []
    width = max([width, *(ADVANCE * _advance(line) for line in below)]) + 2 * PADDING
    total = height + LINE * (len(below) + bool(below)) + 2 * PADDING

    picture = Element("svg", _attributes(xmlns="http://www.w3.org/2000/svg", width=width, height=total, role="img"))
    picture.set("viewBox", f"{-PADDING} {-PADDING} {width:.1f} {total:.1f}")
    picture.set("font-family", FONT)
    picture.set("font-size", str(SIZE))
    SubElement(picture, "title").text = _clean(f"{' '.join(gss.inputs)} = {format_value(gss.value)}")
    for node, head in enumerate(gss.heads.tolist()):
        if head != ROOT:
            start = (x[head], tops[head] + boxes[head].height)
            _draw_arc(picture, start, (x[node], tops[node]), _argument(gss, node))
    for node, box in enumerate(boxes):
        _draw_node(picture, gss, node, box, (x[node], tops[node]), None if images is None else images[node])
    for row, line in enumerate(below, start=2):
        _draw_text(picture, line, 0, height + LINE * row, GREY, anchor="start")
    ElementTree.indent(picture)
    return ElementTree.tostring(picture, encoding="unicode")


def layout(heads: np.ndarray, widths: Sequence[float]) -> tuple[list[float], list[int]]:
    """Where nodes stand: in the order of the sentence, those of one depth beside each other.

    One pass gives each node the least x there is for it, another the greatest. Beginning between the two, each is then
    drawn to the middle of its head and dependents as far as its neighbours let it.

    Args:
        heads: of a tree, shape (n,).
        widths: of the nodes, in pixels.

    Returns:
        the x of the nodes' centres, and their depths.
    """
    depths = [_depth(heads, node) for node in range(len(heads))]
    half = [width / 2 for width in widths]
    left, right = _distances(depths, half)

    def least(node: int, x: Sequence[float]) -> float:
        return max([half[node], *(x[other] + distance for other, distance in left[node])])

    def greatest(node: int, x: Sequence[float]) -> float:
        return min([room - half[node], *(x[other] - distance for other, distance in right[node])])

    first = [0.0] * len(heads)
    for node in range(len(heads)):
        first[node] = least(node, first)
    room = max(map(sum, zip(first, half, strict=True)))
    last = list(first)
    for node in reversed(range(len(heads))):
        last[node] = greatest(node, last)
    x = [(low + high) / 2 for low, high in zip(first, last, strict=True)]
    kin = _kin(heads)
    for _ in range(SWEEPS):
        for node, others in enumerate(kin):
            wanted = sum(x[other] for other in others) / len(others) if others else x[node]
            x[node] = min(max(wanted, least(node, x)), greatest(node, x))
    return x, depths


def _kin(heads: np.ndarray) -> list[list[int]]:
    """The head and the dependents of each node."""
    kin: list[list[int]] = [[] for _ in heads]
    for node, head in enumerate(heads.tolist()):
        if head != ROOT:
            kin[node].append(head)
            kin[head].append(node)
    return kin


def _depth(heads: np.ndarray, node: int) -> int:
    """The number of arcs between a node and the root."""
    depth = 0
    while heads[node] != ROOT:
        node, depth = heads[node], depth + 1
    return depth


Distances = list[list[tuple[int, float]]]


def _distances(depths: list[int], half: list[float]) -> tuple[Distances, Distances]:
    """For each node the others that stand left (and those that stand right) of it, and how far away at least."""
    left: Distances = [[] for _ in depths]
    right: Distances = [[] for _ in depths]
    beside: dict[int, int] = {}  # the last node of each depth
    for node, depth in enumerate(depths):
        pairs = [(node - 1, float(STEP))] if node else []
        if depth in beside:
            pairs.append((beside[depth], half[beside[depth]] + GAP + half[node]))
        beside[depth] = node
        for other, distance in pairs:
            left[node].append((other, distance))
            right[other].append((node, distance))
    return left, right


def _tops(depths: list[int], boxes: list[Box]) -> list[float]:
    """The y of each node: layers are as high as their highest node."""
    heights = [0.0] * (max(depths) + 1)
    for depth, box in zip(depths, boxes, strict=True):
        heights[depth] = max(heights[depth], box.height)
    return [sum(heights[:depth]) + RISE * depth for depth in depths]


def _box(gss: GSS, node: int, picture: bool) -> Box:
    symbol, name = gss.symbols[node], gss.inputs[node]
    label = symbol if picture or symbol == name else f"{symbol} [{name}]"
    return Box(
        [shorten(_clean(label), CHARACTERS) or " "],
        _wrap(gss.programs[node], LINES) if gss.programs else [],
        _wrap(format_value(gss.values[node]), LINES),
        PICTURE if picture else 0,
    )


def _wrap(text: str, lines: int) -> list[str]:
    return textwrap.wrap(_clean(text), CHARACTERS, max_lines=lines, placeholder=" …", break_on_hyphens=False)


def _advance(line: str) -> int:
    """The columns that a line takes."""
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in line)


def _argument(gss: GSS, node: int) -> str:
    """What the head's program calls a node's value; "" for what has none."""
    siblings = [each for each in gss.children(int(gss.heads[node])) if gss.values[each] is not EMPTY]
    return f"x{siblings.index(node)}" if node in siblings else ""


def _programs(gss: GSS) -> list[tuple[str, str]]:
    """The distinct symbols with their programs, in the order of the sentence."""
    return [pair for pair in dict.fromkeys(zip(gss.symbols, gss.programs, strict=False)) if pair[1]]


def _legend(gss: GSS, boxes: list[Box], room: int) -> Iterator[str]:
    """The programs that boxes show shortened, in lines."""
    cut = {
        (gss.symbols[node], gss.programs[node])
        for node, box in enumerate(boxes)
        if box.program and box.program[-1].endswith("…")
    }
    for symbol, program in _programs(gss):
        if (symbol, program) in cut:
            yield from textwrap.wrap(_clean(f"{symbol}:  {program}"), max(room, 80), subsequent_indent="    ")


Point = tuple[float, float]


def _draw_arc(picture: Element, start: Point, end: Point, argument: str) -> None:
    (x, y), (to_x, to_y) = start, end
    middle = (y + to_y) / 2
    path = f"M{x:.1f},{y:.1f} C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}"
    SubElement(picture, "path", _attributes(d=path, fill="none", stroke=GREY))
    if argument:  # on the side of the arc where the head is not
        side, anchor = (-5, "end") if to_x < x else (5, "start")
        _draw_text(picture, argument, to_x + side, to_y - 5, GREY, anchor=anchor)


def _draw_node(picture: Element, gss: GSS, node: int, box: Box, top: Point, image: np.ndarray | None) -> None:
    (x, y), value = top, gss.values[node]
    group = SubElement(picture, "g")
    SubElement(group, "title").text = _clean(_tooltip(gss, node))
    frame = _attributes(x=x - box.width / 2, y=y, width=box.width, height=box.height, rx=ROUND)
    SubElement(group, "rect", {**frame, "fill": PAPER})
    band = LINE * len(box.value) + 2 * BAND
    SubElement(group, "path", {"d": _band(x, y + box.height, box.width, band), "fill": TINT})
    ink = RED if value is MISSING else GREY if value is EMPTY else INK
    border = _attributes(fill="none", stroke=ink) | {"stroke-width": "2" if node == gss.root else "1"}
    SubElement(group, "rect", {**frame, **border, **({"stroke-dasharray": "4 3"} if value is MISSING else {})})
    if image is not None:
        place = _attributes(x=x - PICTURE / 2, y=y + BAND, width=PICTURE, height=PICTURE)
        SubElement(group, "image", {**place, "href": data_uri(image)})
    y += box.above + BAND - 4  # the base of a line is so far above its lower end
    for row, line in enumerate(box.label + box.program, start=1):
        _draw_text(group, line, x, y + LINE * row, *((INK, "bold") if row == 1 else (BLUE,)))
    y += LINE * len(box.label + box.program) + 2 * BAND
    for row, line in enumerate(box.value, start=1):
        _draw_text(group, line, x, y + LINE * row, ink)


def _band(x: float, bottom: float, width: float, height: float) -> str:
    """The path of a rectangle around x whose lower corners are round."""
    start = f"M{x - width / 2:.1f},{bottom - height:.1f} h{width:.1f} v{height - ROUND:.1f}"
    corner = f"a{ROUND},{ROUND} 0 0 1 -{ROUND}"
    return f"{start} {corner},{ROUND} h-{width - 2 * ROUND:.1f} {corner},-{ROUND} z"


def _tooltip(gss: GSS, node: int) -> str:
    program = gss.programs[node] if gss.programs else ""
    return "\n".join(filter(None, [gss.symbols[node], program, format_value(gss.values[node])]))


def _draw_text(
    parent: Element, text: str, x: float, y: float, ink: str, weight: str = "normal", anchor: str = "middle"
) -> None:
    place = _attributes(x=x, y=y, fill=ink) | {"font-weight": weight, "text-anchor": anchor, "xml:space": "preserve"}
    SubElement(parent, "text", place).text = text


def _attributes(**values: object) -> dict[str, str]:
    return {name: f"{value:.1f}" if isinstance(value, float) else str(value) for name, value in values.items()}


def _clean(text: str) -> str:
    """A text without what XML cannot hold."""
    return "".join(each if each in "\n\t" or _printable(each) else "�" for each in text)


def _printable(character: str) -> bool:
    return " " <= character < "\ud800" or "\ue000" <= character < "\ufffe" or character > "\uffff"


def _html(text: str) -> str:
    return escape(_clean(text))


def data_uri(image: np.ndarray) -> str:
    """Grey values, uint8, shape (height, width), as the address of a PNG that holds them itself.

    Raises:
        ConfigError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ConfigError("images need Pillow, which is not installed: pip install nsr[images]") from None
    content = BytesIO()
    Image.fromarray(image).save(content, format="png")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
