"""The viewer: what is laid over an image lies where the image is, on the GPU and without; lengths; painting; priors.

Where the image is, is read off the screen: the picture is one bright rectangle.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.imaging.golden_files.encode import dicom
from web.axe import obstacles
from web.conftest import Site, drawn
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH, HEIGHT = 120, 90
LEFT, TOP, RIGHT, BOTTOM = 30, 15, 80, 60
"""The bright rectangle's edges, in pixels of the image."""
NO_WEBGL = """
for (const canvas of [HTMLCanvasElement, OffscreenCanvas]) {
  const get = canvas.prototype.getContext;
  canvas.prototype.getContext = function (kind, ...rest) {
    return /webgl/.test(kind) ? null : get.call(this, kind, ...rest);
  };
}
"""
STEADY = """() => new Promise((done) => {
  let before = "";
  const look = () => {
    const pictures = [...document.querySelectorAll(".view-stage canvas")].map((one) => one.toDataURL());
    const now = [...pictures, document.querySelector(".view-marks clipPath rect")?.getAttribute("transform")].join();
    if (now === before) return done();
    before = now;
    setTimeout(() => requestAnimationFrame(look), 150);
  };
  look();
})"""


def rectangle(patient: str, study: int, **tags: Any) -> bytes:
    """A DICOM file of a black image with a bright rectangle."""
    samples = np.zeros((HEIGHT, WIDTH), np.uint16)
    samples[TOP:BOTTOM, LEFT:RIGHT] = 4095
    named = {
        "PatientID": patient,
        "StudyInstanceUID": f"1.2.3.7.{study}",
        "SOPInstanceUID": f"1.2.3.7.{study}.1",
        "PixelSpacing": None,
    }
    return dicom(samples, 12, {**named, "PatientOrientation": ["L", "F"], "BurnedInAnnotation": "NO", **tags})


def upload(site: Site, *files: bytes) -> list[str]:
    return [site.upload(data, models=())[0] for data in files]


def open_viewer(page: Page, site: Site, study: str) -> None:
    page.goto(f"{site.url}/#/studies/{study}")
    page.get_by_role("heading", name=study[:8]).wait_for()
    page.locator(".view-screen[data-ready=true]").first.wait_for()
    page.wait_for_function("document.querySelector('.view-marks')")


def frames(page: Page) -> None:
    """Wait until what was asked for is drawn: the picture and the map stay as they are."""
    page.evaluate(STEADY)


def zoom(page: Page, by: int) -> None:
    """Turn the wheel, which the browser hands on when it likes, and wait for what comes of it."""
    marks = page.locator(".view-marks clipPath rect").first
    before = marks.get_attribute("transform") or ""
    page.mouse.wheel(0, by)
    expect(marks).not_to_have_attribute("transform", before)
    frames(page)


def affine(page: Page) -> list[float]:
    """Return the map by which the viewer lays things over the image: x' = a x + c y + e, y' = b x + d y + f."""
    found = page.locator(".view-marks clipPath rect").first.get_attribute("transform")
    return [float(number) for number in re.findall(r"-?\d[\d.e-]*", found or "")]


def drawn_at(page: Page) -> NDArray[np.float64]:
    """Return left, top, right and bottom of what is bright on the screen, in CSS pixels."""
    page.evaluate("document.querySelectorAll('.view-marks, .view-figures').forEach((one) => one.remove())")
    screen = page.locator(".view-screen").first
    picture = np.asarray(Image.open(BytesIO(screen.screenshot())).convert("L")) > 127
    columns, rows = np.flatnonzero(picture.sum(0) > 8), np.flatnonzero(picture.sum(1) > 8)
    ratio = float(page.evaluate("devicePixelRatio"))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float) / ratio


def laid_at(found: list[float]) -> NDArray[np.float64]:
    """Return where a map brings the rectangle."""
    a, b, c, d, e, f = found
    corners = np.array([[a * x + c * y + e, b * x + d * y + f] for x, y in ((LEFT, TOP), (RIGHT, BOTTOM))])
    return np.concatenate([corners.min(0), corners.max(0)])


@pytest.mark.parametrize(("gpu", "turns"), [(True, 0), (True, 1), (True, 2), (True, 3), (False, 0), (False, 3)])
def test_what_is_laid_over_an_image_lies_where_the_image_is(
    site: Site, new_page: Callable[..., Page], gpu: bool, turns: int
) -> None:
    """Pixels twice as wide as high, on a screen of two pixels a CSS pixel, zoomed off the centre."""
    [study] = upload(site, rectangle("anisotropic", 1, PixelSpacing=[0.5, 1.0]))
    page = new_page(device_scale_factor=2)
    if not gpu:
        page.add_init_script(NO_WEBGL)
    open_viewer(page, site, study)
    for _ in range(turns):
        page.keyboard.press("r")
    box = page.locator(".view-screen").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
    zoom(page, 60)
    wanted = laid_at(affine(page))
    width, height = (wanted[2] - wanted[0], wanted[3] - wanted[1])[:: 1 if turns % 2 == 0 else -1]
    assert width / height == pytest.approx((RIGHT - LEFT) * 1.0 / ((BOTTOM - TOP) * 0.5), rel=1e-6)
    side = page.locator(".view-sides [data-side=right]").get_attribute("data-at")
    assert side == {0: "left", 1: "top", 2: "right", 3: "bottom"}[turns]
    assert drawn_at(page) == pytest.approx(wanted, abs=0.8)


@pytest.mark.parametrize("gpu", [True, False])
def test_sixteen_bits_stay_sixteen_bits(site: Site, new_page: Callable[..., Page], gpu: bool) -> None:
    """Neighbours among 65,536 values are different greys once the window is narrow; 8 bits would show one."""
    buffer = BytesIO()
    Image.fromarray(np.arange(30_000, 30_128, dtype=np.uint16)[None, :].repeat(64, 0)).save(buffer, "PNG")
    [study] = upload(site, buffer.getvalue())
    page = new_page()
    if not gpu:
        page.add_init_script(NO_WEBGL)
    open_viewer(page, site, study)
    page.keyboard.press("a")
    frames(page)
    page.evaluate("document.querySelectorAll('.view-marks, .view-figures').forEach((one) => one.remove())")
    picture = np.asarray(Image.open(BytesIO(page.locator(".view-screen").screenshot())).convert("L"))
    assert len(np.unique(picture[picture.shape[0] // 2])) > 100


def test_a_fine_pattern_drawn_small_is_its_mean(site: Site, page: Page) -> None:
    """A board of black and white pixels shows grey where it is drawn small, as film would, and no grain."""
    board = (np.indices((1600, 1600)).sum(0) % 2 * 255).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(board).save(buffer, "PNG")
    [study] = upload(site, buffer.getvalue())
    open_viewer(page, site, study)
    frames(page)
    page.evaluate("document.querySelectorAll('.view-marks, .view-figures').forEach((one) => one.remove())")
    picture = np.asarray(Image.open(BytesIO(page.locator(".view-screen").screenshot())).convert("L")).astype(float)
    middle = picture[picture.shape[0] // 4 : -picture.shape[0] // 4, picture.shape[1] // 4 : -picture.shape[1] // 4]
    assert middle.mean() == pytest.approx(128, abs=2)
    assert middle.std() < 2


def test_the_heatmap_is_off_and_then_lies_on_the_image(site: Site, page: Page) -> None:
    [study] = site.upload(drawn(904))
    open_viewer(page, site, study)
    expect(page.locator(".view-heat")).to_have_count(0)
    page.get_by_role("tab", name="Model").click()
    page.get_by_role("button", name="Show the models' answers").locator("visible=true").click()
    page.get_by_label("Heatmap").select_option("covid-19")
    page.get_by_text("7x7: not a localisation").wait_for()
    page.keyboard.press("r")
    page.locator(".view-screen").hover()
    zoom(page, 200)
    a, b, c, d, e, f = affine(page)
    shown = page.locator(".view-heat").evaluate(
        "(one) => { const m = new DOMMatrix(getComputedStyle(one).transform);"
        "return [[0, 0], [7, 0], [7, 7], [0, 7]].map(([x, y]) => { const p = m.transformPoint({ x, y });"
        "return [p.x, p.y]; }); }"
    )
    wanted = [[a * x + c * y + e, b * x + d * y + f] for x, y in ((0, 0), (512, 0), (512, 512), (0, 512))]
    assert np.array(shown) == pytest.approx(np.array(wanted), abs=0.01)
    page.get_by_role("slider", name="Opacity", exact=True).fill("0.25")
    expect(page.locator(".view-heat")).to_have_css("opacity", "0.25")


def test_lengths_hold_where_the_file_says(site: Site, page: Page) -> None:
    bare, patient, detector = upload(
        site,
        rectangle("bare", 2),
        rectangle("spaced", 3, PixelSpacing=[0.5, 1.0]),
        rectangle("detector", 4, ImagerPixelSpacing=[0.2, 0.2]),
    )
    open_viewer(page, site, bare)
    button = page.get_by_role("button", name="Measure a length")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_attribute("aria-description", re.compile("no pixel spacing"))
    expect(page.locator(".view-bar")).to_have_count(0)
    for study, unit in ((patient, "mm"), (detector, "mm at detector")):
        open_viewer(page, site, study)
        page.keyboard.press("l")
        page.locator(".view-screen").focus()
        for key in ("Space", *["ArrowDown"] * 9, "Space"):
            page.keyboard.press(key)
        a, b, *_ = affine(page)
        row = 0.5 if unit == "mm" else 0.2
        # The cursor goes by ten screen pixels across, as many image pixels down; clamped at the image's edge.
        pixels = min(HEIGHT / 2, 90 / float(np.hypot(a, b)))
        expect(page.locator(".view-length text")).to_have_text(f"{pixels * row:.1f} {unit}")
        expect(page.locator(".view-bar")).to_have_count(1)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag between two points of the viewport, as shares of its width and height."""
    box = page.locator(".view-screen").bounding_box()
    assert box is not None
    (x, y), (to_x, to_y) = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in (start, end)]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(to_x, to_y, steps=4)
    page.mouse.up()


def test_an_angle_is_two_drags_and_a_ratio_two_lines_whose_ends_can_be_moved(site: Site, page: Page) -> None:
    """Fault E19. Neither needs a scale."""
    [study] = upload(site, rectangle("measured", 29))
    open_viewer(page, site, study)
    page.keyboard.press("g")
    drag(page, (0.4, 0.5), (0.5, 0.5))
    drag(page, (0.5, 0.5), (0.5, 0.6))
    texts = page.locator(".view-length text")
    expect(texts).to_have_text(["90°"])
    page.keyboard.press("t")
    drag(page, (0.4, 0.3), (0.5, 0.3))
    drag(page, (0.3, 0.4), (0.7, 0.4))
    expect(texts).to_have_text(["90°", "heart / chest 0.25"])
    drag(page, (0.5, 0.3), (0.6, 0.3))
    expect(texts).to_have_text(["90°", "heart / chest 0.50"])
    page.keyboard.press("u")  # a press on the image gave it the focus
    expect(texts).to_have_text(["90°"])
    page.keyboard.press("g")
    for _ in range(4):
        page.keyboard.press("Space")
    page.keyboard.press("Escape")
    expect(page.locator(".view-length")).to_have_count(1)


def test_the_outlines_of_an_answer_propose_a_ratio(site: Site, page: Page) -> None:
    """Fault E19: it is marked as proposed until the reader has moved an end."""
    [study] = site.upload(drawn(906))
    open_viewer(page, site, study)
    page.get_by_role("tab", name="Model").click()
    page.get_by_role("button", name="Show the models' answers").locator("visible=true").click()
    page.locator(".answer").first.wait_for()
    answers = page.request.get(f"{site.url}/api/studies/{study}/predictions").json()
    widths = next(one["result"]["cardiothoracic"] for one in answers if one["result"].get("cardiothoracic"))
    ratio = (widths["heart"][1] - widths["heart"][0]) / (widths["chest"][1] - widths["chest"][0])
    assert 0.2 < ratio < 0.9
    page.locator(".view-screen").focus()
    page.keyboard.press("t")
    expect(page.locator(".view-length text")).to_have_text(f"heart / chest {ratio:.2f}, proposed")
    ends = page.locator(".view-length circle")
    at, screen = ends.first.bounding_box(), page.locator(".view-screen").bounding_box()
    assert at is not None
    assert screen is not None
    page.mouse.move(at["x"] + 3, at["y"] + 3)
    page.mouse.down()
    page.mouse.move(at["x"] - 20, at["y"] + 3, steps=3)
    page.mouse.up()
    expect(page.locator(".view-length text")).not_to_contain_text("proposed")
    expect(page.locator(".view-length text")).to_contain_text("heart / chest")


def test_painting_by_keyboard_and_pointer_goes_to_the_panel(site: Site, page: Page) -> None:
    [study] = site.upload(drawn(902))
    open_viewer(page, site, study)
    page.get_by_role("tab", name="Model").click()
    page.get_by_role("button", name="Show the models' answers").locator("visible=true").click()
    page.get_by_text("What if a region were covered?").click()
    page.get_by_role("button", name="Cover what I paint").click()
    page.locator(".view-screen").focus()
    for key in ("Space", "Shift+ArrowRight", "Shift+ArrowRight"):
        page.keyboard.press(key)
    box = page.locator(".view-screen").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator(".view-stroke")).to_have_count(2)
    page.get_by_role("button", name="Undo last stroke").click()
    expect(page.locator(".view-stroke")).to_have_count(1)
    with page.expect_request(lambda request: request.url.endswith("/what-if")) as asked:
        page.get_by_role("button", name="Ask the model with this region covered").click()
    sent = asked.value.post_data_json
    assert sent is not None
    [stroke] = sent["strokes"]
    # It begins in the middle of 512 pixels, whose centres are whole numbers, and goes right by half a radius each time.
    middle, radius = 255.5, stroke["radius"]
    assert stroke["points"] == [[middle + step * radius / 2, middle] for step in range(3)]
    page.locator(".view-screen").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Stop painting")).to_have_count(0)


def test_two_fingers_zoom_and_one_sets_the_window(site: Site, phone: Page) -> None:
    [study] = upload(site, rectangle("phone", 5))
    open_viewer(phone, site, study)
    box = phone.locator(".view-screen").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = phone.context.new_cdp_session(phone)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        there = [{"x": x + dx, "y": y + dy, "id": number} for number, (dx, dy) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": there})

    frames(phone)
    before = affine(phone)
    touch("touchStart", (-40, 0), (40, 0))
    touch("touchMove", (-80, 0), (80, 0))
    touch("touchEnd")
    frames(phone)
    assert affine(phone)[0] == pytest.approx(2 * before[0], rel=0.02)
    figures = phone.locator(".view-figures")
    words = figures.inner_text()
    touch("touchStart", (0, 0))
    touch("touchMove", (-60, 0))
    touch("touchEnd")
    expect(figures).not_to_have_text(words, use_inner_text=True)
    assert affine(phone)[0] == pytest.approx(2 * before[0], rel=0.02)


def test_an_earlier_study_lies_beside_with_its_date(site: Site, page: Page) -> None:
    now, then = upload(
        site,
        rectangle("prior", 6, StudyDate="20260314"),
        rectangle("prior", 7, StudyDate="20250101", ViewPosition="AP"),
    )
    open_viewer(page, site, now)
    page.get_by_role("button", name="Show or hide another study beside it").and_(
        page.locator("[aria-disabled=false]")
    ).wait_for()
    page.keyboard.press("v")
    prior = page.locator(".view-pane[data-prior=true]")
    prior.locator(".view-screen[data-ready=true]").wait_for()
    expect(prior).to_contain_text("Prior")
    expect(prior).to_contain_text("examined 2025-01-01")
    expect(prior.get_by_role("application")).to_have_attribute("aria-label", re.compile("Prior; "))
    page.set_viewport_size({"width": 1366, "height": 768})
    frames(page)
    boxes = page.evaluate(
        """() => Object.fromEntries(['.view-toolbar button', '.view-banner', '.view-screen', '.view-bars'].map((each) =>
            [each, [...document.querySelectorAll(each)].map((one) => one.getBoundingClientRect().toJSON())]))"""
    )
    assert len({box["top"] for box in boxes[".view-toolbar button"]}) == 1  # one row
    (left, right), banners = boxes[".view-screen"], boxes[".view-banner"]
    assert left["right"] < right["left"]
    for measure in ("top", "width", "height"):
        assert left[measure] == pytest.approx(right[measure], abs=0.1)
    assert all(banner["bottom"] <= left["top"] for banner in banners)
    assert boxes[".view-bars"][0]["top"] >= left["top"]  # they hide no banner
    page.keyboard.press("v")
    expect(prior).to_have_count(0)
    assert then != now


def test_an_image_of_8_bits_goes_to_255_however_it_is_stored(site: Site, page: Page) -> None:

    rows = np.random.default_rng(3).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)  # its grey is no whole number
    buffer = BytesIO()
    Image.fromarray(rows).save(buffer, "PNG")
    (study,) = upload(site, buffer.getvalue())
    open_viewer(page, site, study)
    figures = page.locator(".view-figures")
    expect(figures).to_contain_text("W 255 L 128")
    page.locator(".view-screen").hover()
    expect(page.locator(".view-probe")).to_have_text(re.compile(r"^x \d+ y \d+: \d{1,3}$"))


def test_the_viewer_is_reachable_and_quiet_while_one_types(site: Site, page: Page) -> None:
    [study] = upload(site, rectangle("keys", 8))
    open_viewer(page, site, study)
    assert obstacles(page) == []
    page.get_by_role("button", name="Window and level").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Move", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Move", exact=True)).to_have_attribute("aria-pressed", "true")
    page.evaluate(
        "document.querySelector('#content').insertAdjacentHTML('beforeend', '<input id=typed aria-label=typed>')"
    )
    page.locator("#typed").press("r")
    expect(page.locator(".view-figures")).not_to_contain_text("Rotated")
    page.locator(".view-screen").focus()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys and gestures").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Keys and gestures").wait_for(state="hidden")
    page.keyboard.press("f")
    # The sentence is there in full screen too, where the frame of the page is not.
    page.locator(".viewer[data-full=true] .disclaimer").wait_for()
    assert obstacles(page) == []
