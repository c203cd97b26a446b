"""The report in a real browser: it renders, filters, and stays text, narrow and wide, light and dark, on paper."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefgen.analysis.calibration import write_calibration
from prefgen.analysis.findings import write_findings
from prefgen.publish.report import write_report
from prefgen.spec.calibration import read_calibration
from prefgen.store.files import write_json
from prefgen.store.folder import RunFolder
from tests.analysis.planted import plant, plant_run
from tests.analysis.test_calibration import run_and_survey, spec_file
from tests.personas.specs import AGES, VOTES
from tests.publish.test_report import HOSTILE
from tests.publish.test_report_drawn import ODD, summary

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator:
    selenium = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module", params=["plain", "hostile"])
def page(request, tmp_path_factory) -> Path:
    texts = HOSTILE if request.param == "hostile" else {}
    run = RunFolder(
        plant_run(tmp_path_factory.mktemp(request.param), plant(texts=texts), name=texts.get("ada", "planted"))
    )
    write_findings(run, draws=30)
    return write_report(run).page


def look(browser, page: Path, *, width: int = 1180, scheme: str = "light") -> None:
    sizes = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    scheme_wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme_wanted)
    browser.get(page.as_uri())


def look_without_complaint(browser, page: Path, width: int, scheme: str) -> None:
    """Look at the page: the browser says nothing, and nothing scrolls sideways."""
    browser.get_log("browser")
    look(browser, page, width=width, scheme=scheme)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def seen(browser) -> list[str]:
    script = (
        "return [...document.querySelectorAll('.reading')].filter(c => c.checkVisibility()).map(c => c.dataset.persona)"
    )
    return browser.execute_script(script)


def choose(browser, name: str, value: str) -> None:
    browser.execute_script(
        "const s = document.querySelector(`select[data-filter='${arguments[0]}']`); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change', {bubbles: true}));",
        name,
        value,
    )


@pytest.mark.parametrize("width", [390, 768, 1180])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_complains_and_nothing_scrolls_sideways(browser, page, width, scheme):
    look_without_complaint(browser, page, width, scheme)
    assert browser.execute_script("return document.querySelectorAll('figure svg').length") == 12


def test_no_address_but_its_own_is_asked(browser, page):
    browser.get_log("performance")
    look(browser, page)
    asked = [
        entry["message"] for entry in browser.get_log("performance") if "Network.requestWillBeSent" in entry["message"]
    ]
    assert asked
    assert all("file://" in message and "http" not in message.split('"url":"', 1)[1][:8] for message in asked)


def test_hostile_text_stays_text(browser, page):
    look(browser, page)
    assert browser.execute_script("return [document.scripts.length, window.owned, document.images.length]") == [
        1,
        None,
        0,
    ]
    assert browser.title.endswith("prefgen report")


def test_filters_leave_what_is_asked_for(browser, page):
    look(browser, page)
    assert len(seen(browser)) == 10
    choose(browser, "persona", "cyd")
    assert set(seen(browser)) == {"cyd"}
    choose(browser, "choice", "A")
    both = browser.execute_script(
        "return [...document.querySelectorAll('.reading')].filter(c => !c.hidden).map(c => c.dataset.persona + c.dataset.choice)"
    )
    assert set(both) == {"cydA"}
    said = browser.execute_script("return document.querySelector('output').textContent")
    assert said.startswith(f"{len(both)} of ")
    browser.execute_script("document.querySelector('.filters button').click()")
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(set(seen(browser))) == 6
    choose(browser, "status", "refusal")
    assert browser.execute_script(
        "return [...document.querySelectorAll('.reading')].filter(c => !c.hidden).every(c => c.dataset.status === 'refusal')"
    )


LETTERS = (
    "return [...document.querySelectorAll('figure svg text')].map(t => parseFloat(getComputedStyle(t).fontSize)"
    " * Math.hypot(t.getCTM().a, t.getCTM().b)).filter(s => s > 0)"
)


def test_letters_of_figures_can_be_read_on_a_phone(browser, page):
    look(browser, page, width=390)
    sizes = browser.execute_script(LETTERS)
    # nine in ten letters are 9 px or more; the numbers of radar axes and heat maps may be a little smaller
    assert sorted(sizes)[len(sizes) // 10] >= 8.0


def test_dark_and_light_differ_and_text_keeps_its_contrast(browser, page):
    contrasts = []
    for scheme in ("light", "dark"):
        look(browser, page, scheme=scheme)
        contrasts.append(browser.execute_script(CONTRAST))
    for contrast in contrasts:
        assert min(contrast.values()) >= 4.5, contrast


def test_it_prints(browser, page):
    look(browser, page)
    paper = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert paper.startswith(b"%PDF")


CONTRAST = """
const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
const probe = document.createElement('i'); document.body.append(probe);
const colour = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
const out = {}; for (const name of ['ink', 'soft', 'blue', 'red', 'green']) for (const under of ['card', 'paper'])
    out[name + ' on ' + under] = ratio(colour(name), colour(under));
probe.remove(); return out;
"""


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> Path:
    """The page of a run whose people were drawn, with odd names of levels, and held against a survey."""
    folder = tmp_path_factory.mktemp("held")
    run = RunFolder(run_and_survey(folder))
    attributes = {"odd": ODD, "vote": VOTES, "age": AGES}
    told = run.read_manifest()
    told["steps"][0]["summary"] = summary(folder, attributes=attributes)
    write_json(run.manifest_path, told)
    write_calibration(run, read_calibration(spec_file(folder)), told)
    return write_report(run).page


@pytest.mark.parametrize("width", [390, 1180])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_draw_and_a_calibration_fit_the_page_whatever_levels_are_called(browser, held, width, scheme):
    look_without_complaint(browser, held, width, scheme)
    keys = browser.execute_script("return [...document.querySelectorAll('figure')].map(f => f.id)")
    assert {"figure-margins", "figure-associations", "figure-calibration", "figure-calibration_items"} <= set(keys)
    assert browser.execute_script("return [document.scripts.length, document.images.length]") == [1, 0]
    if width == 390:
        sizes = browser.execute_script(LETTERS)
        assert sorted(sizes)[len(sizes) // 10] >= 7.5


def displayed(browser) -> int:
    return sum(one.is_displayed() for one in browser.find_elements("css selector", ".reading"))


def test_without_javascript_the_page_is_whole_and_shows_no_dead_filters(browser, page):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        look(browser, page)
        until = time.monotonic() + 10  # on a busy machine it is not laid out yet
        while (shown := displayed(browser)) < 10 and time.monotonic() < until:
            time.sleep(0.1)
        filters = browser.find_element("css selector", ".filters").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert shown == 10
    assert not filters
