"""The page of the server, in a real browser."""

import contextlib
import json
import re
import shutil
import time
import urllib.request

import pytest
from builders import answering_models, tasks
from builders.answering_models import STORY
from server.conftest import settings

from textrnn.classification.signatures import classification_signatures
from textrnn.server.config_files import ModelConfig
from textrnn.server.page import FILES
from textrnn.server.server import Server, Settings
from textrnn.server.streams import _Batch
from textrnn.text_generation.signatures import text_signatures
from textrnn.translation.signatures import translation_signatures

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
REVIEW = "Friendly? The staff were friendly,\nbut <b>cold</b> soup is not delicious."
SENTENCE = "The old miller opened the door and looked into the dark night."
TRANSLATION = "Der alte Müller öffnete die Tür und schaute in die dunkle Nacht."
SIZES = {"desktop": (1100, 800), "phone": (375, 700), "small phone": (320, 600)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = answering_models.save_all(tmp_path_factory.mktemp("models"))
    (base / "broken" / "1").mkdir(parents=True)
    configs = [
        ModelConfig("novel", base / "novel", latest=2),
        *(ModelConfig(name, base / name) for name in ("reviews", "en_de", "broken")),
    ]
    with Server(Settings(lambda: configs, grpc_port=None, rest_port=0, poll_seconds=0)) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM)


@contextlib.contextmanager
def opened(browser, server, path="", **options):
    """The page in a browser; it asks this server alone, and nothing fails in it."""
    origin = f"http://127.0.0.1:{server.rest_port}/"
    context = browser.new_context(**{"viewport": {"width": 1100, "height": 800}} | options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.goto(origin + path)
    page.locator("[role=tabpanel]:visible").wait_for()
    yield page
    context.close()
    assert not [url for url in asked if not url.startswith((origin, "data:"))]
    assert not [fault for fault in faults if not fault.startswith("Failed to load resource")]


@pytest.fixture
def page(browser, server):
    with opened(browser, server) as page:
        yield page


def panel(page, name):
    """Open a tab and return its panel."""
    page.get_by_role("tab", name=name).click()
    return page.get_by_role("tabpanel", name=name)


def run(page, task, text):
    """Open the tab of a task, run it, and return its panel when the answer is there."""
    found = panel(page, task)
    found.get_by_role("textbox").fill(text)
    found.get_by_role("button", name=task).click()
    found.locator(".note:not(:empty), .answer:visible").first.wait_for()
    found.locator("form:not(.running)").wait_for()
    return found


def run_all(page, more=""):
    run(page, "Generate", "It was a" + more)
    run(page, "Classify", REVIEW + more).locator(".words .for").first.focus()
    run(page, "Translate", SENTENCE + more).locator(".target span").first.focus()


# === Files ===


@pytest.mark.parametrize("path", FILES)
def test_files_run_their_own_scripts_alone(server, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.rest_port}{path}") as response:
        text, headers = response.read().decode(), response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == f"{FILES[path][1]}; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\sstyle=|\son\w+=", text
    )
    assert re.findall(r"https?://[^'\"]*", text) in ([], ["http://www.w3.org/2000/svg"])


def test_the_list_of_models(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.rest_port}/v1/models") as response:
        listed = json.load(response)
    assert listed["object"] == "list"
    models = {model["id"]: model for model in listed["data"]}
    assert [*models] == ["broken", "en_de", "novel", "reviews"]
    assert abs(models["novel"]["created"] - time.time()) < 3600 and models["broken"]["created"] == 0
    newest, oldest = models["novel"]["versions"]
    assert (newest["version"], oldest["version"], newest["state"]) == ("2", "1", "AVAILABLE")
    assert newest["status"] == {"error_code": "OK", "error_message": ""}
    assert newest["signatures"] == ["advance", "detokenize", "read"]
    [broken] = models["broken"]["versions"]
    assert (broken["state"], broken["signatures"]) == ("END", []) and broken["status"]["error_message"]


def test_the_models_of_these_tests_take_the_inputs_of_the_tasks():
    def inputs(specs):
        return {spec.name: spec.dtype for spec in specs if not spec.name.startswith("carried")}

    for fake, task, signatures_of in (
        (answering_models.storyteller(), tasks.language_model(), text_signatures),
        (answering_models.critic(), tasks.classifier(), classification_signatures),
        (answering_models.interpreter(), tasks.translator(), translation_signatures),
    ):
        signatures = signatures_of(task)
        for name, function in fake.functions.items():
            assert inputs(function.input_signature) == inputs(signatures[name][1]), name


# === Generate ===


def test_a_prompt_becomes_text(page):
    found = panel(page, "Generate")
    found.get_by_label("Prompt").fill("It was a")
    for label, value in {
        "Length": "40",
        "Temperature": "0.7",
        "Top p": ".95",
        "Top k": "50",
        "Seed": "3",
    }.items():
        found.get_by_label(label, exact=True).fill(value)
    with page.expect_request("**:stream") as sent:
        found.get_by_role("button", name="Generate").click()
    found.get_by_text("The length is reached. 40 tokens").wait_for()
    assert found.locator(".story").text_content() == "It was a" + STORY[:40]
    assert json.loads(sent.value.post_data) == {
        "text": "It was a", "max_new_tokens": 40, "temperature": 0.7, "top_p": 0.95, "top_k": 50, "seed": 3,
    }  # fmt: skip
    assert sent.value.url.endswith("/v1/models/novel:stream")


def slowly(iterate):
    """An iteration of a batch of streams that waits first."""

    def wait_and_iterate(batch):
        time.sleep(0.05)
        return iterate(batch)

    return wait_and_iterate


@pytest.mark.parametrize("how", ["click", "Escape"])
def test_a_text_arrives_piece_by_piece_until_it_is_stopped(page, server, how, monkeypatch):
    monkeypatch.setattr(_Batch, "_iterate", slowly(_Batch._iterate))  # or it ends first, on a busy machine
    found = panel(page, "Generate")
    found.get_by_label("Length").fill("4096")
    found.get_by_label("Model").select_option("novel, version 1")
    with page.expect_request("**/versions/1:stream"):
        found.get_by_label("Prompt").press("Control+Enter")
    found.locator(".made", has_text=STORY[1:20]).wait_for()
    stop = found.get_by_role("button", name="Stop")
    stop.click() if how == "click" else found.get_by_label("Prompt").press(how)
    found.get_by_text("Stopped.").wait_for()
    assert 19 < len(found.locator(".made").text_content()) < 4096
    assert not stop.is_visible()
    if how == "click":
        assert page.evaluate("document.activeElement.textContent") == "Generate"
    end = time.monotonic() + 20
    while server.streams._batches:  # its place is free
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_new_text_replaces_one_that_is_running(page):
    found = panel(page, "Generate")
    prompt, length = found.get_by_label("Prompt"), found.get_by_label("Length")
    length.fill("4096")
    prompt.press("Control+Enter")
    found.locator(".made", has_text=STORY[1:20]).wait_for()
    length.fill("15")
    prompt.fill("It was a")
    prompt.press("Control+Enter")
    found.get_by_text("The length is reached. 15 tokens").wait_for()
    assert found.locator(".story").text_content() == "It was a" + STORY[:15]


# === Classify ===


def test_a_text_is_classified_and_its_words_are_marked(page):
    found = run(page, "Classify", REVIEW)
    assert found.locator(".classes li").all_text_contents() == ["positive 92 %", "negative 8 %"]
    assert found.locator(".words").text_content() == REVIEW
    assert not page.locator("b").count()  # the text is text, not HTML
    supports, contradicts = found.locator(".words .for"), found.locator(".words .against")
    assert supports.all_text_contents() == ["friendly", "delicious"]
    assert contradicts.all_text_contents() == ["<b>cold</b>", "not"]
    lines = [
        marked.first.evaluate("word => getComputedStyle(word).textDecorationStyle")
        for marked in (supports, contradicts)
    ]
    assert lines == ["solid", "dashed"]
    contradicts.first.hover()
    assert found.get_by_text("“<b>cold</b>” adds −0.70 to the log-odds of positive.").is_visible()
    strongest = found.get_by_role("list", name="Strongest words").get_by_role("listitem")
    assert strongest.first.text_content() == "delicious +1.90"


# === Translate ===


def test_a_text_is_translated_and_pointing_shows_the_attention(page):
    found = run(page, "Translate", SENTENCE)
    target, source = found.locator(".target span"), found.locator(".source span")
    assert found.locator(".target").text_content() == TRANSLATION
    assert found.locator(".source").text_content() == SENTENCE + "[end]"

    def weights(tokens):
        found = tokens.evaluate_all(
            "all => all.map(one => Number(one.style.getPropertyValue('--weight')) ** 2)"
        )
        return [round(weight, 2) for weight in found]

    target.get_by_text("Müller", exact=True).hover()
    assert weights(source) == [0, 0.2, 0.8] + [0] * 11
    assert found.get_by_text("“Müller” attends to “miller” 80 %, “old” 20 %.").is_visible()
    source.get_by_text("miller", exact=True).hover()
    assert weights(target) == [0, 0, 0.8, 0.2] + [0] * 9 and not any(weights(source))
    page.mouse.move(0, 0)
    assert not any(weights(target) + weights(source))
    target.first.focus()
    page.keyboard.press("ArrowRight")
    assert weights(source)[:3] == [0.2, 0.8, 0]
    source.get_by_text("door", exact=True).hover()
    page.mouse.move(0, 0)  # what was chosen is shown again
    assert weights(source)[:3] == [0.2, 0.8, 0]
    found.locator(".others li").nth(1).click()
    assert found.locator(".target").text_content() == TRANSLATION.lower()


def test_a_long_text_is_translated_without_its_attention(page):
    run(page, "Translate", SENTENCE).locator(".target span").first.focus()
    long = "\n".join([SENTENCE] * 17)
    found = run(page, "Translate", long)
    assert found.locator(".target").text_content() == " ".join([TRANSLATION] * 17)
    assert found.locator(".source").text_content() == long
    assert found.get_by_text("A text of more than 1,000 characters is translated with the").is_visible()
    assert not found.locator(".others").is_visible() and not found.locator(".detail").text_content()
    run(page, "Translate", SENTENCE).get_by_text("door", exact=True).hover()
    assert found.get_by_text("“door” is attended to by").is_visible()


def test_a_warning_of_a_classifier_is_shown(page):
    found = run(page, "Classify", "1234")
    assert found.get_by_text(
        "The text is unlike those the model was trained on: the answer may be"
    ).is_visible()


def test_warnings_of_a_translator_are_shown(page):
    found = run(page, "Translate", SENTENCE * 8)
    assert found.get_by_text("The text is longer than the model reads: its end was ignored.").is_visible()


# === Models, and none ===


def test_models_and_versions_are_listed(page):
    rows = panel(page, "Models").locator("tbody tr")
    cells = [[cell.text_content() for cell in row.locator("th, td").all()] for row in rows.all()]
    assert [row[:3] for row in cells[1:]] == [
        ["en_de", "3", "ready"], ["novel", "2", "ready"], ["novel", "1", "ready"], ["reviews", "1", "ready"],
    ]  # fmt: skip
    assert cells[0][0] == "broken" and cells[0][2].startswith("cannot be loaded: ")
    assert cells[1][3] == "serving_default, translate"


def test_without_models_the_page_says_how_to_make_some(browser, tmp_path):
    nothing = settings(ModelConfig("m", tmp_path), grpc_port=None)
    with Server(nothing) as server, opened(browser, server) as page:
        for tab, what in {
            "Models": "model", "Generate": "language model", "Classify": "classifier",
            "Translate": "translator",
        }.items():  # fmt: skip
            found = panel(page, tab)
            assert found.get_by_role("heading", name=re.compile(f"No {what} is loaded")).is_visible()
            assert found.get_by_text("textrnn recipe").is_visible()


# === Errors ===


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "This model is no longer loaded. Choose another one. as it was said"),
        (429, "The server is busy. Try again in 7 s. as it was said"),
        (504, "The model took too long. Give a shorter text. as it was said"),
        (None, "The server does not answer. Is textrnn serve still running?"),
    ],
)
def test_errors_are_shown_in_plain_words(page, status, message):
    def answer(route):
        if status is None:
            route.abort()
        else:
            route.fulfill(status=status, json={"error": "as it was said"}, headers={"Retry-After": "7"})

    page.route("**/v1/models/**", answer)
    for task in ("Generate", "Classify", "Translate"):
        found = panel(page, task)
        found.get_by_role("textbox").fill("a")
        found.get_by_role("button", name=task).click()
        alert = found.get_by_role("alert")
        alert.wait_for()
        assert alert.text_content() == message
    page.unroute("**/v1/models/**")
    run(page, "Classify", "again")  # and the next run answers
    assert not page.locator("#panel-classify [role=alert]").is_visible()


def test_wrong_numbers_and_empty_texts_are_named(page):
    found = panel(page, "Generate")
    found.get_by_label("Top p").fill("2")
    found.get_by_role("button", name="Generate").click()
    assert found.get_by_role("alert").text_content() == "Top p: give a number from 0 to 1."
    assert page.evaluate("document.activeElement.id") == "top_p"
    found = panel(page, "Classify")
    found.get_by_role("button", name="Classify").click()
    assert found.get_by_role("alert").text_content() == "Give a text first."


# === For everyone ===


def test_everything_works_with_the_keyboard_alone(page):
    press, write = page.keyboard.press, page.keyboard.type
    press("Tab")
    press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "Classify"
    press("Tab")
    write(REVIEW)
    press("Control+Enter")
    page.locator(".words").wait_for()
    for _ in range(3):  # the model, the button, the words
        press("Tab")
    press("End")
    press("ArrowLeft")
    assert "“not”" in page.locator("#panel-classify .detail").text_content()
    focused = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(focused) == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_controls_have_the_contrast_of_wcag_aa(browser, server, scheme):
    with opened(browser, server, color_scheme=scheme) as page:
        run_all(page)
        panel(page, "Translate").get_by_label("Beams").fill("99")
        panel(page, "Translate").get_by_role("button", name="Translate").click()
        papers = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert papers == {"light": "rgb(250, 249, 246)", "dark": "rgb(23, 24, 26)"}[scheme]
        found = {}
        for tab in ("Generate", "Classify", "Translate", "Models"):
            panel(page, tab)
            found |= {f"{tab}: {what}": ratios for what, ratios in page.evaluate(CONTRASTS).items()}
    assert len(found) > 60
    assert not {what: pair for what, pair in found.items() if pair[0] < pair[1]}


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((x, i) => x * top[3] + below[i] * (1 - top[3]));
  const behind = (element) => {
    const below = element ? behind(element.parentElement) : [255, 255, 255];
    return element ? over(rgba(getComputedStyle(element).backgroundColor), below) : below;
  };
  const luminance = (color) => {
    const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = color.map((x) => linear(x / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const found = {};
  for (const element of document.querySelectorAll("body *")) {
    if (!element.checkVisibility() || element.tagName === "OPTION") continue;
    const style = getComputedStyle(element), paper = behind(element);
    const of = (color) => ratio(over(rgba(color), paper), paper);
    const texts = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const text = texts.map((node) => node.data).join("").trim();
    if (text) found[`${element.tagName} ${text}`] = [of(style.color), 4.5];
    if (!element.matches("input, textarea, select")) continue;
    found[`${element.id} text`] = [of(style.color), 4.5];
    found[`${element.id} placeholder`] = [of(getComputedStyle(element, "::placeholder").color), 4.5];
    const outside = behind(element.parentElement);
    found[`${element.id} border`] = [ratio(over(rgba(style.borderTopColor), outside), outside), 3];
  }
  return found;
}"""
"""Pairs of a contrast and the least that WCAG AA asks for, of all that is visible."""


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen(browser, server, size):
    width, height = SIZES[size]
    with opened(browser, server, viewport={"width": width, "height": height}, is_mobile=width < 500) as page:
        run_all(page, " " + "ha" * 100)
        for tab in ("Generate", "Classify", "Translate", "Models"):
            panel(page, tab)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
        assert page.get_by_role("tablist").evaluate("tabs => tabs.scrollWidth <= tabs.clientWidth")


def test_controls_have_names_and_answers_are_announced(page):
    unnamed = (
        "all => all.filter(one => !one.labels?.length && !one.textContent.trim()).map(one => one.outerHTML)"
    )
    assert page.locator("input, select, textarea, button").evaluate_all(unnamed) == []
    for name, regions in {"generate": 3, "classify": 4, "translate": 3}.items():
        live = page.locator(f"#panel-{name}").locator("[aria-live=polite], [role=status], [role=alert]")
        assert live.count() == regions
    twice = "all => all.map(one => one.id).filter((id, at, ids) => ids.indexOf(id) !== at)"
    assert page.locator("[id]").evaluate_all(twice) == []
