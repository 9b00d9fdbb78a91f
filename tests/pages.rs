//! The pages, in a real browser: they load without network and without complaint, fit a narrow window, can be read in
//! the light and in the dark, and every picture has words and numbers. Never skipped: without a browser this fails.

#![cfg(unix)]

mod browser;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use reports::{Collected, Contest, Decision, Epoch, Kind, Quantity, Report, Role, Verdict};
use serde_json::Value;

use crate::browser::{Browser, View};

/// What is evaluated in every page.
const LOOK: &str = include_str!("browser/look.js");

/// A telephone and a desk, each in the light and in the dark.
const VIEWS: [View; 4] = [
    View { width: 400, is_dark: false },
    View { width: 400, is_dark: true },
    View { width: 1100, is_dark: false },
    View { width: 1100, is_dark: true },
];

/// A page and what it must have.
struct Page {
    name: &'static str,
    file: PathBuf,
    verdict: &'static str,
    figures_min: u64,
}

#[tokio::test]
async fn pages_can_be_read_by_everyone() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    let pages = pages(&folder);
    let mut browser = Browser::start(&folder).await;
    let mut wrong = Vec::new();
    for page in &pages {
        for view in VIEWS {
            let mut found = looked_at(&mut browser, page, view, &folder).await;
            let scheme = if view.is_dark { "dark" } else { "light" };
            found
                .iter_mut()
                .for_each(|what| *what = format!("{} at {} px, {scheme}: {what}", page.name, view.width));
            wrong.append(&mut found);
        }
    }
    browser.close().await;
    assert!(wrong.is_empty(), "screenshots are in {}:\n{}", folder.display(), wrong.join("\n"));
}

/// Opens the page, and says what is wrong with it.
async fn looked_at(browser: &mut Browser, page: &Page, view: View, folder: &Path) -> Vec<String> {
    browser.open(&page.file, view).await;
    let seen = browser.evaluate(LOOK).await;
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str, detail: &Value| {
        if !holds {
            wrong.push(format!("{what}: {detail}"));
        }
    };
    let number = |key: &str| seen[key].as_f64().unwrap_or(f64::NAN);
    for list in [
        "tooWide",
        "overlapping",
        "mute",
        "mislabelled",
        "withoutNumbers",
        "faint",
        "resources",
        "unreachable",
        "doubled",
    ] {
        must(seen[list] == Value::Array(Vec::new()), list, &seen[list]);
    }
    must(number("width") == f64::from(view.width), "the window is of another width", &seen["width"]);
    must(number("scrollWidth") <= number("width"), "the page scrolls sideways", &seen["scrollWidth"]);
    must(number("scripts") == 0.0, "the page has scripts", &seen["scripts"]);
    must(seen["figures"].as_u64() >= Some(page.figures_min), "plots are missing", &seen["figures"]);
    let verdict = seen["verdict"].as_str().unwrap_or_default();
    must(verdict.ends_with(page.verdict), "the verdict does not come first", &seen["verdict"]);
    must(number("verdictTop") < number("height") / 3.0, "the verdict is not in sight", &seen["verdictTop"]);
    must(view.is_dark == (number("ground") < 0.18), "the page is not as dark as asked for", &seen["ground"]);
    let asked: Vec<String> = browser
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with("file:///") && url != "data:,")
        .collect();
    must(asked.is_empty() && browser.requests().len() <= 2, "requests", &browser.requests().into());
    must(browser.complaints().is_empty(), "complaints", &browser.complaints().into());

    let scheme = if view.is_dark { "dark" } else { "light" };
    let name = format!("{}-{}-{scheme}", page.name, view.width);
    let window = browser.screenshot(None).await;
    fs::write(folder.join(format!("{name}.png")), &window).expect("the target folder can be written");
    wrong.extend(Picture::read(&window).blemishes(view, 12));
    if !seen["clip"].is_null() {
        let plot = browser.screenshot(Some(&seen["clip"])).await;
        fs::write(folder.join(format!("{name}-plot.png")), &plot).expect("the target folder can be written");
        let plot = Picture::read(&plot);
        wrong.extend(plot.blemishes(view, 4));
        if plot.coloured < 100 {
            wrong.push(format!("the plot has no curve: {} coloured pixels", plot.coloured));
        }
    }
    wrong
}

/// What a screenshot shows, in numbers.
struct Picture {
    width: u32,
    colours: usize,
    /// Share of the most frequent colour.
    ground: f64,
    /// Mean brightness, 0..=1.
    brightness: f64,
    /// Pixels that are clearly no grey.
    coloured: usize,
}

impl Picture {
    fn read(png: &[u8]) -> Picture {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("a whole PNG");
        let mut colours: BTreeMap<[u8; 3], usize> = BTreeMap::new();
        for pixel in pixels[..info.buffer_size()].chunks_exact(info.color_type.samples()) {
            *colours.entry([pixel[0], pixel[1], pixel[2]]).or_default() += 1;
        }
        let all = (info.width as usize * info.height as usize).max(1) as f64;
        let light = |colour: &[u8; 3]| colour.iter().map(|part| f64::from(*part)).sum::<f64>() / 765.0;
        let is_coloured =
            |colour: &[u8; 3]| colour.iter().max().zip(colour.iter().min()).is_some_and(|(a, b)| a - b > 60);
        Picture {
            width: info.width,
            colours: colours.len(),
            ground: colours.values().max().copied().unwrap_or(0) as f64 / all,
            brightness: colours.iter().map(|(colour, count)| light(colour) * *count as f64).sum::<f64>()
                / all,
            coloured: colours.iter().filter(|(colour, _)| is_coloured(colour)).map(|(_, count)| count).sum(),
        }
    }

    /// Why it is no picture of a page: blank, or in the wrong light.
    fn blemishes(&self, view: View, colours_min: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.width == 0 || self.width > view.width || self.colours < colours_min || self.ground > 0.995 {
            let Picture { width, colours, ground, .. } = self;
            wrong.push(format!(
                "the screenshot is blank: {width} px wide, {colours} colours, {ground:.3} of one colour"
            ));
        }
        if (self.brightness < 0.5) != view.is_dark {
            wrong.push(format!("the screenshot has brightness {:.2}", self.brightness));
        }
        wrong
    }
}

/// Writes the pages: a release as it was, one with an accusation, a simulation, a comparison.
fn pages(folder: &Path) -> Vec<Page> {
    let page = |name: &'static str, verdict, figures_min| Page {
        name,
        file: folder.join(format!("{name}.html")),
        verdict,
        figures_min,
    };
    let example = example();
    let headline = match example.verdict {
        Verdict::Pass => "release",
        Verdict::Inconclusive | Verdict::NotComparable => "incomplete",
        Verdict::Findings
        | Verdict::IsolationBreach
        | Verdict::Regression
        | Verdict::ReplayDiverged
        | Verdict::TraceAltered
        | Verdict::Unreached
        | Verdict::Error => "do not release",
    };
    let pages = vec![
        page("release", headline, 14),
        page("accused", "do not release", 16),
        page("gate", "regression", 4),
        page("simulation", "pass", 1),
        page("comparison", "Comparison", 0),
    ];
    fs::write(&pages[0].file, reports::html::render(&example)).expect("written");
    fs::write(&pages[1].file, reports::html::render(&accused(&example))).expect("written");
    fs::write(&pages[2].file, reports::html::render(&gate(&example))).expect("written");
    let saved = |seed: &str| folder.join(format!("{seed}.json"));
    for seed in ["1", "2"] {
        let mut sim = Command::cargo_bin("goldenpath").expect("built");
        sim.args(["sim", "--scenario", "churn", "--seed", seed, "--out"]).arg(saved(seed));
        sim.arg("--html").arg(&pages[3].file).assert().success();
    }
    let mut compare = Command::cargo_bin("goldenpath").expect("built");
    compare.args(["report", "compare"]).arg(saved("1")).arg(saved("2")).arg("--html").arg(&pages[4].file);
    compare.assert().success();
    pages
}

/// The committed example: a report of real runs.
fn example() -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/example/release.json");
    let text = fs::read_to_string(&path).expect("the example is in the repository");
    reports::json::from_str(&text).expect("the example can be read")
}

/// The example again, with a gate that accuses.
fn accused(example: &Report) -> Report {
    let release = example.release.as_deref().expect("a release");
    let mut parts = release.parts.clone();
    parts.retain(|part| part.kind != Kind::Gate);
    parts.push(gate(example));
    let collected = Collected {
        since: release.since.clone(),
        head: release.head.clone(),
        changes: release.changes.clone(),
        before: release.parts.clone(),
        parts,
        ..Collected::default()
    };
    reports::release(example.tool.clone(), collected)
}

/// A gate that accuses one benchmark and acquits another one with a long and hostile name.
fn gate(example: &Report) -> Report {
    let mut gate = Report::new(example.tool.clone(), Kind::Gate);
    gate.judge(Verdict::Regression, "route.user_message is slower by more than 5 %");
    gate.gate = Some(Box::new(reports::Gate {
        base: reports::Revision { commit: "v0.0.9".into(), ..Default::default() },
        head: reports::Revision { commit: "working tree".into(), ..Default::default() },
        rules: rules(),
        contests: vec![contest("route.user_message", 0.09), contest(&"<b>\u{202e}".repeat(20), -0.01)],
        controls: Vec::new(),
        exact: reports::Exact::default(),
        instructions: Vec::new(),
        not_comparable: Vec::new(),
        accepted: Vec::new(),
        notes: Vec::new(),
        conditions: reports::Conditions::default(),
    }));
    gate
}

fn rules() -> reports::Rules {
    reports::Rules {
        seed: 1,
        limit: 1.05,
        alpha: 0.01,
        family: 2,
        epochs_max: 400,
        seconds_max: 60.0,
        quads: 6,
        slot_ms: 2.0,
        layouts: 4,
    }
}

/// Twenty epochs around `shift`, and the evidence that they make.
fn contest(name: &str, shift: f64) -> Contest {
    let epoch = |index: u32| Epoch {
        x: (shift + f64::from(index % 7) * 0.008 - 0.024).ln_1p(),
        layouts: [index % 4, index % 4],
        cpu: 0,
        quads: Vec::new(),
        p99_ns: None,
    };
    let strong = (1..=20).map(|n: i32| f64::from(n + 1) * 0.69 - f64::from(n + 1).ln()).collect();
    let weak = (1..=20).map(|n: i32| -f64::from(n + 1).ln()).collect();
    let fails = shift > 0.05;
    let decision = if fails { Decision::Fail } else { Decision::Pass };
    let (ln_e_fail, ln_e_pass) = if fails { (strong, weak) } else { (weak, strong) };
    Contest {
        name: name.to_owned(),
        unit: "message".into(),
        quantity: Quantity::Time,
        role: Role::Gated,
        limit: 1.05,
        fail_at: 200.0,
        pass_at: 100.0,
        slot_units: 1,
        decision,
        cpu_decision: decision,
        estimate: shift,
        interval: [Some(shift - 0.02), Some(shift + 0.02)],
        epochs: (0..20).map(epoch).collect(),
        ln_e_fail,
        ln_e_pass,
        seconds: 1.0,
    }
}
