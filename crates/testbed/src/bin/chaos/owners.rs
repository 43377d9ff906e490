//! Which node has which page, for the table of times.

use std::collections::HashMap;
use std::sync::Mutex;

use testbed::slot_of;

use crate::pages;
use crate::store::Store;

/// The owners as they were last looked up.
#[derive(Debug)]
pub struct Owners {
    /// The slot of each page: that of its key.
    slots: HashMap<String, u16>,
    /// The name of the node that has each page.
    names: Mutex<HashMap<String, String>>,
}

impl Owners {
    /// Once all pages are stored: their keys tell the slots, whatever keys look like.
    pub fn of_stored(store: &Store) -> Owners {
        let keys = store.keys();
        let slot = |path: String| {
            let key = keys.iter().find(|key| key.contains(&path)).unwrap_or(&path);
            let slot = slot_of(key.as_bytes());
            (path, slot)
        };
        let owners = Owners {
            slots: pages::all().map(slot).collect(),
            names: Mutex::default(),
        };
        owners.look(store);
        owners
    }

    /// Looks them up anew.
    pub fn look(&self, store: &Store) {
        let by_slot = store.owners();
        let name = |(path, slot): (&String, &u16)| (path.clone(), by_slot(*slot));
        let names = self.slots.iter().map(name).collect();
        *self.names.lock().expect("owners") = names;
    }

    /// The name of the node that has `path`.
    pub fn of(&self, path: &str) -> String {
        let names = self.names.lock().expect("owners");
        names.get(path).cloned().unwrap_or_default()
    }

    /// The slot of some page.
    pub fn some_slot(&self, number: u64) -> u16 {
        let mut slots: Vec<_> = self.slots.values().copied().collect();
        slots.sort_unstable();
        let at = usize::try_from(number).unwrap_or(0) % slots.len().max(1);
        slots.get(at).copied().unwrap_or(0)
    }
}
