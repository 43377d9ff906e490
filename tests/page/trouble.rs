//! What the page says while the server doesn't answer.

use testbed::{Answer, Browser};

use super::figures::{Figures, go_on, report, shown, text, wait_for_text};

/// Whether the figures are grey, and those of the page without their time.
fn figures_of(browser: &Browser) -> (bool, usize) {
    let is_old = browser.run("return document.documentElement.classList.contains('old')");
    (is_old == true, shown(browser).len())
}

#[test]
fn a_server_that_is_gone() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut figures = Figures::serve(report(), go_on);
    figures.open(&browser);
    figures.wait_for_more(3);
    wait_for_text(&browser, "#zone-0 td[data-r='hit/responses']", "100");
    let (is_old, count) = figures_of(&browser);
    assert!(!is_old);
    let before = shown(&browser);
    figures.backend.stop();
    wait_for_text(&browser, "#state", "No answer from the server since");
    wait_for_text(&browser, "#state", "it can't be reached");
    assert_eq!(figures_of(&browser), (true, count));
    // What it showed last, or at most one report later, stays.
    assert!(
        shown(&browser)["/caches/pages/hit/responses"] >= before["/caches/pages/hit/responses"]
    );
    wait_for_text(&browser, "#age", " s old.");
    // The text may be read in grey, too.
    let colours = browser.run(
        "const style = it => getComputedStyle(document.querySelector(it));
        return [style('#zone-0 td').color, style('#state').color, style('#zone-0 .plot .line').stroke]",
    );
    assert_eq!(colours[0], colours[2], "{colours}");
    assert_ne!(colours[0], colours[1], "{colours}");
    super::looks::picture(&browser, "gone");
    figures.backend.run();
    wait_for_text(&browser, "#state", "Live");
    assert_eq!(figures_of(&browser), (false, count));
}

#[test]
fn a_server_that_refuses_or_talks_nonsense() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let figures = Figures::serve(report(), go_on);
    figures.open(&browser);
    figures.wait_for_more(2);
    for (answer, words) in [
        (Answer::of(403, "no"), "status 403"),
        (Answer::ok("<html>"), "what came are no figures"),
        (Answer::ok("null"), "what came are no figures"),
        (Answer::ok("{\"timestamp\": 1}"), "what came are no figures"),
        (Answer::ok("").hang_at(0), "nothing came within 8 s"),
    ] {
        figures.backend.set("/cache/status", answer);
        wait_for_text(&browser, "#state", words);
        assert!(figures_of(&browser).0, "{words}");
    }
    assert!(text(&browser, "#age").ends_with(" s old."));
}
