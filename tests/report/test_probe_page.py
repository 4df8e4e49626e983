"""The page of a probe: nothing in it is made by data, and all that it says is in the record."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import probe_records
import pytest

from jaxlin.errors import InputError
from jaxlin.report import probe_page
from jaxlin.report.probe_page import axes, page, pictures
from jaxlin.report.words import duration

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "<!--",
    "--><h1>hello</h1>",
    "]]></style></title></svg><b>",
    "&lt;b&gt;&amp;",
    "\u202egnp.exe\u2066\u2069",
    "\u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627",
    "\0\x1b[31m\r\n\t\x7f",
    "\ud800 alone \udcff",
    "javascript:alert(1)",
    "<" + 10_000 * "x" + ">",
    "",
)
_VOID = {"meta", "img", "br"}


class Parsed(html.parser.HTMLParser):
    """What a browser finds: elements with attributes, and the text in them; every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.comments: list[str] = []
        self._open: list[int] = []
        self.feed(text)
        self.close()
        assert not self._open, [self.elements[at][0] for at in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, attrs)
        self.elements.append((tag, dict(attrs), []))
        if tag not in _VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for at in self._open:
            self.elements[at][2].append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def texts(self, tag: str) -> list[str]:
        return ["".join(text) for name, _, text in self.elements if name == tag]

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes, _ in self.elements if "id" in attributes]

    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes, _ in self.elements]


def two_blocks() -> dict[str, Any]:
    return probe_records.record(names=("layer 1", "layer 2"))


def test_no_element_and_no_attribute_comes_from_data() -> None:
    # Harmless texts of the same lengths, each of a letter of its own.
    harmless = [chr(97 + at) * len(text) for at, text in enumerate(HOSTILE)]
    # For each turn another text is in each place.
    for turn in range(len(HOSTILE)):
        bad, good = (
            probe_page.render(
                probe_records.with_every_string(
                    two_blocks(),
                    lambda at, texts=texts, turn=turn: texts[(at + turn) % len(texts)],
                )
            )
            for texts in (HOSTILE, harmless)
        )
        assert Parsed(bad).skeleton() == Parsed(good).skeleton()
        assert Parsed(bad).comments == []


def test_texts_arrive_as_they_are_and_nobody_turns_or_hides_them() -> None:
    classes = ("<b>&\"'", "\u202eabc", "\ud800\0")
    text = probe_page.render(probe_records.record(classes))
    shown = Parsed(text).texts("bdi")
    assert {"<b>&\"'", "\\u202eabc", "\\ud800\\x00"} <= set(shown)
    assert not re.search("[\0-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert text.encode("utf-8")


def test_every_name_is_isolated_and_a_long_one_is_cut_with_the_rest_in_its_title() -> None:
    long = "\u05d0" + 10_000 * "y"
    text = probe_page.render(probe_records.record((long, "dog", "bird")))
    assert len(text) < 200_000
    names = [a for tag, a, inner in Parsed(text).elements if tag == "bdi" and "yyy" in inner[0]]
    assert names
    assert all(len(a["title"] or "") == 300 for a in names)


@pytest.mark.parametrize("make", [probe_records.record, two_blocks])
def test_ids_are_unique_and_everything_that_points_at_one_finds_it(make: Any) -> None:
    parsed = Parsed(probe_page.render(make()))
    ids = parsed.ids()
    assert len(set(ids)) == len(ids)
    for _, attributes, _ in parsed.elements:
        pointed = [attributes.get("aria-labelledby"), (attributes.get("href") or "#")[1:] or None]
        assert all(one in ids for one in pointed if one)


def test_nothing_is_loaded_and_nothing_runs_but_the_pages_own() -> None:
    text = probe_page.render(two_blocks())
    parsed = Parsed(text)
    for tag, attributes, _ in parsed.elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;")
        assert tag not in ("link", "iframe", "object", "form", "base", "use")
    (policy,) = (
        attributes["content"] or ""
        for tag, attributes, _ in parsed.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (inner,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def numbers_of(value: Any) -> Iterator[str]:
    """How every number of a record, and every number in its texts, may be written."""
    if isinstance(value, dict):
        for one in value.values():
            yield from numbers_of(one)
    elif isinstance(value, list):
        yield str(len(value))
        for one in value:
            yield from numbers_of(one)
    elif isinstance(value, str):
        yield from re.findall(NUMBER, value)
    elif value is not None and not isinstance(value, bool):
        yield from (f"{value:.4g}", f"{value:.3g}", f"{100 * value:.2f}", f"{value:,}")
        yield from (f"{100 * value:.3g}", *re.findall(NUMBER, duration(value)))


NUMBER = r"\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?"


def cells(parsed: Parsed) -> Iterator[str]:
    for tag, _, text in parsed.elements:
        if tag in ("td", "th", "dd"):
            yield "".join(text)


def test_every_number_in_a_table_is_of_the_record() -> None:
    found = two_blocks()
    known = set(numbers_of({key: one for key, one in found.items() if key != "blocks"}))
    for block in found["blocks"]:
        known |= set(numbers_of(block))
    known |= {f"{0.51234:.6g}", f"{0.51229:.6g}"}
    # A confusion's share of its class is the one number that the page works out.
    known |= {f"{100 * n / sum(row):.2f}" for row in probe_records.COUNTS for n in row}
    shown = {
        n for cell in cells(Parsed(probe_page.render(found))) for n in re.findall(NUMBER, cell)
    }
    in_headings = {"1", "2", "95", "256"}  # F1, layer 2, 95 % interval, SHA-256
    assert shown - known - in_headings == set()
    assert len(shown) > 100
    found["blocks"][0]["test"]["accuracy"] = 0.123456
    changed = probe_page.render(found)
    assert "12.35 %" in changed
    assert "85.00 %" in probe_page.render(two_blocks())


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("warnings",), [], "warnings"),
        (("blocks", 0, "baselines"), [], "baselines"),
        (("blocks", 0, "refit"), None, "proof"),
        (("blocks", 0, "few_shot"), None, "few-shot"),
        (("blocks", 0, "test", "confusion"), None, "confusion"),
        (("blocks", 0, "test", "classes"), [], "classes"),
        (("blocks", 0, "test", "calibration", "count"), [0, 0, 0, 0], "calibration"),
        (("blocks", 0, "test", "mistakes"), [], "mistakes"),
        (("blocks", 0, "templates"), None, "templates"),
        (("protocol",), None, "protocol"),
    ],
)
def test_a_part_that_there_is_not_has_no_heading(
    path: tuple[Any, ...], value: Any, key: str
) -> None:
    found = probe_records.record()
    assert key in Parsed(probe_page.render(found)).ids()
    inner: Any = found
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    parsed = Parsed(probe_page.render(found))
    assert key not in parsed.ids()
    assert f"{key}-heading" not in parsed.ids()
    for tag, attributes, text in parsed.elements:
        if tag == "section":
            heading = next(
                "".join(inner)
                for _, other, inner in parsed.elements
                if other.get("id") == attributes["aria-labelledby"]
            )
            assert len("".join(text)) > len(heading) + 20


def test_without_a_test_set_the_score_is_the_validations_and_says_so() -> None:
    found = probe_records.record()
    found["blocks"][0]["test"] = None
    found["data"]["splits"]["test"] = None
    for baseline in found["blocks"][0]["baselines"]:
        baseline["test"] = None
    text = "".join(Parsed(probe_page.render(found)).texts("header"))
    assert "validation accuracy81.25 %" in text
    assert "it flatters" in text
    assert "tested" not in text


def test_what_may_be_null_is_a_dash() -> None:
    found = probe_records.record()
    block = found["blocks"][0]
    for end in ("low", "high"):
        block["grid"][f"validation_accuracy_{end}"] = [None] * 8
        block["best"][f"validation_accuracy_{end}"] = None
        block["test"][f"accuracy_{end}"] = None
    block["grid"]["C"], block["best"]["C"] = [None] * 8, None
    block["test"]["top_k"] = None
    block["refit"]["certificate"] = None
    block["refit"]["history"] |= {"passes": None}
    block["few_shot"]["summary"][0]["sd"] = None
    block["test"]["mistakes"][0]["image"] = None
    found["replay"] = None
    found["data"]["groups"] = None
    text = probe_page.render(found)
    assert "None" not in text
    assert "nan" not in text
    grid = text[text.index('id="grid"') : text.index('id="proof"')]
    assert "interval" not in grid
    assert ">C<" not in grid
    assert "scikit-learn's C" not in text
    assert 'class="curve band"' not in grid
    assert 'class="cards"' not in text


def test_hollow_points_are_the_fits_without_a_proof_and_the_ring_is_the_winner() -> None:
    text = probe_page.render(probe_records.record())
    grid = text[text.index('id="grid"') : text.index('id="proof"')]
    plots, legend = grid.split('class="legend"')
    # Accuracy and loss: eight fits each, three of them not proved.
    assert plots.count("<circle") == 2 * (8 + 1)
    assert len(re.findall(r'class="dot s\d hollow"', plots)) == 2 * 3
    assert len(re.findall(r'class="dot s0 ring"', plots)) == 2
    assert "not proved" in legend
    assert len(re.findall(r'<path class="curve s\d', plots)) == 2 * 2


def test_many_blocks_keep_seven_colours_and_draw_the_rest_in_grey() -> None:
    names = [f"layer {at}" for at in range(12)]
    text = probe_page.render(probe_records.record(names=names))
    assert "17 more, less accurate" in text
    assert len(re.findall(r'class="curve rest"', text.split('class="legend"')[1])) >= 2 * 17
    assert "The grid of <bdi>layer 11</bdi>" in text


@pytest.mark.parametrize("shape", [[2, 3], [2, 3, 3]])
def test_an_image_of_the_page_has_the_pixels_of_the_record(shape: list[int]) -> None:
    image = {"shape": shape, "pixels": probe_records.pixels(int(np.prod(shape)))}
    tag = pictures.photograph(image, "image", "two by three")
    seen = np.asarray(decoded(tag))
    assert seen.ravel().tolist() == list(base64.b64decode(image["pixels"]))
    assert seen.shape == tuple(shape)


def decoded(tag: str) -> PIL.Image.Image:
    (file,) = re.findall(r"base64,([^\"]+)", tag)
    return PIL.Image.open(io.BytesIO(base64.b64decode(file)))


def test_a_template_is_orange_for_and_blue_against_and_the_stronger_the_more_opaque() -> None:
    image = {"shape": [1, 3], "pixels": base64.b64encode(bytes((0, 128, 255))).decode()}
    against, nothing, speaks = np.asarray(
        decoded(pictures.template(image, "t", "")).convert("RGBA")
    )[0].tolist()
    assert against[2] > against[0]
    assert speaks[0] > speaks[2]
    assert (against[3], nothing[3], speaks[3]) == (255, 1, 255)


def test_a_matrix_has_a_pixel_a_cell_the_diagonal_in_another_hue() -> None:
    picture = np.asarray(decoded(pictures.matrix(probe_records.COUNTS, "")).convert("RGBA"))
    assert picture.shape == (3, 3, 4)
    opacity = picture[..., 3]
    assert opacity[0].tolist() == sorted(opacity[0].tolist(), reverse=True)
    assert opacity[0, 2] == 0
    assert picture[0, 0, 2] > picture[0, 0, 0]
    assert picture[0, 1, 0] > picture[0, 1, 2]


@pytest.mark.parametrize(
    "image",
    [
        {"shape": [2, 2], "pixels": "AAAA"},
        {"shape": [3], "pixels": "AAAA"},
        {"shape": [1, 1, 3, 1], "pixels": "AAAA"},
        {"shape": [1, 3], "pixels": "<script>"},
    ],
)
def test_pixels_that_are_none_are_an_error_with_a_name(image: dict[str, Any]) -> None:
    found = probe_records.record()
    found["blocks"][0]["test"]["mistakes"][1]["image"] = image
    with pytest.raises(InputError, match=r"image of mistake 1: .*pixels"):
        probe_page.render(found)


def thousand_classes() -> dict[str, Any]:
    """A record with long names, and as much of all as a record may have."""
    found = probe_records.record([f"{at} " + 9_000 * "\u4e00" for at in range(1000)])
    (block,) = found["blocks"]
    test = block["test"]
    test["confusion"] = {
        "counts": None,
        "coarse": {"counts": [[at + 2 for at in range(100)]] * 100, "classes_per_cell": 10},
        "pairs": [{"true": at, "predicted": at + 1, "count": 9} for at in range(200)],
    }
    test["classes"] = [test["classes"][0] | {"class": at} for at in range(1000)]
    image = {"shape": [64, 64], "pixels": probe_records.pixels(4096)}
    test["mistakes"] = [test["mistakes"][0] | {"image": image}] * 24
    images = [{"class": at, "pixels": image["pixels"]} for at in range(40)]
    block["templates"] = {"shape": [64, 64], "limit": 1.0, "images": images}
    return found


def test_a_thousand_classes_with_long_names_are_under_two_megabytes() -> None:
    text = probe_page.render(thousand_classes())
    assert len(text.encode()) < 2_000_000
    assert "Each cell is 10 neighbouring classes" in text
    assert "The first 40 of 1,000 classes" in text
    assert len(probe_page.render(probe_records.record()).encode()) < 80_000


def test_between_twenty_and_a_hundred_classes_the_matrix_is_a_picture() -> None:
    found = probe_records.record([str(at) for at in range(30)])
    test = found["blocks"][0]["test"]
    test["classes"] = [test["classes"][0] | {"class": at} for at in range(30)]
    test["confusion"]["counts"] = [[int(at == to) for to in range(30)] for at in range(30)]
    parsed = Parsed(probe_page.render(found))
    (matrix,) = (a for tag, a, _ in parsed.elements if a.get("class") == "matrix")
    assert (matrix["width"], matrix["alt"]) == ("30", "confusion matrix of 30 classes")


def test_writing_replaces_the_file_or_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    found = probe_records.record()
    probe_page.write(found, path)
    assert path.read_bytes() == probe_page.render(found).encode()
    found["blocks"][0]["templates"]["images"][0]["pixels"] = ""
    with pytest.raises(InputError, match="template of class 0"):
        probe_page.write(found, path)
    assert path.read_bytes() == probe_page.render(probe_records.record()).encode()


def test_a_record_is_left_as_it_was() -> None:
    found = two_blocks()
    probe_page.render(found)
    assert found == two_blocks()


# Relative luminance and contrast, as WCAG 2 has them.
def _luminance(color: str) -> float:
    shares = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_and_lines_have_contrast_enough_in_light_in_dark_and_in_print() -> None:
    css = Path(page.__file__).with_name("page.css").read_text()
    blocks = re.findall(r":root {(.*?)}", css, re.DOTALL)
    palettes = [dict(re.findall(r"(--[\w-]+): (#\w{6});", block)) for block in blocks]
    assert [len(palette) for palette in palettes] == [16, 16, 16]
    for palette in palettes:
        for text, ground in itertools.product(("ink", "muted", "accent"), ("page", "raised")):
            assert contrast(palette[f"--{text}"], palette[f"--{ground}"]) >= 4.5, (text, ground)
        assert contrast(palette["--warn"], palette["--warn-page"]) >= 4.5
        assert contrast(palette["--ink"], palette["--warn-page"]) >= 4.5
        for line in ("edge", *(f"s{at}" for at in range(7))):
            assert contrast(palette[f"--{line}"], palette["--page"]) >= 3.0, line
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


def test_every_class_of_the_page_is_in_the_style_sheet() -> None:
    css = Path(page.__file__).with_name("page.css").read_text()
    text = probe_page.render(two_blocks()) + probe_page.render(thousand_classes())
    used = {one for found in re.findall(r'class="([^"]+)"', text) for one in found.split()}
    unstyled = {one for one in used if not re.search(rf"\.{one}\b", css)}
    assert unstyled <= {"only-line", "tick", "sortable", "number", "n", "rest"}


@pytest.mark.parametrize(
    ("low", "high", "is_log", "names"),
    [
        (0.0, 1.0, False, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0.83, 0.852, False, ["0.83", "0.835", "0.84", "0.845", "0.85"]),
        (1e-8, 1.0, True, ["10⁻⁸", "10⁻⁶", "10⁻⁴", "0.01", "1"]),
        (0.3, 2.5, True, ["0.3", "0.5", "1", "2"]),
        (0.5, 0.5, False, ["0.5"]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, is_log: bool, names: list[str]) -> None:
    axis = axes.Axis(low, high, 0.0, 100.0, is_log)
    assert [axes.tick_name(value) for value in axis.ticks()] == names
    assert all(0.0 <= axis.at(value) <= 100.0 for value in axis.ticks())
