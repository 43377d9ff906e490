//! How the page looks: pictures for people, and what can be checked of them.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use testbed::{Browser, PATIENCE, wait_for, workspace};

use super::figures::{Figures, go_on, report, wait_for_text};

/// Takes a picture into `target/page`, for people to look at.
pub fn picture(browser: &Browser, name: &str) {
    let folder: PathBuf = workspace().join("target/page");
    fs::create_dir_all(&folder).unwrap();
    browser.picture(&folder.join(format!("{name}.png")));
}

#[test]
fn on_screens_and_phones_in_light_and_dark() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut figures = report();
    figures.stores[0].nodes[2].is_up = false;
    let figures = Figures::serve(figures, go_on);
    figures.open(&browser);
    wait_for_text(&browser, "#state", "Live");
    // The script's clock is the server's: minutes of figures come in a moment.
    for _ in 0..60 {
        let hits = figures.backend.hits("/cache/status");
        let _ = browser.run("document.dispatchEvent(new Event('visibilitychange'))");
        wait_for("the next figures", PATIENCE, || {
            figures.backend.hits("/cache/status") > hits
        });
    }
    for (name, width, scale, is_dark) in [
        ("light", 1280, 1, false),
        ("dark", 1280, 1, true),
        ("phone-light", 360, 2, false),
        ("phone-dark", 360, 2, true),
    ] {
        browser.look(width, scale, is_dark);
        let fits =
            "return document.documentElement.scrollWidth <= innerWidth && innerWidth === WIDTH";
        let fits = fits.replace("WIDTH", &width.to_string());
        wait_for("a page as wide as the window", PATIENCE, || {
            browser.run(&fits) == true
        });
        let scheme = browser.run("return getComputedStyle(document.body).backgroundColor");
        let wanted = if is_dark {
            "rgb(18, 20, 23)"
        } else {
            "rgb(255, 255, 255)"
        };
        assert_eq!(scheme, wanted, "{name}");
        // Fingers need room.
        let low = browser.run(
            "return [...document.querySelectorAll('button, select')].filter(it => it.getBoundingClientRect().height < 24).length",
        );
        assert_eq!(low, 0, "{name}");
        picture(&browser, name);
    }
}

#[test]
fn what_assistive_technology_hears() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let figures = Figures::serve(report(), go_on);
    figures.open(&browser);
    wait_for_text(&browser, "#state", "Live");
    figures.wait_for_more(2);
    let tree = browser.devtools("Accessibility.getFullAXTree", &json!({}));
    let mut roles = std::collections::BTreeMap::new();
    for node in tree["nodes"].as_array().unwrap() {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        if node["ignored"] == true {
            continue;
        }
        *roles.entry(role.to_owned()).or_insert(0) += 1;
        let needs_a_name = [
            "button",
            "combobox",
            "slider",
            "image",
            "img",
            "table",
            "region",
            "heading",
            "link",
            "rowheader",
            "columnheader",
        ];
        let name = node["name"]["value"].as_str().unwrap_or_default();
        assert!(!needs_a_name.contains(&role) || !name.is_empty(), "{node}");
    }
    for (role, least) in [
        ("main", 1),
        ("banner", 1),
        ("contentinfo", 1),
        ("status", 1),
        ("button", 1),
        ("combobox", 1),
        ("slider", 1),
        ("table", 15),
        ("columnheader", 50),
        ("rowheader", 50),
    ] {
        assert!(
            roles.get(role).copied().unwrap_or(0) >= least,
            "{role}: {roles:?}"
        );
    }
    // Two zones of five plots, three stores of three.
    assert_eq!(
        roles.get("image").or(roles.get("img")),
        Some(&19),
        "{roles:?}"
    );
}
