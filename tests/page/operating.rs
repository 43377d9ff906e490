//! What the page does while the server answers.

use cache_core::counters::{Subject, not_stored};
use cache_core::outcome::Reason;
use cache_core::report::ZoneReport;
use serde_json::{Value, json};
use testbed::{Browser, PATIENCE, holds_for, ms, wait_for};

use super::figures::{
    Figures, count, go_on, none, report, shown, text, value, wait_for_text, wait_until_shown,
};

/// The tabulator, in WebDriver.
const TAB: &str = "\u{E004}";

#[test]
fn it_follows_the_figures() {
    let Some(browser) = Browser::start() else {
        return;
    };
    // Time goes on, nothing is counted.
    let figures = Figures::serve(report(), |report, _| report.time += 2_000);
    figures.open(&browser);
    wait_for_text(&browser, "#state", "Live");
    let now = || value(&figures.report.lock().unwrap());
    wait_until_shown(&browser, now);
    let lag = "#store-0 [data-p='memory/feed_lag']";
    wait_for_text(&browser, lag, "0.040");
    // More of what there was, a server that goes down, and what there wasn't: a reason, a zone.
    {
        let mut report = figures.report.lock().unwrap();
        go_on(&mut report, 5);
        report.stores[0].nodes[1].is_up = false;
        let memory = report.stores[0].memory.as_mut().unwrap();
        (memory.is_fed, memory.feed_lag) = (false, None);
        count(
            &mut report.zones[0].counts,
            not_stored(Reason::Truncated),
            3_000,
        );
        report.zones.push(ZoneReport {
            name: "a/new~one \u{1F4A1}".into(),
            counts: none(Subject::Zone),
            ..ZoneReport::default()
        });
    }
    wait_until_shown(&browser, now);
    let trouble = text(&browser, "#trouble");
    assert_eq!(
        trouble,
        "Store main: replica 10.0.0.2:6379 is down.Store main: its memory isn't fed."
    );
    assert_eq!(text(&browser, lag), "\u{2013}");
    // The page has been fetched for what is new, and not since.
    let fetched = figures.backend.hits("/cache/");
    figures.wait_for_more(4);
    assert_eq!(figures.backend.hits("/cache/"), fetched);
    // Rates are there in the new tables, too.
    let rates = browser
        .run("return [...document.querySelectorAll('#zone-0 [data-r]')].map(it => it.textContent)");
    let rates: Vec<String> = serde_json::from_value(rates).unwrap();
    assert!(!rates.iter().any(|rate| rate == "\u{2013}"), "{rates:?}");
    // The most frequent reason stands first.
    assert_eq!(text(&browser, "[data-p^='not_stored/']"), "3,000");
    assert!(text(&browser, "#zone-2 h2").contains("a/new~one \u{1F4A1}"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn rates_are_per_second_of_the_server() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let figures = Figures::serve(report(), go_on);
    figures.open(&browser);
    let rate = "#zone-0 td[data-r='hit/responses']";
    wait_for_text(&browser, rate, "100");
    figures.wait_for_more(2);
    assert_eq!(text(&browser, rate), "100");
    // 200 of a kind in all that was counted since: hits, 10 to 18 stale, 6 updating, 8 revalidated of some 270.
    let told = browser.run(
        "return [...document.querySelectorAll('#zone-0 svg[role=img]')].map(it => it.getAttribute('aria-label'))",
    );
    let told: Vec<String> = serde_json::from_value(told).unwrap();
    assert!(
        told[0].starts_with(
            "Responses, the last 5 minutes. hit: now 100/s, least 100/s, most 100/s; stale: "
        ),
        "{told:?}"
    );
    for (plot, words) in [
        (1, "all hits: now 8"),
        (3, "p50: now "),
        (4, "waiting: now "),
    ] {
        assert!(told[plot].contains(words), "{told:?}");
    }
    // Each plot has lines, and each line its own colour and dash.
    let lines = browser.run(
        "return [...document.querySelectorAll('#zone-0 figure:first-child .plot .line')].map(it => {
            const style = getComputedStyle(it); return style.stroke + ' ' + style.strokeDasharray; })",
    );
    let lines: Vec<String> = serde_json::from_value(lines).unwrap();
    let mut different = lines.clone();
    different.sort();
    different.dedup();
    assert_eq!((lines.len(), different.len()), (5, 5), "{lines:?}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn counters_that_begin_anew_give_no_negative_rates() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let figures = Figures::serve(report(), |report, nth| {
        if nth == 4 {
            let time = report.time;
            *report = self::report();
            report.time = time;
        }
        go_on(report, nth);
    });
    figures.open(&browser);
    wait_for_text(&browser, "#state", "Counters began anew");
    figures.wait_for_more(2);
    wait_for_text(&browser, "#zone-0 td[data-r='hit/responses']", "100");
    let said = browser.run(
        "return [...document.querySelectorAll('td[data-r], svg[role=img]')].map(it => it.getAttribute('aria-label') || it.textContent)",
    );
    let said: Vec<String> = serde_json::from_value(said).unwrap();
    assert!(said.len() > 30);
    for text in said {
        let negative = text.split(' ').any(|word| {
            let rest = word.strip_prefix('-').unwrap_or_default();
            rest.starts_with(|char: char| char.is_ascii_digit())
        });
        assert!(!negative && !text.contains("NaN"), "{text}");
        assert!(
            !text.contains("hit: now") || text.contains("most 100/s") || text.contains("120/s"),
            "{text}"
        );
    }
}

#[test]
fn it_is_used_by_keyboard() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let figures = Figures::serve(report(), go_on);
    figures.open(&browser);
    wait_for_text(&browser, "#state", "Live");
    let focused = || {
        let found = browser.run(
            "const it = document.activeElement, style = getComputedStyle(it);
            return [it.id || it.className, style.outlineStyle, parseFloat(style.outlineWidth)]",
        );
        (
            found[0].as_str().unwrap_or_default().to_owned(),
            found[1] == "solid" && found[2].as_f64() >= Some(2.0),
        )
    };
    for wanted in ["skip", "pause", "window", "back"] {
        browser.press(TAB);
        assert_eq!(focused(), (wanted.to_owned(), true));
    }
    // Arrows look back in time; plots say what was then.
    figures.wait_for_more(3);
    browser.press("\u{E012}\u{E012}");
    wait_for_text(&browser, "#when", "4 s ago");
    browser.press("\u{E010}");
    wait_for_text(&browser, "#when", "now");
    // Back to the button.
    let _ = browser.run("document.getElementById('pause').focus()");
    browser.press(" ");
    wait_for_text(&browser, "#state", "Paused");
    assert_eq!(text(&browser, "#pause"), "Go on");
    let before = figures.backend.hits("/cache/status");
    assert!(holds_for(ms(5_000), || figures
        .backend
        .hits("/cache/status")
        == before));
    browser.press(" ");
    wait_for_text(&browser, "#state", "Live");
    figures.wait_for_more(2);
}

#[test]
fn it_rests_while_nobody_sees_it() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let figures = Figures::serve(report(), go_on);
    figures.open(&browser);
    figures.wait_for_more(2);
    let hide = |is_hidden: bool| {
        let _ = browser.run(&format!(
            "Object.defineProperty(document, 'hidden', {{value: {is_hidden}, configurable: true}});
            document.dispatchEvent(new Event('visibilitychange'));"
        ));
    };
    hide(true);
    let mut before = figures.backend.hits("/cache/status");
    // One may be under way.
    let _ = holds_for(ms(1_000), || true);
    before = before.max(figures.backend.hits("/cache/status"));
    assert!(holds_for(ms(4_000), || figures
        .backend
        .hits("/cache/status")
        == before));
    hide(false);
    figures.wait_for_more(2);
}

#[test]
fn without_javascript_it_shows_the_figures() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let figures = Figures::serve(report(), go_on);
    let off = json!({"value": true});
    let _ = browser.devtools("Emulation.setScriptExecutionDisabled", &off);
    figures.open(&browser);
    wait_for_text(&browser, "#state", "These figures stand still");
    assert_eq!(figures.backend.hits("/cache/status"), 0);
    let now = value(&figures.report.lock().unwrap());
    assert_eq!(
        super::figures::missing(&browser, &now),
        Vec::<String>::new()
    );
    // Nothing is there that does nothing.
    let visible = browser.run(
        "return [...document.querySelectorAll('button, input, select, .live, .plots')].filter(it => it.checkVisibility()).length",
    );
    assert_eq!(visible, Value::from(0));
    assert!(shown(&browser).len() > 300);
    super::looks::picture(&browser, "without-javascript");
}

#[test]
fn a_report_that_comes_late_is_waited_for() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let figures = Figures::serve(report(), go_on);
    figures.open(&browser);
    figures.wait_for_more(2);
    // Never two at a time, however long it takes.
    wait_for("a request", PATIENCE, || {
        figures.backend.most_at_once("/cache/status") == 1
    });
}
