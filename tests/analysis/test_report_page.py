"""A report is one page that says what the fit says, loads nothing, and works by keyboard."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import chromium
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from small_study import FORMULA, Study, fitted

import voxlm as vx
from voxlm.analysis.pages.methods import first_level_methods

CONTRASTS = ["face - house", "face, house"]


class Outline(HTMLParser):
    """What a page holds: ids, what refers to them, pictures, and whatever comes from outside."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids, self.refers, self.pictures, self.outside, self.text = [], [], [], [], []
        self.silent = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.silent += tag in ("script", "style")
        self.ids += [given["id"]] if "id" in given else []
        for name in ("aria-controls", "aria-labelledby", "data-opens", "data-copies"):
            self.refers += [given[name]] if name in given else []
        if tag == "img":
            self.pictures.append(given)
        for name in ("src", "href"):
            if not given.get(name, "#").startswith(("#", "data:")):
                self.outside.append(given[name])

    def handle_endtag(self, tag):
        self.silent -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.silent:
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def fit(study: Study) -> vx.Fit:
    return fitted(study)


@pytest.fixture(scope="module")
def page(fit: vx.Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    decided = fit.contrast("face").correct("none", alpha=0.05)
    named = {**{text: text for text in CONTRASTS}, "faces": decided}
    assert fit.report(path, named, alpha=0.1) == path
    return path


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> tuple[vx.GroupFit, Path]:
    rng = np.random.default_rng(0)
    affine = np.diag([12.0, 12.0, 12.0, 1.0])
    affine[:3, 3] = -66, -102, -60
    n, shape = 10, (11, 13, 11)
    table = pd.DataFrame({"subject": [f"s{k}" for k in np.repeat(np.arange(n), 2)]})
    table["time"] = np.tile([0.0, 1.0], n)
    level = np.repeat(rng.normal(size=n), 2)
    table["effect"] = [
        nib.Nifti1Image((rng.normal(size=shape) + a).astype(np.float32), affine) for a in level
    ]
    for k, image in enumerate(table["effect"]):
        image.set_sform(affine, 4)
        values = np.asarray(image.dataobj)
        values[5:7, 5:7, 5:7] += 4 * table.time[k]
        if k == 4:
            values[:, :, 8:] = np.nan
    fitted_group = vx.lmer("effect ~ time + (1 | subject)", vx.Maps(table))
    path = tmp_path_factory.mktemp("group") / "group.html"
    return fitted_group, fitted_group.report(path, ["time"], title="Ten people")


def test_the_page_says_what_the_fit_says(fit: vx.Fit, page: Path):
    said = Outline(page.read_text(encoding="utf-8")).words
    verdict = fit.contrast(CONTRASTS[0]).correct("fdr", alpha=0.1)
    assert str(verdict) in said
    assert fit.formula in said
    assert f"{fit.df_resid:g}" in said
    for column in fit.design.columns:
        assert column.role in ("drift", "constant") or column.name in said
    assert "level of events.trial_type" in said  # the resolution table
    table = fit.design.report().set_index("column")
    assert f"{table.vif['face']:.2f}" in said
    assert f"{fit.design.efficiency('face - house')[0]:.3f}" in said
    assert "Benjamini Y, Hochberg Y (1995)" in said
    assert "nilearn" in said


def test_every_cluster_is_tabulated(fit: vx.Fit, page: Path):
    verdict = fit.contrast("face").correct("none", alpha=0.05)
    said = Outline(page.read_text(encoding="utf-8"))
    assert "faces" in said.words
    assert "level 0.05 at each of" in said.words  # decided before, and left as it was
    for row in verdict.table().itertuples():
        assert f"{row.x:.0f} {row.y:.0f} {row.z:.0f} {row.stat:.2f}".replace("-", "−") in said.words


def test_the_page_is_complete_in_itself(page: Path):
    html = page.read_text(encoding="utf-8")
    outline = Outline(html)
    assert outline.outside == []
    assert len(outline.pictures) >= 15
    assert all(picture["alt"] for picture in outline.pictures)
    assert all(
        picture["src"].startswith("data:image/png;base64,iVBOR") for picture in outline.pictures
    )
    assert len(set(outline.ids)) == len(outline.ids)
    assert set(outline.refers) <= set(outline.ids)
    viewers = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert len(viewers) == len(CONTRASTS) + 1
    for viewer in viewers:
        inside = json.loads(viewer)
        assert "brainsprite" in inside
        assert Outline(inside).outside == []


def test_names_are_written_and_never_run_and_arrays_have_pages(study: Study, tmp_path: Path):
    fit = vx.lm(FORMULA, [study.array_run(), study.array_run()], stack=True)
    odd = {"<img src=x onerror=alert(1)>": "face"}
    path = fit.report(tmp_path / "r.html", odd, title="<script>alert(2)</script>")
    html = path.read_text(encoding="utf-8")
    assert "<script>alert(2)" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert(2)" in html
    said = Outline(html).words
    assert "2 runs stacked" in said
    assert "Histogram of the z values" in said


def test_runs_and_data_left_out(odd_study: Study, tmp_path: Path):
    fixed = vx.glsar(FORMULA, [odd_study.run(), odd_study.run(sample_mask=np.arange(90) != 40)])
    said = Outline(fixed.report(tmp_path / "two.html", ["face"]).read_text("utf-8")).words
    assert "2 runs" in said
    assert "zero in every scan" in said
    assert "1 of 90: 40 (from 0)" in said
    assert "combined by fixed effects" in said
    assert "Histogram" not in said
    assert said.count("The peak in ") == 2  # a course for each run


def test_images_that_are_gone_are_said_to_be(bad: Study, tmp_path: Path):
    fit = fitted(bad)
    con = fit.contrast("face").correct("none", alpha=1e-12)  # nothing is significant either
    bad.bold.unlink()
    said = Outline(fit.report(tmp_path / "r.html", [con]).read_text("utf-8")).words
    assert "No residuals are shown" in said
    assert "changed or gone since" in said
    assert "no cluster" in said


def test_bad_names_are_refused(fit: vx.Fit, tmp_path: Path):
    with pytest.raises(vx.DataError, match=r"ends in \.html"):
        fit.report(tmp_path / "report.pdf")
    with pytest.raises(vx.DataError, match="two contrasts are called"):
        fit.report(tmp_path / "r.html", ["face", "face"])
    with pytest.raises(vx.VoxlmError, match="unknown correction"):
        fit.report(tmp_path / "r.html", ["face"], correct="fdrr")
    assert not list(tmp_path.iterdir())


def test_a_group_shows_its_maps_and_what_they_weigh(group: tuple[vx.GroupFit, Path]):
    fit, path = group
    said = Outline(path.read_text(encoding="utf-8")).words
    assert "Ten people" in said
    assert str(fit.contrast("time").correct("fdr")) in said
    assert "Cook's distance of each subject" in said
    assert "in a glass brain" in said
    assert "variance of Intercept over subject" in said
    assert "20" in said
    assert f"{int((fit.nobs == 19).sum()):,}" in said
    assert "lme4" in said


needs_chromium = pytest.mark.skipif(chromium.program() is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory):
    with chromium.Browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


@needs_chromium
@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_browser_shows_it_without_complaint(browser, page: Path, width: int, dark: bool):
    browser.open(page.as_uri(), width, 800, dark)
    assert (
        browser.run("[...document.images].filter(i => !(i.complete && i.naturalWidth)).length") == 0
    )
    for tab in range(browser.run("document.querySelectorAll('[role=tab]').length")):
        browser.run(f"document.querySelectorAll('[role=tab]')[{tab}].click()")
        assert browser.run("document.querySelectorAll('section:not([hidden])').length") == 1
        assert browser.run("document.documentElement.scrollWidth") <= width
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    ink = browser.run("getComputedStyle(document.body).color")
    levels = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ground, ink)]
    assert (levels[0] < levels[1]) is dark
    assert abs(levels[0] - levels[1]) > 450  # of 765
    assert browser.complaints() == []
    assert browser.requests() == []


@needs_chromium
def test_tabs_and_tables_work_by_keyboard(browser, page: Path):
    browser.open(page.as_uri())
    tab = "document.activeElement.textContent"
    browser.run("document.querySelector('[role=tab]').focus()")
    assert browser.run(tab) == "Model"
    browser.press("ArrowRight")
    assert browser.run(tab) == CONTRASTS[0]
    assert browser.run("document.querySelector('#panel-2').hidden") is False
    browser.press("End")
    assert browser.run(tab) == "Methods"
    browser.press("ArrowRight")
    assert browser.run(tab) == "Model"
    browser.press("Tab")
    assert browser.run("document.activeElement.id") == "panel-1"
    head = "[...document.querySelectorAll('#panel-1 th button')].find(b => b.textContent === 'VIF')"
    browser.run(f"{head}.focus()")
    browser.press("Enter", letters="\r")
    assert browser.run(f"{head}.parentElement.getAttribute('aria-sort')") == "descending"
    column = (
        f"[...{head}.closest('table').tBodies[0].rows].map(r => parseFloat(r.cells[2].textContent))"
    )
    values = browser.run(column)
    assert values == sorted(values, reverse=True)
    browser.press("Enter", letters="\r")
    assert browser.run(column) == sorted(values)


@needs_chromium
def test_the_viewer_opens_when_asked(browser, page: Path):
    browser.open(page.as_uri() + "#section-2")
    assert browser.run("document.querySelectorAll('iframe').length") == 0
    browser.run("document.querySelector('#panel-2 .open').focus()")
    browser.press("Enter", letters="\r")
    opened = "document.querySelector('#panel-2 .open').getAttribute('aria-expanded')"
    assert browser.run(opened) == "true"
    browser.run(
        "new Promise(done => { const wait = () => document.querySelector('iframe')?.contentDocument"
        "?.querySelector('canvas')?.width ? done(true) : setTimeout(wait, 50); wait(); })"
    )
    assert browser.complaints() == []
    assert browser.requests() == []


@needs_chromium
def test_a_group_page_is_sound(browser, group: tuple[vx.GroupFit, Path]):
    browser.open(group[1].as_uri(), 400, 800)
    assert (
        browser.run("[...document.images].filter(i => !(i.complete && i.naturalWidth)).length") == 0
    )
    assert browser.run("document.documentElement.scrollWidth") <= 400
    assert browser.complaints() == []


def test_methods_say_the_sides_of_a_test():
    events = pd.DataFrame({"onset": [10.0, 40.0], "duration": 4.0, "trial_type": "face"})
    run = vx.Run(np.random.default_rng(0).normal(100, 1, (40, 5)), events, tr=2.0)
    fit = vx.lm("y ~ face", run)
    one = fit.contrast("face").correct("fdr", two_sided=False)
    assert "one-sided t" in first_level_methods([fit], [one])
    assert "the precision-weighted mean of" in first_level_methods([fit, fit], [one], "precision")
