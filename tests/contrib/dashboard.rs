//! The dashboard, as far as tests look at it.

use std::fs;

use serde_json::Value;
use testbed::workspace;

/// An expression of a panel.
pub struct Target {
    pub panel: String,
    pub expression: String,
    pub legend: String,
}

pub struct Dashboard(Value);

impl Dashboard {
    pub fn read() -> Dashboard {
        let text = fs::read(workspace().join("contrib/grafana.json")).unwrap();
        Dashboard(serde_json::from_slice(&text).unwrap())
    }

    pub fn panels(&self) -> &[Value] {
        self.0["panels"].as_array().unwrap()
    }

    pub fn variables(&self) -> &[Value] {
        self.0["templating"]["list"].as_array().unwrap()
    }

    /// The expressions of all panels.
    pub fn targets(&self) -> Vec<Target> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let of_panel = |panel: &Value| {
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            let panel = text(&panel["title"]);
            targets.into_iter().map(move |target| Target {
                panel: panel.clone(),
                expression: text(&target["expr"]),
                legend: text(&target["legendFormat"]),
            })
        };
        self.panels().iter().flat_map(of_panel).collect()
    }
}

/// An expression as Grafana sends it, with all values of its variables chosen.
pub fn filled(expression: &str) -> String {
    let mut text = expression.replace("$__rate_interval", "30s");
    for variable in ["instance", "zone", "server", "store"] {
        text = text.replace(&format!("${variable}"), ".*");
    }
    text
}
