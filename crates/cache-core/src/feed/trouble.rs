//! Which lines a feed has for the log: one when something changes, and none while it stays so.

use super::event::{Effect, Level, MESSAGES_VALID};

/// What the log says last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Said {
    /// Nothing.
    #[default]
    Nothing,
    /// All is well.
    Well,
    /// The module's own messages must do, for this reason.
    Messages(String),
    /// The feed is lost.
    Lost,
    /// The server refuses, for this reason.
    Off(String),
}

/// What has been said.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    said: Said,
    /// Whether the log says that the subscription is refused.
    unsubscribed: bool,
    /// Whether the log says that SWAPDB isn't noticed.
    unmarked: bool,
}

impl Trouble {
    /// The feed is live.
    pub fn over(&mut self, effects: &mut Vec<Effect>) {
        if self.said != Said::Well {
            self.said = Said::Well;
            let text = String::from("memory is used: the server pushes changes");
            effects.push(Effect::Say(Level::Notice, text));
        }
    }

    /// The feed is live, and hears the module's own messages alone.
    pub fn messages(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        let messages = Said::Messages(reason.to_owned());
        if self.said != messages {
            self.said = messages;
            let millis = MESSAGES_VALID;
            let text = format!("records are used from memory for {millis} ms at most: {reason}");
            effects.push(Effect::Say(Level::Warn, text));
        }
    }

    /// The feed is lost, and is tried again at once.
    pub fn lost(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        if !matches!(self.said, Said::Lost | Said::Off(_)) {
            self.said = Said::Lost;
            let text = format!("memory isn't used until the server pushes changes: {reason}");
            effects.push(Effect::Say(Level::Warn, text));
        }
    }

    /// The server refuses.
    pub fn off(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        let off = Said::Off(reason.to_owned());
        if self.said != off {
            self.said = off;
            let text = format!("memory isn't used: {reason}");
            effects.push(Effect::Say(Level::Warn, text));
        }
    }

    /// The feed can't see whether the server still has the same database.
    pub fn unmarked(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        if !std::mem::replace(&mut self.unmarked, true) {
            let text = format!("memory isn't told of SWAPDB: {reason}");
            effects.push(Effect::Say(Level::Info, text));
        }
    }

    /// The server doesn't let the feed subscribe.
    pub fn unsubscribed(&mut self, channel: &str, words: &str, effects: &mut Vec<Effect>) {
        if !std::mem::replace(&mut self.unsubscribed, true) {
            let text = format!(
                "SUBSCRIBE of \"{channel}\" was refused (\"{words}\"): the server sets no bound to what it keeps for a reader that is \
                 stuck; the user needs &{channel} and +subscribe"
            );
            effects.push(Effect::Say(Level::Warn, text));
        }
    }
}
